int table[3] = {7, 8, 9};
