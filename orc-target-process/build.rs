//! Builds what a program that runs linked code has to have itself: the thread-local reserve, and the
//! symbols that debuggers look for.
//!
//! The reserve comes into an executable that asks for it, by the feature `tls-reserve` or by the
//! linker's option `--undefined=orc_target_process_tls_reserve`, and into nothing else: a library
//! that is opened with `dlopen` and has it could not be opened.
//!
//! `ORC_TLS_RESERVE_SIZE` sets its size in bytes, a multiple of 64; the default is 8 KiB. Each
//! thread of the executable has a copy, on its stack: a thread whose stack has no room for it cannot be made.

use std::env;

const SIZE_OPTION: &str = "ORC_TLS_RESERVE_SIZE";
const DEFAULT_SIZE: u64 = 8 << 10;
/// What linked code's thread-locals may be aligned to (`template::ALIGNMENT`). A page costs a thread
/// nothing that can be measured.
const ALIGNMENT: u64 = 4096;
/// What the size must be a multiple of.
const SIZE_UNIT: u64 = 64;
/// More would not fit beside the stack of a thread with a small one.
const LARGEST: u64 = 16 << 20;

fn main() {
    println!("cargo::rerun-if-env-changed={SIZE_OPTION}");
    println!("cargo::rerun-if-changed=src/host/gnu_linux/thread_locals/reserve.c");
    println!("cargo::rerun-if-changed=src/host/gnu_linux/thread_locals/find_reserve.c");
    println!("cargo::rerun-if-changed=src/host/gnu_linux/debugger.c");
    let target = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if target != "linux" {
        return;
    }
    let size = match env::var(SIZE_OPTION) {
        Err(_) => DEFAULT_SIZE,
        Ok(text) => match text.parse::<u64>() {
            Ok(size) if size.is_multiple_of(SIZE_UNIT) && (1..=LARGEST).contains(&size) => size,
            _ => {
                println!(
                    "cargo::error={SIZE_OPTION} is {text:?}; it must be a number of bytes, a \
                     multiple of {SIZE_UNIT} and at most {LARGEST}"
                );
                return;
            }
        },
    };
    cc::Build::new()
        .file("src/host/gnu_linux/thread_locals/find_reserve.c")
        .file("src/host/gnu_linux/thread_locals/reserve.c")
        .define("ORC_TLS_RESERVE_SIZE", size.to_string().as_str())
        .define("ORC_TLS_RESERVE_ALIGNMENT", ALIGNMENT.to_string().as_str())
        .compile("orc_target_process_tls_reserve");
    cc::Build::new()
        .file("src/host/gnu_linux/debugger.c")
        .compile("orc_target_process_debugger");
    if env::var_os("CARGO_FEATURE_TLS_RESERVE").is_some() {
        export_debugger_interface();
    }
}

/// Lets the loader, and debuggers, find the symbols of the debuggers' interface in `orc-executor`, which is
/// stripped of all others.
fn export_debugger_interface() {
    for symbol in ["__jit_debug_register_code", "__jit_debug_descriptor"] {
        for option in ["--undefined", "--export-dynamic-symbol"] {
            println!("cargo::rustc-link-arg-bin=orc-executor=-Wl,{option}={symbol}");
        }
    }
}
