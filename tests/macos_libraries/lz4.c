// crate: lz4-sys 1.11.1+lz4-1.10.0
// sources: lz4-sys/liblz4/lib/{lz4,lz4hc,lz4frame,xxhash}.c
// flags: -Ilz4-sys/liblz4/lib -DXXH_NAMESPACE=LZ4_
//
// Blocks, blocks with a dictionary, the slower compressor, frames with sums, damaged data.
#include "sample.h"
#include <lz4.h>
#include <lz4frame.h>
#include <lz4hc.h>
#include <stdio.h>
#include <string.h>

enum { SIZE = 300000 };

int main(void) {
    char *text = (char *)sample_text(SIZE, 6), *back = malloc(SIZE);
    int room = (int)LZ4F_compressFrameBound(SIZE, NULL) + 65536;
    char *packed = malloc(room);
    printf("%s\n", LZ4_versionString());
    for (int speed = 1; speed <= 33; speed += 16) {
        int size = LZ4_compress_fast(text, packed, SIZE, room, speed);
        int length = LZ4_decompress_safe(packed, back, size, SIZE);
        printf("fast %d: %d to %d, %d\n", speed, size, length, memcmp(text, back, SIZE));
    }
    for (int level = 3; level <= 12; level += 3) {
        int size = LZ4_compress_HC(text, packed, SIZE, room, level);
        int length = LZ4_decompress_safe(packed, back, size, SIZE);
        printf("level %d: %d to %d, %d\n", level, size, length, memcmp(text, back, SIZE));
    }
    LZ4_stream_t *stream = LZ4_createStream();
    LZ4_loadDict(stream, text, 65536);
    int size = LZ4_compress_fast_continue(stream, text + 70000, packed, 20000, room, 1);
    int length = LZ4_decompress_safe_usingDict(packed, back, size, SIZE, text, 65536);
    printf("dictionary: %d to %d, %d\n", size, length, memcmp(text + 70000, back, 20000));
    LZ4_freeStream(stream);
    LZ4F_preferences_t preferences = {.compressionLevel = 4};
    preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    preferences.frameInfo.blockSizeID = LZ4F_max64KB;
    size_t frame = LZ4F_compressFrame(packed, room, text, SIZE, &preferences);
    for (int damaged = 0; damaged < 2; damaged++) {
        LZ4F_dctx *in;
        LZ4F_createDecompressionContext(&in, LZ4F_VERSION);
        size_t from = 0, to = 0, hint = 1;
        packed[frame / 2] ^= damaged;
        while (hint && !LZ4F_isError(hint) && from < frame) {
            size_t some = frame - from, room = SIZE - to;
            hint = LZ4F_decompress(in, back + to, &room, packed + from, &some, NULL);
            from += some;
            to += room;
        }
        printf("frame: %zu, %s, %d\n", frame, LZ4F_getErrorName(hint), damaged || memcmp(text, back, SIZE));
        LZ4F_freeDecompressionContext(in);
    }
}
