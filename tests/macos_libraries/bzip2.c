// crate: bzip2-sys 0.1.13+1.0.8
// sources: bzip2-sys/bzip2-1.0.8/{blocksort,huffman,crctable,randtable,compress,decompress,bzlib}.c
// flags: -Ibzip2-sys/bzip2-1.0.8 -D_FILE_OFFSET_BITS=64
//
// Blocks of all sizes, a stream in small steps, damaged data, and a file behind a FILE.
#include "sample.h"
#include <bzlib.h>
#include <stdio.h>
#include <string.h>

enum { SIZE = 250000 };

int main(void) {
    char *text = (char *)sample_text(SIZE, 2), *packed = malloc(2 * SIZE), *back = malloc(SIZE);
    printf("%s\n", BZ2_bzlibVersion());
    for (int blocks = 1; blocks <= 9; blocks += 4) {
        unsigned size = 2 * SIZE, length = SIZE;
        int one = BZ2_bzBuffToBuffCompress(packed, &size, text, SIZE, blocks, 0, 30);
        int two = BZ2_bzBuffToBuffDecompress(back, &length, packed, size, blocks == 5, 0);
        printf("%d: %d %d, %u bytes, sum %llx, %d\n", blocks, one, two, size,
               (unsigned long long)sample_sum(packed, size), memcmp(text, back, SIZE));
        packed[size / 3] ^= 1;
        length = SIZE;
        printf("damaged: %d\n", BZ2_bzBuffToBuffDecompress(back, &length, packed, size, 0, 0));
    }
    bz_stream stream = {0};
    BZ2_bzCompressInit(&stream, 1, 0, 0);
    stream.next_in = text;
    stream.next_out = packed;
    unsigned steps = 0;
    for (int result = BZ_RUN_OK; result != BZ_STREAM_END; steps++) {
        unsigned left = SIZE - stream.total_in_lo32;
        stream.avail_in = left < 1000 ? left : 1000;
        stream.avail_out = 777;
        result = BZ2_bzCompress(&stream, left <= 1000 ? BZ_FINISH : BZ_RUN);
        if (result < 0) return 1;
    }
    printf("stream: %u steps, %u bytes\n", steps, stream.total_out_lo32);
    BZ2_bzCompressEnd(&stream);
    int error;
    FILE *file = fopen("bzip2.bz2", "wb");
    BZFILE *write = BZ2_bzWriteOpen(&error, file, 3, 0, 0);
    BZ2_bzWrite(&error, write, text, SIZE);
    unsigned in, out;
    BZ2_bzWriteClose(&error, write, 0, &in, &out);
    fclose(file);
    printf("file: %d, %u to %u\n", error, in, out);
    BZFILE *read = BZ2_bzopen("bzip2.bz2", "rb");
    int length = BZ2_bzread(read, back, SIZE);
    printf("read: %d, %d, %s\n", length, memcmp(text, back, SIZE), BZ2_bzerror(read, &error));
    BZ2_bzclose(read);
    remove("bzip2.bz2");
}
