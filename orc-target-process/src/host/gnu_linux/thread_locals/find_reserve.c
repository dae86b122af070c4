/* Finds the reserve (reserve.c) if the executable that this is linked into has it. The reference is
 * weak: it does not bring the reserve into a library, where the loader could not place it. */

#include <stddef.h>

__attribute__((weak)) void *orc_target_process_tls_reserve(size_t *size);

/* The calling thread's copy; null if there is none. */
void *orc_target_process_find_tls_reserve(size_t *size) {
    if (!orc_target_process_tls_reserve) {
        return NULL;
    }
    return orc_target_process_tls_reserve(size);
}
