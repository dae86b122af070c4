//! Linked code's wrapper functions, made by a compiler.

use orc_shared::remote::llvm::{DISPATCH_CONTEXT, DISPATCH_FUNCTION};
use orc_shared::remote::services::Service;

use super::controller::Spawned;
use super::{library, path};

/// Wrapper functions of linked code, in a library, where a compiler can make them.
pub const WRAPPERS: &str = r#"
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
typedef struct { union { char *ptr; char inl[8]; } data; size_t size; } result;
typedef result (*dispatch_fn)(void *, void *, const char *, size_t);
typedef struct { dispatch_fn call; void *ctx; void *tag; } target;
static result bytes(const void *from, size_t size) {
    result r = {{0}, size};
    if (size > 8) memcpy(r.data.ptr = malloc(size), from, size);
    else memcpy(r.data.inl, from, size);
    return r;
}
result echo(const char *data, size_t size) { return bytes(data, size); }
result refuse(const char *data, size_t size) {
    result r = {{strdup("refused")}, 0};
    return r;
}
/* Passes what follows the target on to the controller. */
result call_back(const char *data, size_t size) {
    target t;
    memcpy(&t, data, sizeof t);
    return t.call(t.ctx, t.tag, data + sizeof t, size - sizeof t);
}
/* A child's call must fail at once: its exit code says whether it did. */
result call_back_in_a_child(const char *data, size_t size) {
    pid_t child = fork();
    int status = -1;
    if (child == 0) {
        result r = call_back(data, size);
        _exit(r.size == 0 && r.data.ptr && strstr(r.data.ptr, "forked") ? 41 : 42);
    }
    waitpid(child, &status, 0);
    return bytes(&status, sizeof status);
}
result exit_with(const char *data, size_t size) { exit(data[0]); }
result crash(const char *data, size_t size) { return *(result *)data[0]; }
result environment(const char *data, size_t size) {
    char text[4096];
    getcwd(text, sizeof text);
    strcat(strcat(text, " "), getenv("ONLY") ? getenv("ONLY") : "none");
    strcat(text, getenv("PATH") ? " PATH" : "");
    return bytes(text, strlen(text));
}
result print(const char *data, size_t size) {
    write(1, data, size);
    return bytes("", 0);
}
result nap(const char *data, size_t size) {
    usleep(data[0] * 10000);
    return bytes("", 0);
}
result is_main_thread(const char *data, size_t size) {
    char yes = gettid() == getpid();
    return bytes(&yes, 1);
}
"#;

/// An executor that has loaded them.
pub fn with_wrappers(test: &str) -> Spawned {
    let library = library(
        test,
        "wrappers.c",
        &format!("#define _GNU_SOURCE\n{WRAPPERS}"),
        &["-w"],
    );
    let mut it = Spawned::accepted();
    let opened = it
        .controller
        .order(Service::OpenLibrary, path(&library).as_str());
    opened.expect("opens");
    it
}

/// Calls one of them by name.
pub fn call(it: &mut Spawned, name: &str, arguments: &[u8]) -> Result<Vec<u8>, String> {
    let function = it.controller.function(name);
    it.controller
        .expected(Service::Call, &(function, arguments))
}

/// The arguments of `call_back`.
pub fn to_controller(it: &Spawned, tag: u64, arguments: &[u8]) -> Vec<u8> {
    let dispatch = it.controller.symbol(DISPATCH_FUNCTION).value();
    let context = it.controller.symbol(DISPATCH_CONTEXT).value();
    let head = [dispatch, context, tag].map(u64::to_le_bytes).concat();
    [&head, arguments].concat()
}
