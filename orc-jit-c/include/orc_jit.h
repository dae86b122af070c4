/* orc_jit.h: run relocatable objects and static archives without a link step. See README.md. */

#ifndef ORC_JIT_H
#define ORC_JIT_H

/* Made from the sources by `ORC_JIT_WRITE_HEADER=1 cargo test -p orc-jit-c`. */

#include <stddef.h>
#include <stdint.h>

/*
 * Functions that can fail return an error, or NULL. An error is freed with `orc_jit_error_free`. What a
 * function makes is stored where its last parameter points, only if there is no error, and belongs to the
 * caller, who frees it with the function of its type. Texts and paths are NUL-terminated; texts are UTF-8. All
 * functions may be called from any thread, and things may be freed in any order: each keeps what it needs.
 */


// A JIT: it has dylibs, and the runtime that linked code needs.
typedef struct OrcJit OrcJit;

// A dylib: what is added to it can see each other, then the process's libraries.
typedef struct OrcJitDylib OrcJitDylib;

// Why something failed.
typedef struct OrcJitError OrcJitError;

// A process in which linked code runs: another one than this.
typedef struct OrcJitExecutor OrcJitExecutor;

// A function or a variable of linked code. Its memory stays until this is freed, also when its tracker is removed.
typedef struct OrcJitSymbol OrcJitSymbol;

// A part of a dylib that can be removed as one.
typedef struct OrcJitTracker OrcJitTracker;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The error's message. It belongs to the error.
//
// Conditions:
// `error` is an error of this interface that is not freed.
const char *orc_jit_error_message(const struct OrcJitError *error);

// Frees an error. NULL is allowed.
//
// Conditions:
// `error` is NULL or an error of this interface, and is not used any more.
void orc_jit_error_free(struct OrcJitError *error);

// Starts a process for linked code. It comes with the library; there is nothing to install.
//
// Conditions:
// `executor` can be written to.
struct OrcJitError *orc_jit_executor_spawn(struct OrcJitExecutor **executor);

// Connects to an executor elsewhere: "unix:PATH", "tcp:HOST:PORT", "ssh:HOST", "stdio:COMMAND".
//
// Conditions:
// `place` is a text; `executor` can be written to.
struct OrcJitError *orc_jit_executor_connect(const char *place, struct OrcJitExecutor **executor);

// Ends the process, and waits for it.
//
// Conditions:
// `executor` is an executor of this interface that is not freed.
struct OrcJitError *orc_jit_executor_end(const struct OrcJitExecutor *executor);

// Frees the handle. The process ends when no JIT uses it any more. NULL is allowed.
//
// Conditions:
// `executor` is NULL or an executor of this interface, and is not used any more.
void orc_jit_executor_free(struct OrcJitExecutor *executor);

// The version of the library, as in "0.1.0".
const char *orc_jit_version(void);

// Makes a JIT whose code runs in this process.
//
// Conditions:
// `jit` can be written to.
struct OrcJitError *orc_jit_new(struct OrcJit **jit);

// Makes a JIT whose code runs in another process.
//
// Conditions:
// `executor` is an executor of this interface that is not freed; `jit` can be written to.
struct OrcJitError *orc_jit_new_in(const struct OrcJitExecutor *executor, struct OrcJit **jit);

// Frees the handle. The JIT ends, and all of its code goes, when no dylib, tracker or symbol of it is left. NULL is
// allowed.
//
// Conditions:
// `jit` is NULL or a JIT of this interface, and is not used any more.
void orc_jit_free(struct OrcJit *jit);

// Makes a dylib. The name is for messages, and for `dlopen` within linked code.
//
// Conditions:
// `jit` is a JIT of this interface that is not freed; `name` is a text; `dylib` can be written to.
struct OrcJitError *orc_jit_dylib_new(const struct OrcJit *jit,
                                      const char *name,
                                      struct OrcJitDylib **dylib);

// Lets a dylib see another one's definitions, after all that it sees now. The other one's constructors run first.
//
// Conditions:
// Both are dylibs of this interface that are not freed.
struct OrcJitError *orc_jit_dylib_link_with(const struct OrcJitDylib *dylib,
                                            const struct OrcJitDylib *other);

// Links what was added and has initializers, and runs those that have not run. A lookup does that, too.
//
// Conditions:
// `dylib` is a dylib of this interface that is not freed.
struct OrcJitError *orc_jit_dylib_initialize(const struct OrcJitDylib *dylib);

// Runs the dylib as a program: constructors, `main` with these arguments (the program's name is the first), exit handlers,
// destructors. Stores what `main` returns. A process has one program.
//
// Conditions:
// `dylib` is a dylib of this interface that is not freed; `argv` has `argc` texts; `status` can be written to. The
// program is as safe as it is.
struct OrcJitError *orc_jit_dylib_run_main(const struct OrcJitDylib *dylib,
                                           int argc,
                                           const char *const *argv,
                                           int *status);

// Closes the dylib: its exit handlers and destructors run, and its code goes when nobody uses it any more. Nothing
// can be added to it or found in it then.
//
// Conditions:
// `dylib` is a dylib of this interface that is not freed, and its code does not run.
struct OrcJitError *orc_jit_dylib_close(const struct OrcJitDylib *dylib);

