//# flags: -fexceptions
//# modes: few
// C compiled with -fexceptions lets exceptions pass, runs cleanups, and qsort and bsearch do too.
#include <cstdio>
#include <initializer_list>
#include <cstdlib>
extern "C" void call_with_cleanup(void (*callback)(int), int value);
extern "C" int compare(const void*, const void*) { throw 3; }
extern "C" void throwing(int value) { if (value) throw value; }
int main() {
    for (int value : {0, 1, 2}) {
        try {
            call_with_cleanup(throwing, value);
            std::puts("returned");
        } catch (int caught) {
            std::printf("caught %d\n", caught);
        }
    }
    int numbers[] = {1, 2, 3, 4};
    try {
        std::bsearch(numbers, numbers, 4, sizeof(int), compare);
    } catch (int) {
        std::puts("through bsearch");
    }
    try {
        std::qsort(numbers, 4, sizeof(int), compare);
    } catch (int) {
        std::puts("through qsort");
    }
}
//--- c.c
#include <stdio.h>
static void cleanup(int *value) { printf("cleanup %d\n", *value); }
void call_with_cleanup(void (*callback)(int), int value) {
    __attribute__((cleanup(cleanup))) int local = value + 100;
    callback(value);
    printf("after %d\n", local);
}
