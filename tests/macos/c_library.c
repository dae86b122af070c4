//# expect-exit: 3
//# libs: -lm
// Functions with any number of arguments, and with lists of them; a long double has another size on each system.
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>

static void list(const char *format, ...) {
    char text[128], *made = NULL;
    va_list first, second, third;
    va_start(first, format);
    va_copy(second, first);
    va_copy(third, first);
    int length = vsnprintf(text, sizeof text, format, first);
    vasprintf(&made, format, second);
    printf("%d %s|%s|", length, text, made);
    vprintf(format, third);
    putchar('\n');
    free(made);
    va_end(third);
    va_end(second);
    va_end(first);
}

static void printing(void) {
    printf("%d %u %ld %lld %zu %hhd %c\n", -1, 2u, -3L, LLONG_MIN, (size_t)5, (char)-6, 'x');
    printf("%s %.1f %s %.2e %5.1f|%-8s|%08.3f\n", "one", 1.5, "two", 1e100, 2.25, "left", -3.5);
    printf("%d %d %d %d %d %d %d %d %d %d\n", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    printf("%.1f %.1f %.1f %.1f %.1f %.1f %.1f %.1f %.1f %d\n", .5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9);
    printf("%*d %.*f\n", 6, 42, 2, 0.125);
    printf("%2$s %1$d\n", 1, "two");
    printf("%Lf %.2Lf 100%% %Lg\n", 1.25L, -2.5L, 0.5L);
    char text[64];
    sprintf(text, "%s-%d", "text", 7);
    puts(text);
    printf("%d\n", snprintf(text, 4, "%d", 123456));
    fprintf(stdout, "%s %x\n", text, 0xbeef);
    fflush(stdout);
    dprintf(1, "%s %g\n", "dprintf", 0.5);
    wchar_t wide[32];
    swprintf(wide, 32, L"%ls %d %.2Lf", L"wide", 8, 1.75L);
    printf("%ls\n", wide);
    list("%d %s %.2f %Lg %c", 1, "two", 3.25, 4.5L, '5');
}

static void scanning(void) {
    int number = 0;
    double wide = 0;
    long double widest = 0;
    char word[16] = "", set[16] = "";
    int count = sscanf("12 3.5 6.25 word L%f", "%d %lf %Lf %15s %15[L%f]", &number, &wide, &widest, word, set);
    printf("%d: %d %g %Lg %s %s\n", count, number, wide, widest, word, set);
    printf("%Lg %g\n", strtold("2.75e3", NULL), (double)wcstold(L"0.5", NULL));
}

static void numbers(void) {
    volatile long double one = 1.0L, two = 2.0L;
    long double whole = 0;
    int exponent = 0;
    printf("%.6Lf %.6Lf %.6Lf\n", sqrtl(two), powl(two, 10.0L), fabsl(-one));
    long double rest = modfl(2.5L, &whole), mantissa = frexpl(8.0L * one, &exponent);
    printf("%.6Lf %.6Lf %ld\n", sinl(one), rest, lrintl(2.0L * two));
    printf("%.3Lf %d %d\n", mantissa, exponent, (int)whole);
    volatile double x = 0.5;
    printf("%.6f %.6f\n", sin(x), cos(x));
    volatile float y = 1.5f;
    printf("%.6f %.6f %d\n", sinf(y), cosf(y), nexttowardf(y, 2.0L) > y);
}

static void files(const char *path) {
    struct stat known;
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0640);
    printf("%d\n", (int)write(file, "content", 7));
    int status = fstat(file, &known);
    printf("%d %o %d\n", status, (unsigned)known.st_mode & 0777, (int)known.st_size);
    int flags = fcntl(file, F_GETFL);
    printf("%d %d\n", (flags & O_ACCMODE) == O_RDWR, (flags & O_NONBLOCK) != 0);
    fcntl(file, F_SETFL, flags | O_NONBLOCK);
    printf("%d\n", (fcntl(file, F_GETFL) & O_NONBLOCK) != 0);
    int copy = fcntl(file, F_DUPFD_CLOEXEC, 20);
    printf("%d %d\n", copy >= 20, fcntl(copy, F_GETFD) == FD_CLOEXEC);
    close(copy);
    close(file);
    printf("%d\n", openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL, 0600));
    unlink(path);
    errno = 0;
    file = open(path, O_RDONLY);
    printf("%d %d\n", file, errno == ENOENT);
}

static jmp_buf place;
static __attribute__((noinline)) void jump(int value) { longjmp(place, value); }

static void programs(void) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        char *const environment[] = {"GREETING=hello", NULL};
        execle("/bin/sh", "sh", "-c", "echo \"$GREETING $0 $1\"; exit 7", "first", "second", NULL, environment);
        _exit(1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    printf("%d\n", WEXITSTATUS(status));
}

int main(void) {
    printing();
    scanning();
    numbers();
    files("c_library_file");
    volatile int before = 5;
    int value = setjmp(place);
    if (value == 0)
        jump(6);
    printf("%d %d\n", before, value);
    programs();
    warnx("%s %d", "a warning", 9);
    errx(3, "%s %.1f", "the end", 1.5);
}
