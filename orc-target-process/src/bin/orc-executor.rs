//! The `orc-executor` command: runs code that a controller in another process links into it.
//!
//! Programs run in this process, so its `main` is the C one: Rust's own start-up would ignore
//! `SIGPIPE`, open closed standard descriptors and take over the signals of a stack overflow, and a
//! program would notice each of these.
#![no_main]

use std::ffi::{c_char, c_int};

use orc_shared::remote::token;

/// What the C library calls.
// SAFETY: the name is the C library's for this very function, and the signature agrees.
#[unsafe(no_mangle)]
pub extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    // SAFETY: the process has one thread, which has not looked at its environment.
    let token = unsafe { orc_target_process::host::process::take_variable(token::VARIABLE) };
    orc_target_process::command::main(std::env::args_os().skip(1).collect(), token)
}
