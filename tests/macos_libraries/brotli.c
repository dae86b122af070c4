// crate: brotlic-sys 0.2.2
// sources: brotlic-sys/brotli/c/{common,dec,enc}/*.c
// flags: -Ibrotlic-sys/brotli/c/include -DBROTLI_HAVE_LOG2=1 -lm
//
// Qualities, windows and modes, streams in small steps, damaged data.
#include "sample.h"
#include <brotli/decode.h>
#include <brotli/encode.h>
#include <stdio.h>
#include <string.h>

enum { SIZE = 150000 };

int main(void) {
    unsigned char *text = sample_text(SIZE, 8), *packed = malloc(2 * SIZE), *back = malloc(SIZE);
    printf("%x\n", BrotliEncoderVersion());
    static const int qualities[] = {0, 1, 4, 6, 9, 11};
    for (int i = 0; i < 6; i++) {
        size_t size = 2 * SIZE, length = SIZE;
        int made = BrotliEncoderCompress(qualities[i], 16 + i, i % 3, SIZE, text, &size, packed);
        int result = BrotliDecoderDecompress(size, packed, &length, back);
        printf("quality %d: %d, %zu, %d, %zu, %d\n", qualities[i], made, size, result, length, memcmp(text, back, SIZE));
    }
    BrotliEncoderState *out = BrotliEncoderCreateInstance(NULL, NULL, NULL);
    BrotliEncoderSetParameter(out, BROTLI_PARAM_QUALITY, 5);
    const uint8_t *from = text;
    uint8_t *to = packed;
    size_t room = 2 * SIZE, some = 0;
    for (size_t at = 0; at < SIZE; at += 5000) {
        some = 5000;
        BrotliEncoderCompressStream(out, at % 20000 ? BROTLI_OPERATION_PROCESS : BROTLI_OPERATION_FLUSH, &some, &from, &room, &to, NULL);
    }
    while (!BrotliEncoderIsFinished(out)) BrotliEncoderCompressStream(out, BROTLI_OPERATION_FINISH, &some, &from, &room, &to, NULL);
    BrotliEncoderDestroyInstance(out);
    size_t size = to - packed;
    for (int damaged = 0; damaged < 2; damaged++) {
        BrotliDecoderState *in = BrotliDecoderCreateInstance(NULL, NULL, NULL);
        packed[size / 2] ^= damaged * 0xff;
        const uint8_t *input = packed;
        uint8_t *output = back;
        size_t left = size, room = SIZE, total = 0;
        BrotliDecoderResult result = BrotliDecoderDecompressStream(in, &left, &input, &room, &output, &total);
        int is_same = damaged || memcmp(text, back, SIZE) == 0;
        printf("stream: %zu, %d, %s\n", size, damaged ? result != BROTLI_DECODER_RESULT_SUCCESS || total != SIZE || memcmp(text, back, SIZE) : result,
               is_same ? "the same" : "different");
        BrotliDecoderDestroyInstance(in);
    }
}
