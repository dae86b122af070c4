//! `include/orc_jit.h` says what the sources say.

use std::path::Path;

/// The header, as the sources have it.
fn made() -> String {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(package.join("cbindgen.toml")).expect("reads");
    let mut builder = cbindgen::Builder::new().with_config(config);
    // In the order in which a reader needs them.
    for file in ["error", "executor", "jit", "dylib", "symbol"] {
        builder = builder.with_src(package.join(format!("src/{file}.rs")));
    }
    let mut text = Vec::new();
    builder.generate().expect("parses").write(&mut text);
    let text = String::from_utf8(text).expect("is text");
    // What Rust calls safety are conditions to a C programmer.
    text.replace("// # Safety", "// Conditions:")
}

#[test]
fn the_header_is_made_from_the_sources() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/orc_jit.h");
    let made = made();
    if std::env::var_os("ORC_JIT_WRITE_HEADER").is_some() {
        std::fs::write(&path, &made).expect("can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "include/orc_jit.h is old: ORC_JIT_WRITE_HEADER=1 cargo test -p orc-jit-c --test header"
    );
}
