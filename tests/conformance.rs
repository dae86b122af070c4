//! `conformance write|check LINES DOCUMENT`: makes the document of the lines that a run of the
//! end-to-end tests noted, or checks it against them. `xtask` calls this.

use std::fs;
use std::process::ExitCode;

use tests::conformance::Held;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    let [action, lines, document] = arguments else {
        return Err("expected write|check LINES DOCUMENT".to_owned());
    };
    let read = |path: &String| fs::read_to_string(path).map_err(|e| format!("{path}: {e}"));
    let held = Held::read(&read(lines)?);
    if action == "write" {
        let before = fs::read_to_string(document).unwrap_or_default();
        return fs::write(document, held.document(&before)).map_err(|e| format!("{document}: {e}"));
    }
    let problems = held.untrue(&read(document)?);
    if problems.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{document} claims what no test of this run holds; run `cargo run -p xtask -- conformance`:\n{}",
        problems.join("\n")
    ))
}
