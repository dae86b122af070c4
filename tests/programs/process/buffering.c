//# modes: one nopie
// Standard output to a pipe is fully buffered and flushed by exit; standard error is not buffered.
#include <stdio.h>
#include <unistd.h>
int main(void) {
    printf("first in the buffer, ");
    if (write(1, "first in the pipe\n", 18) != 18) return 1;
    printf("second in the buffer");
    return 0;
}
