//! Bytes as a library of macOS, linked or a text-based stub: what it is called and provides.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| platform_macho::format::fuzz_library(bytes));
