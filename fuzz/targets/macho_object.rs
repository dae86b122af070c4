//! Bytes as a relocatable Mach-O object: its symbol table, then its graph.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| platform_macho::object::fuzz_object(bytes));
