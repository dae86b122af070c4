//! Bytes as a static archive: its index, every member by the index, and all members.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| platform_elf::archive::fuzz_archive(bytes));
