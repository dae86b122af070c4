/* The two symbols through which debuggers learn of code in memory (GDB manual, "JIT Compilation
   Interface"). In C, because a debugger looks for a variable of this layout and name. Weak, because
   another JIT that is linked into the same program defines them too: one pair serves both. */

#include <stdint.h>

struct jit_code_entry;

struct jit_descriptor {
    uint32_t version;
    uint32_t action_flag;
    struct jit_code_entry *relevant_entry;
    struct jit_code_entry *first_entry;
};

struct jit_descriptor __attribute__((weak)) __jit_debug_descriptor = {1, 0, 0, 0};

/* A debugger has a breakpoint here, so it must stay a function that is called. */
void __attribute__((noinline, weak)) __jit_debug_register_code(void) {
    __asm__ volatile("" ::: "memory");
}
