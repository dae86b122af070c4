//! Bytes as a linker script in place of a library.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = orc_inputs::linker_script::looks_like_script(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = orc_inputs::linker_script::parse(text, "script");
    }
});
