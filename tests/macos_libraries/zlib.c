// crate: libz-sys 1.1.33
// sources: libz-sys/src/zlib/*.c
// flags: -Ilibz-sys/src/zlib -DSTDC -D_LARGEFILE64_SOURCE -DHAVE_UNISTD_H
//
// Streams of each level and strategy, a dictionary, damaged data, and files.
#include "sample.h"
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { SIZE = 300000 };

static void levels(const unsigned char *text) {
    uLong bound = compressBound(SIZE);
    unsigned char *packed = malloc(bound), *back = malloc(SIZE);
    for (int level = 0; level <= 9; level++) {
        uLongf size = bound, length = SIZE;
        int one = compress2(packed, &size, text, SIZE, level);
        int two = uncompress(back, &length, packed, size);
        printf("level %d: %d %d, %lu bytes, %s\n", level, one, two, (unsigned long)size,
               memcmp(text, back, SIZE) ? "different" : "the same");
    }
    uLongf size = bound, length = SIZE;
    compress(packed, &size, text, SIZE);
    packed[size / 2] ^= 0x55;
    printf("damaged: %d\n", uncompress(back, &length, packed, size));
    free(packed);
    free(back);
}

static void strategies(const unsigned char *text) {
    static const char dictionary[] = "relocation archive section symbol linker object thread";
    unsigned char packed[4096], back[4096];
    for (int strategy = Z_DEFAULT_STRATEGY; strategy <= Z_FIXED; strategy++) {
        z_stream out = {0}, in = {0};
        deflateInit2(&out, 6, Z_DEFLATED, -15, 9, strategy);
        deflateSetDictionary(&out, (const Bytef *)dictionary, sizeof dictionary);
        out.next_in = (Bytef *)text;
        size_t filled = 0;
        // A little at a time.
        for (size_t at = 0; at < 2000; at += 100) {
            out.avail_in = 100;
            out.next_out = packed + filled;
            out.avail_out = (uInt)(sizeof packed - filled);
            deflate(&out, at == 1900 ? Z_FINISH : Z_SYNC_FLUSH);
            filled = out.total_out;
        }
        deflateEnd(&out);
        inflateInit2(&in, -15);
        inflateSetDictionary(&in, (const Bytef *)dictionary, sizeof dictionary);
        in.next_in = packed;
        in.avail_in = (uInt)filled;
        in.next_out = back;
        in.avail_out = sizeof back;
        int end = inflate(&in, Z_FINISH);
        printf("strategy %d: %zu bytes, %d, %lu, %d\n", strategy, filled, end, in.total_out, memcmp(text, back, 2000));
        inflateEnd(&in);
    }
}

static void files(const unsigned char *text) {
    gzFile file = gzopen("zlib.gz", "wb9");
    gzwrite(file, text, SIZE);
    gzprintf(file, "%s %d %.2f\n", "and a line", 12, 3.5);
    gzclose(file);
    file = gzopen("zlib.gz", "rb");
    gzseek(file, SIZE - 5, SEEK_SET);
    char line[64];
    gzread(file, line, 5);
    char *got = gzgets(file, line, sizeof line);
    printf("file: %s", got ? got : "nothing\n");
    printf("end: %d at %ld\n", gzgetc(file), (long)gztell(file));
    gzclose(file);
    remove("zlib.gz");
    file = gzopen("nowhere/zlib.gz", "rb");
    printf("nowhere: %d\n", file != NULL);
}

int main(void) {
    unsigned char *text = sample_text(SIZE, 1);
    printf("%s %08lx %08lx\n", zlibVersion(), crc32(0, text, SIZE), adler32(1, text, SIZE));
    levels(text);
    strategies(text);
    files(text);
    free(text);
}
