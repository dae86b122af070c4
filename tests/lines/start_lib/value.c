int shared_value = 17;
