//! The `orc-jit` command.
//!
//! The process that links is the one that runs the program, so its `main` is the C one: Rust's own
//! start-up would ignore `SIGPIPE`, open closed standard descriptors and take over the signals of a
//! stack overflow, and a program would notice each of these. Arguments come from the C library's
//! initialization, which Rust reads without its start-up code.
#![no_main]

use std::ffi::{c_char, c_int};

use orc_jit_command::heap::LinkHeap;
use orc_shared::remote::token;
use orc_system::standard_streams;
use orc_target_process::host::process::{begin_own_work, end_own_work, take_variable};

#[global_allocator]
static HEAP: LinkHeap = LinkHeap;

/// What the C library calls.
// SAFETY: the name is the C library's for this very function, and the signature agrees.
#[unsafe(no_mangle)]
pub extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    standard_streams::occupy();
    // Until the program's.
    begin_own_work();
    // SAFETY: the process has one thread, which has not looked at its environment.
    orc_jit_command::keep_token(unsafe { take_variable(token::VARIABLE) });
    for (name, value) in orc_jit_command::saved_environment() {
        match value {
            // SAFETY: the process has no other thread yet.
            Some(value) => unsafe { std::env::set_var(name, value) },
            // SAFETY: as above.
            None => unsafe { std::env::remove_var(name) },
        }
    }
    let status = orc_jit_command::main(std::env::args_os().collect());
    end_own_work();
    status
}
