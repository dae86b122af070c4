// crate: snappy_src 0.2.7+snappy.1.3.1
// sources: snappy_src/snappy/*.cc
// configure: snappy_src/snappy/snappy-stubs-public.h.in HAVE_SYS_UIO_H_01=1 PROJECT_VERSION_MAJOR=1 PROJECT_VERSION_MINOR=3 PROJECT_VERSION_PATCH=1
// flags: -std=c++17 -Isnappy_src/snappy -DNDEBUG -DHAVE_BUILTIN_CTZ=1 -DHAVE_BUILTIN_EXPECT=1
//
// A library in C++: strings, sources and sinks of the program's own classes, vectors of buffers, damaged data.
#include "sample.h"
#include <cstdio>
#include <cstring>
#include <snappy-c.h>
#include <snappy-sinksource.h>
#include <snappy.h>
#include <string>
#include <sys/uio.h>

struct Pieces : snappy::Source {
    std::string text;
    size_t at = 0;
    explicit Pieces(std::string text) : text(std::move(text)) {}
    size_t Available() const override { return text.size() - at; }
    const char *Peek(size_t *size) override {
        *size = Available() < 333 ? Available() : 333;
        return text.data() + at;
    }
    void Skip(size_t count) override { at += count; }
};

struct Collected : snappy::Sink {
    std::string all;
    int calls = 0;
    void Append(const char *bytes, size_t size) override {
        all.append(bytes, size);
        calls++;
    }
};

int main() {
    constexpr size_t size = 300000;
    unsigned char *bytes = sample_text(size, 7);
    std::string text(reinterpret_cast<char *>(bytes), size), packed, back;
    for (int level = 1; level <= 2; level++) {
        size_t made = snappy::Compress(text.data(), size, &packed, snappy::CompressionOptions{level});
        bool is_right = snappy::Uncompress(packed.data(), packed.size(), &back);
        std::printf("level %d: %zu, %d, %d\n", level, made, is_right, back == text);
    }
    Pieces pieces(text);
    Collected collected;
    snappy::Compress(&pieces, &collected);
    std::printf("pieces: %zu, %d, %d\n", collected.all.size(), collected.calls > 1,
                snappy::Uncompress(collected.all.data(), collected.all.size(), &back) && back == text);
    std::string one(100000, 0), two(200000, 0);
    iovec vectors[] = {{&one[0], one.size()}, {&two[0], two.size()}};
    bool is_right = snappy::RawUncompressToIOVec(packed.data(), packed.size(), vectors, 2);
    std::printf("vectors: %d, %d\n", is_right, one + two == text);
    size_t length = 0;
    snappy_uncompressed_length(packed.data(), packed.size(), &length);
    std::printf("length: %zu, %d\n", length, snappy_validate_compressed_buffer(packed.data(), packed.size()));
    packed.resize(packed.size() / 2);
    std::printf("damaged: %d\n", snappy::Uncompress(packed.data(), packed.size(), &back));
    std::free(bytes);
}
