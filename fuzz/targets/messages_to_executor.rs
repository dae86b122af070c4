//! Bytes as what a controller sends: messages, and the arguments of every service.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| orc_target_process::server::fuzz_messages(bytes));
