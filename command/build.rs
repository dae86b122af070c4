//! The command has a reserve of thread-local storage for the programs that it runs in its own process. The
//! library `orc-jit` leaves that to its host: a library that is opened with `dlopen` cannot have it.
//! Asking the linker, and not for a feature, keeps it out of what else is built in the same run.
//!
//! It exports the symbols through which debuggers learn of linked code, so that they are found in a command that
//! was stripped, too.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-bin=orc-jit=-Wl,--undefined=orc_target_process_tls_reserve");
    for symbol in ["__jit_debug_register_code", "__jit_debug_descriptor"] {
        println!("cargo::rustc-link-arg-bin=orc-jit=-Wl,--export-dynamic-symbol={symbol}");
    }
}
