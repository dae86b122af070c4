//# modes: few O2 large
// Jump tables, computed gotos and tail calls across objects.
#include <stdio.h>
int dispatch(int which, int x);
int run(const unsigned char *code);
int main(void) {
    for (int i = 0; i < 12; i++) printf("%d ", dispatch(i, 10));
    printf("%d\n", run((const unsigned char *)"\1\1\2\3\1\0"));
    return 0;
}
//--- dispatch.c
int tail(int x);
int dispatch(int which, int x) {
    switch (which) {
        case 0: return x + 1;
        case 1: return x * 2;
        case 2: return tail(x);
        case 3: return x - 5;
        case 4: return tail(x + 1);
        case 5: return x / 3;
        case 6: return ~x;
        case 7: return -x;
        case 8: return x << 3;
        case 9: return x ^ 3;
        default: return 0;
    }
}
int run(const unsigned char *code) {
    static const void *const labels[] = {&&end, &&increment, &&doubled, &&negate};
    int value = 0;
    goto *labels[*code++];
increment:
    value++;
    goto *labels[*code++];
doubled:
    value *= 2;
    goto *labels[*code++];
negate:
    value = -value;
    goto *labels[*code++];
end:
    return value;
}
//--- tail.c
int tail(int x) { return x * 100; }
