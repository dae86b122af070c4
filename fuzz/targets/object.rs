//! Bytes as a relocatable object: its symbol table, then its graph.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| platform_elf::object::fuzz_object(bytes));
