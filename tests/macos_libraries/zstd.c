// crate: zstd-sys 2.1.3+zstd.1.5.7
// sources: zstd-sys/zstd/lib/{common,compress,decompress,dictBuilder}/*.c
// flags: -Izstd-sys/zstd/lib -DZSTD_DISABLE_ASM -DZSTD_MULTITHREAD -DXXH_PRIVATE_API= -pthread
//
// All kinds of levels, a dictionary that is trained, streams, threads, damaged data.
#define ZSTD_STATIC_LINKING_ONLY
#include "sample.h"
#include <stdio.h>
#include <string.h>
#include <zdict.h>
#include <zstd.h>

enum { SIZE = 400000, SAMPLES = 400, SAMPLE = 500 };

static void levels(const void *text, void *packed, void *back) {
    static const int levels[] = {-5, 1, 3, 7, 12, 19};
    for (int i = 0; i < 6; i++) {
        size_t size = ZSTD_compress(packed, ZSTD_compressBound(SIZE), text, SIZE, levels[i]);
        size_t length = ZSTD_decompress(back, SIZE, packed, size);
        printf("level %d: %zu to %zu, %d\n", levels[i], size, length, memcmp(text, back, SIZE));
    }
}

static void dictionary(const void *text, void *packed, void *back) {
    static char trained[4096];
    size_t sizes[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) sizes[i] = SAMPLE;
    size_t length = ZDICT_trainFromBuffer(trained, sizeof trained, text, sizes, SAMPLES);
    if (ZDICT_isError(length)) {
        printf("dictionary: %s\n", ZDICT_getErrorName(length));
        return;
    }
    ZSTD_CCtx *out = ZSTD_createCCtx();
    ZSTD_DCtx *in = ZSTD_createDCtx();
    size_t plain = ZSTD_compressCCtx(out, packed, SIZE, text, SAMPLE, 3);
    size_t with = ZSTD_compress_usingDict(out, packed, SIZE, text, SAMPLE, trained, length, 3);
    size_t again = ZSTD_decompress_usingDict(in, back, SIZE, packed, with, trained, length);
    printf("dictionary: %d, %zu, %d\n", with < plain, again, memcmp(text, back, SAMPLE));
    size_t without = ZSTD_decompressDCtx(in, back, SIZE, packed, with);
    printf("without: %s\n", ZSTD_getErrorName(without));
    ZSTD_freeCCtx(out);
    ZSTD_freeDCtx(in);
}

static void threads(const void *text, void *packed, void *back) {
    ZSTD_CCtx *out = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(out, ZSTD_c_nbWorkers, 3);
    ZSTD_CCtx_setParameter(out, ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setParameter(out, ZSTD_c_jobSize, 1 << 19);
    ZSTD_CCtx_setParameter(out, ZSTD_c_compressionLevel, 5);
    ZSTD_inBuffer input = {text, SIZE, 0};
    ZSTD_outBuffer output = {packed, ZSTD_compressBound(SIZE), 0};
    size_t left;
    do {
        left = ZSTD_compressStream2(out, &output, &input, ZSTD_e_end);
    } while (left && !ZSTD_isError(left));
    ZSTD_freeCCtx(out);
    ZSTD_DStream *in = ZSTD_createDStream();
    ZSTD_inBuffer from = {packed, output.pos, 0};
    size_t filled = 0;
    while (from.pos < from.size) {
        ZSTD_outBuffer to = {(char *)back + filled, filled + 3000 < SIZE ? 3000 : SIZE - filled, 0};
        if (ZSTD_isError(ZSTD_decompressStream(in, &to, &from))) break;
        filled += to.pos;
    }
    ZSTD_freeDStream(in);
    printf("threads: %s, %zu, %d\n", ZSTD_getErrorName(left), filled, memcmp(text, back, SIZE));
    ((char *)packed)[output.pos / 2] ^= 8;
    printf("damaged: %d\n", ZSTD_isError(ZSTD_decompress(back, SIZE, packed, output.pos)));
}

int main(void) {
    void *text = sample_text(SIZE, 3), *packed = malloc(ZSTD_compressBound(SIZE)), *back = malloc(SIZE);
    printf("%s\n", ZSTD_versionString());
    levels(text, packed, back);
    dictionary(text, packed, back);
    threads(text, packed, back);
}
