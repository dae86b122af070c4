//# modes: one
// Parts of libc that load libraries of their own.
#include <iconv.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
int main(void) {
    struct passwd *root = getpwuid(0);
    printf("%s\n", root ? root->pw_name : "?");
    iconv_t conversion = iconv_open("UTF-16LE", "ISO-8859-2");
    char in[] = {(char)0xe8, 'x'}, out[10] = {0};
    char *from = in, *to = out;
    size_t in_left = 2, out_left = sizeof out;
    size_t result = iconv(conversion, &from, &in_left, &to, &out_left);
    printf("%d %02x%02x\n", (int)result, (unsigned char)out[1], (unsigned char)out[0]);
    iconv_close(conversion);
    return 0;
}
