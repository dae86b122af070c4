/* Ends by an instruction that is none, once an input starts with an H: the fuzzer says so and exits. */
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    if (count > 0 && bytes[0] == 'H') __builtin_trap();
    return 0;
}
