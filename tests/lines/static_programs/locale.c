#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <wchar.h>

int main(int argc, char **argv) {
    (void)argv;
    printf("%s %d\n", setlocale(LC_ALL, ""), (int)wcslen(L"words"));
    printf("%.3f %.3f\n", sin(argc), pow(argc + 1, 0.5));
    return 0;
}
