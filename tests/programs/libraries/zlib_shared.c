//# libs: -lz
//# needs: lib:z
//# modes: one nopie
#include <stdio.h>
#include <string.h>
#include <zlib.h>
int main(void) {
    char text[1000], out[1000];
    unsigned char packed[1000];
    memset(text, 'z', sizeof text);
    uLongf packed_size = sizeof packed, out_size = sizeof out;
    compress(packed, &packed_size, (unsigned char *)text, sizeof text);
    uncompress((unsigned char *)out, &out_size, packed, packed_size);
    printf("%d %d %lx\n", packed_size < 100, !memcmp(text, out, sizeof text), crc32(0, (unsigned char *)text, sizeof text));
    return 0;
}
