/* The thread-local reserve: static thread-local storage of the executable, to be given away piece by
 * piece. The array is initialized data (.tdata and not .tbss), so that the executable's template of
 * thread-locals has bytes for it which can be changed: new threads start with what is there. */

#include <stddef.h>

/* Initial-exec: the array is in every thread's static block, at one offset from its pointer. */
static __thread char reserve[ORC_TLS_RESERVE_SIZE]
    __attribute__((tls_model("initial-exec"), aligned(ORC_TLS_RESERVE_ALIGNMENT), section(".tdata")));

/* The calling thread's copy. */
void *orc_target_process_tls_reserve(size_t *size) {
    *size = sizeof reserve;
    return reserve;
}
