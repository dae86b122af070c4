//! Tasks that CI and developers run: `cargo run -p xtask -- TASK`.
fn main() {}
