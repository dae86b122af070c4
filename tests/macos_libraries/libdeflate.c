// crate: libdeflate-sys 1.26.1
// sources: libdeflate-sys/libdeflate/lib/*.c libdeflate-sys/libdeflate/lib/{arm,x86}/*.c
// flags: -Ilibdeflate-sys/libdeflate
//
// Three formats at several levels, sums of all alignments, damaged data. The code asks which instructions the CPU has.
#include "sample.h"
#include <libdeflate.h>
#include <stdio.h>
#include <string.h>

enum { SIZE = 200000 };

int main(void) {
    unsigned char *text = sample_text(SIZE, 5), *packed = malloc(2 * SIZE), *back = malloc(SIZE);
    printf("%s\n", LIBDEFLATE_VERSION_STRING);
    for (int at = 0; at < 40; at += 13)
        printf("sums from %d: %08x %08x\n", at, libdeflate_crc32(0, text + at, SIZE - 50),
               libdeflate_adler32(1, text + at, SIZE - 50));
    struct libdeflate_decompressor *in = libdeflate_alloc_decompressor();
    for (int level = 0; level <= 12; level += 3) {
        struct libdeflate_compressor *out = libdeflate_alloc_compressor(level);
        size_t raw = libdeflate_deflate_compress(out, text, SIZE, packed, 2 * SIZE), length = 0;
        int one = libdeflate_deflate_decompress(in, packed, raw, back, SIZE, &length);
        int same = memcmp(text, back, SIZE);
        size_t zlib = libdeflate_zlib_compress(out, text, SIZE, packed, 2 * SIZE);
        int two = libdeflate_zlib_decompress(in, packed, zlib, back, SIZE, &length);
        size_t gzip = libdeflate_gzip_compress(out, text, SIZE, packed, 2 * SIZE);
        int three = libdeflate_gzip_decompress(in, packed, gzip, back, SIZE, &length);
        printf("level %d: %zu %zu %zu, %d %d %d, %zu, %d\n", level, raw, zlib, gzip, one, two, three, length,
               same | memcmp(text, back, SIZE));
        packed[gzip / 2] ^= 4;
        printf("damaged: %d\n", libdeflate_gzip_decompress(in, packed, gzip, back, SIZE, &length) != 0);
        libdeflate_free_compressor(out);
    }
    libdeflate_free_decompressor(in);
}
