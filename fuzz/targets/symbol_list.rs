//! Bytes as a list of symbols to export.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    orc_inputs::symbol_list::fuzz_symbol_list(bytes);
});
