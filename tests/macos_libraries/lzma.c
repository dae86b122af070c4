// crate: lzma-sys 0.1.20
// sources: lzma-sys/xz-5.2/src/liblzma/{common,lzma,lz,check,delta,rangecoder,simple}/*.c lzma-sys/xz-5.2/src/common/tuklib_{cpucores,physmem}.c
// without: lzma-sys/xz-5.2/src/liblzma/check/{crc32_small,crc64_small,crc32_tablegen,crc64_tablegen}.c lzma-sys/xz-5.2/src/liblzma/rangecoder/price_tablegen.c lzma-sys/xz-5.2/src/liblzma/lzma/{fastpos_tablegen,lzma_encoder_tablegen}.c lzma-sys/xz-5.2/src/liblzma/simple/{arm,armthumb,ia64,powerpc}.c
// flags: -DHAVE_CONFIG_H -Ilzma-sys -Ilzma-sys/xz-5.2/src/liblzma/{api,lzma,lz,check,simple,delta,common,rangecoder} -Ilzma-sys/xz-5.2/src/common -pthread
//
// Presets, checks, filters in a row, an encoder with threads, damaged data.
#include "sample.h"
#include <lzma.h>
#include <stdio.h>
#include <string.h>

enum { SIZE = 200000 };

static size_t run(lzma_stream *stream, const void *from, size_t size, void *to, size_t room, lzma_ret *result) {
    stream->next_in = from;
    stream->avail_in = size;
    stream->next_out = to;
    stream->avail_out = room;
    do {
        *result = lzma_code(stream, LZMA_FINISH);
    } while (*result == LZMA_OK);
    size_t done = room - stream->avail_out;
    lzma_end(stream);
    return done;
}

static void back(const char *what, const void *text, unsigned char *packed, size_t size, void *room) {
    lzma_stream stream = LZMA_STREAM_INIT;
    lzma_ret result = lzma_stream_decoder(&stream, UINT64_MAX, LZMA_CONCATENATED);
    size_t length = run(&stream, packed, size, room, SIZE, &result);
    printf("%s: %zu bytes, %d, %zu, %d\n", what, size, result, length, memcmp(text, room, SIZE));
}

int main(void) {
    unsigned char *text = sample_text(SIZE, 4), *packed = malloc(2 * SIZE), *room = malloc(SIZE);
    lzma_ret result;
    printf("%s\n", lzma_version_string());
    static const lzma_check checks[] = {LZMA_CHECK_NONE, LZMA_CHECK_CRC32, LZMA_CHECK_CRC64, LZMA_CHECK_SHA256};
    for (int i = 0; i < 4; i++) {
        lzma_stream stream = LZMA_STREAM_INIT;
        result = lzma_easy_encoder(&stream, 3 * i, checks[i]);
        size_t size = run(&stream, text, SIZE, packed, 2 * SIZE, &result);
        back("preset", text, packed, size, room);
    }
    lzma_options_lzma options;
    lzma_lzma_preset(&options, 6 | LZMA_PRESET_EXTREME);
    lzma_options_delta delta = {.type = LZMA_DELTA_TYPE_BYTE, .dist = 4};
    lzma_filter filters[] = {
        {LZMA_FILTER_X86, NULL}, {LZMA_FILTER_DELTA, &delta}, {LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, NULL}};
    lzma_stream stream = LZMA_STREAM_INIT;
    result = lzma_stream_encoder(&stream, filters, LZMA_CHECK_CRC64);
    size_t size = run(&stream, text, SIZE, packed, 2 * SIZE, &result);
    back("filters", text, packed, size, room);
    lzma_mt threads = {.threads = 3, .block_size = 40000, .preset = 2, .check = LZMA_CHECK_CRC32};
    stream = (lzma_stream)LZMA_STREAM_INIT;
    result = lzma_stream_encoder_mt(&stream, &threads);
    size = run(&stream, text, SIZE, packed, 2 * SIZE, &result);
    back("threads", text, packed, size, room);
    packed[size / 2] ^= 1;
    stream = (lzma_stream)LZMA_STREAM_INIT;
    result = lzma_stream_decoder(&stream, UINT64_MAX, 0);
    run(&stream, packed, size, room, SIZE, &result);
    printf("damaged: %d\n", result);
    printf("memory: %d\n", lzma_physmem() > 1000000);
}
