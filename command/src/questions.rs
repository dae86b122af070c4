//! What build tools ask a linker about itself.
//!
//! `configure` scripts, CMake, Meson and GHC find out which linker they have from what it says of
//! itself, by words that they know. Like other linkers that take GNU ld's options, this command says
//! so in these words: "GNU" anywhere in the answer for some, "GNU ld" at the start of a line for
//! others; libtool wants the supported targets in the help.

use std::fmt::Write as _;

use super::link_line::{LinkLine, Question};
use super::say;
use super::{ld_options, link_cpu};

/// Answers, and tells whether that was all that was asked for.
///
/// # Errors
/// When the answer cannot be written.
pub(super) fn answer(question: Question, line: &LinkLine) -> Result<bool, String> {
    let text = match question {
        Question::Help => help(),
        Question::Name | Question::Version => name(),
    };
    say::print(&text)?;
    Ok(question != Question::Name || line.inputs.is_empty())
}

fn name() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "orc-jit {version} (compatible with GNU ld)\nGNU ld's options are taken as it takes them.\n"
    )
}

fn help() -> String {
    let mut text = "Usage: orc-jit [options] file...\nOptions:\n".to_owned();
    let mut options: Vec<&str> = ld_options::known().collect();
    options.sort_by_key(|option| option.to_lowercase());
    options.dedup();
    for option in options {
        let dashes = if option.len() == 1 || option.starts_with("z ") {
            "-"
        } else {
            "--"
        };
        let _ = writeln!(text, "  {dashes}{option}");
    }
    let (emulation, target) = link_cpu::own_names();
    let _ = writeln!(text, "\norc-jit: supported targets: {target}");
    let _ = writeln!(text, "orc-jit: supported emulations: {emulation}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_build_tools_look_for() {
        let name = name();
        assert!(
            name.lines().any(|line| line.starts_with("GNU ld")),
            "{name}"
        );
        let help = help();
        for option in [
            "--as-needed",
            "--no-undefined",
            "--version-script",
            "-z defs",
        ] {
            assert!(help.contains(&format!("  {option}\n")), "{option}");
        }
        assert!(help.contains(": supported targets: elf64-x86-64"));
    }
}
