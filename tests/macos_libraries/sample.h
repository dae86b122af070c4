// Data that compresses neither well nor badly, the same on each system, and a sum of bytes.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

static uint32_t sample_next(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 16;
}

// `size` bytes of words, most of which repeat.
static unsigned char *sample_text(size_t size, uint32_t seed) {
    static const char *const words[] = {"linker", "archive", "symbol", "section", "of", "the", "a", "relocation",
                                        "object", "thread", "page", "stub", "frame", "and", "to", "is"};
    unsigned char *text = (unsigned char *)malloc(size);
    uint32_t state = seed;
    size_t at = 0;
    while (at < size) {
        const char *word = words[sample_next(&state) % 16];
        while (*word && at < size) text[at++] = (unsigned char)*word++;
        if (at < size) text[at++] = sample_next(&state) % 12 ? ' ' : (unsigned char)sample_next(&state);
    }
    return text;
}

static uint64_t sample_sum(const void *data, size_t size) {
    const unsigned char *bytes = (const unsigned char *)data;
    uint64_t sum = 14695981039346656037u;
    for (size_t i = 0; i < size; i++) sum = (sum ^ bytes[i]) * 1099511628211u;
    return sum;
}
