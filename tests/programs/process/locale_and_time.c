//# modes: one nopie
//# env: TZ=Europe/Prague
//# env: LC_ALL=C
#include <locale.h>
#include <stdio.h>
#include <time.h>
int main(void) {
    time_t moment = 86400 * 200;
    char text[100];
    tzset();
    strftime(text, sizeof text, "%Y-%m-%d %H:%M", gmtime(&moment));
    printf("%s %s %d\n", text, setlocale(LC_ALL, ""), timezone != 12345);
    return 0;
}
