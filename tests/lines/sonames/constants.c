extern const int constant[2];
const int constant[2] = {3, 4};
int plain = 5;
const int *const relocated = &plain;
