//! Bytes as what an executor sends: messages, notices and results.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jit_core::remote::fuzz_messages(bytes));
