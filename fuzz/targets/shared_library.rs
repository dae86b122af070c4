//! Bytes as a shared library: its symbol table is searched, in its own order and by name.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| platform_elf::shared_library::fuzz_library(bytes));