// Frees the handle. The dylib stays as long as its JIT, unless it is closed. NULL is allowed.
//
// Conditions:
// `dylib` is NULL or a dylib of this interface, and is not used any more.
void orc_jit_dylib_free(struct OrcJitDylib *dylib);

// Makes a tracker: what is added through it can be removed as one.
//
// Conditions:
// `dylib` is a dylib of this interface that is not freed; `tracker` can be written to.
struct OrcJitError *orc_jit_tracker_new(const struct OrcJitDylib *dylib,
                                        struct OrcJitTracker **tracker);

// Removes what was added through the tracker. Its memory is given back when the last symbol of it is freed.
//
// Conditions:
// `tracker` is a tracker of this interface that is not freed. Its code does not run, unless a symbol of it is kept.
struct OrcJitError *orc_jit_tracker_remove(const struct OrcJitTracker *tracker);

// Frees the handle; removes nothing. NULL is allowed.
//
// Conditions:
// `tracker` is NULL or a tracker of this interface, and is not used any more.
void orc_jit_tracker_free(struct OrcJitTracker *tracker);

// Adds an object file. It is linked when something needs it. `tracker` may be NULL: then it stays as long as the dylib.
//
// Conditions:
// `dylib` is a dylib of this interface, `tracker` NULL or one of its trackers, neither is freed; `file` is a path.
struct OrcJitError *orc_jit_dylib_add_object_file(const struct OrcJitDylib *dylib,
                                                  const struct OrcJitTracker *tracker,
                                                  const char *file);

// Adds an object in memory, which is copied. The name is for messages. `tracker` may be NULL.
//
// Conditions:
// `dylib` is a dylib of this interface, `tracker` NULL or one of its trackers, neither is freed; `name` is a text;
// there are `size` bytes.
struct OrcJitError *orc_jit_dylib_add_object(const struct OrcJitDylib *dylib,
                                             const struct OrcJitTracker *tracker,
                                             const char *name,
                                             const void *bytes,
                                             size_t size);

// Adds a static archive: its members are linked by need. `tracker` may be NULL.
//
// Conditions:
// `dylib` is a dylib of this interface, `tracker` NULL or one of its trackers, neither is freed; `file` is a path.
struct OrcJitError *orc_jit_dylib_add_archive(const struct OrcJitDylib *dylib,
                                              const struct OrcJitTracker *tracker,
                                              const char *file);

// Adds a static archive with all its members. `tracker` may be NULL.
//
// Conditions:
// `dylib` is a dylib of this interface, `tracker` NULL or one of its trackers, neither is freed; `file` is a path.
struct OrcJitError *orc_jit_dylib_add_whole_archive(const struct OrcJitDylib *dylib,
                                                    const struct OrcJitTracker *tracker,
                                                    const char *file);

// Adds a library by its name, as `-lNAME` does. `tracker` may be NULL.
//
// Conditions:
// `dylib` is a dylib of this interface, `tracker` NULL or one of its trackers, neither is freed; `name` is a text.
struct OrcJitError *orc_jit_dylib_add_library(const struct OrcJitDylib *dylib,
                                              const struct OrcJitTracker *tracker,
                                              const char *name);

// Adds a shared library, and loads it. `tracker` may be NULL.
//
// Conditions:
// `dylib` is a dylib of this interface, `tracker` NULL or one of its trackers, neither is freed; `file` is a path.
struct OrcJitError *orc_jit_dylib_add_shared_library(const struct OrcJitDylib *dylib,
                                                     const struct OrcJitTracker *tracker,
                                                     const char *file);

// Defines a name as an address: of a function or a variable of this program that linked code may use. (If the code runs in
// another process: an address there.) `tracker` may be NULL.
//
// Conditions:
// `dylib` is a dylib of this interface, `tracker` NULL or one of its trackers, neither is freed; `name` is a text.
// What linked code does with what is there is right.
struct OrcJitError *orc_jit_dylib_define(const struct OrcJitDylib *dylib,
                                         const struct OrcJitTracker *tracker,
                                         const char *name,
                                         const void *address);

// Finds a symbol by its name. What it needs is linked, and initializers run, before this returns.
//
// Conditions:
// `dylib` is a dylib of this interface that is not freed; `name` is a text; `symbol` can be written to.
struct OrcJitError *orc_jit_dylib_lookup(const struct OrcJitDylib *dylib,
                                         const char *name,
                                         struct OrcJitSymbol **symbol);

// Where the symbol is in this process. NULL if its code runs in another process.
//
// Conditions:
// `symbol` is a symbol of this interface that is not freed.
void *orc_jit_symbol_pointer(const struct OrcJitSymbol *symbol);

// Where the symbol is, as a number: in the process where its code runs.
//
// Conditions:
// `symbol` is a symbol of this interface that is not freed.
uint64_t orc_jit_symbol_address(const struct OrcJitSymbol *symbol);

// Frees the handle. Its code may go then. NULL is allowed.
//
// Conditions:
// `symbol` is NULL or a symbol of this interface, and neither it nor its code is used any more.
void orc_jit_symbol_free(struct OrcJitSymbol *symbol);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ORC_JIT_H */
