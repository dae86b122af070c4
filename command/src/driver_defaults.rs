//! What the user's compiler driver tells a linker of its own accord.

use super::surroundings::{Surroundings, c_compiler};

/// Whether the driver passes `--as-needed` ahead of what the user names. Distributions differ in this,
/// and options change it (Debian's gcc does not with `-fsanitize`), so the driver is asked for the
/// command that it would run.
pub(super) fn is_as_needed(surroundings: &dyn Surroundings, flags: &[String]) -> bool {
    let ask = |flags: &[String]| {
        let more = ["-###".to_owned(), format!("-l{MARK}")];
        let question = [flags, &more].concat();
        surroundings.ask_compiler(&c_compiler(), &question).ok()
    };
    // Of options that it does not know, another driver was meant.
    let answer = ask(flags).or_else(|| ask(&[]));
    answer.is_some_and(|answer| says_as_needed(&answer))
}

/// A library that stands for what the user names. Nobody looks for it.
const MARK: &str = "orc-jit-asks";

fn says_as_needed(answer: &str) -> bool {
    // gcc also tells the options that it hands on through the environment.
    let is_command = |line: &&str| line.contains(MARK) && line.starts_with(' ');
    let Some(command) = answer.lines().find(is_command) else {
        return false;
    };
    let mut saved = Vec::new();
    let mut as_needed = false;
    for word in command
        .split_whitespace()
        .map(|word| word.trim_matches('"'))
    {
        match word {
            "--as-needed" => as_needed = true,
            "--no-as-needed" => as_needed = false,
            "--push-state" => saved.push(as_needed),
            "--pop-state" => as_needed = saved.pop().unwrap_or(as_needed),
            _ if word.contains(MARK) => break,
            _ => {}
        }
    }
    as_needed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_force_where_the_user_names_libraries() {
        let says = |options: &str| says_as_needed(&format!("cc1 x\n ld {options}\n"));
        assert!(says("--as-needed -pie crt1.o \"-lorc-jit-asks\" -lc"));
        assert!(says("\"--as-needed\" crt1.o -lorc-jit-asks -lc"));
        assert!(!says("crt1.o -lorc-jit-asks --as-needed -lgcc_s"));
        assert!(!says(
            "--push-state --as-needed x.o --pop-state -lorc-jit-asks"
        ));
        assert!(!says("--as-needed -lc"));
    }
}
