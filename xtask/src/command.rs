//! Running other programs from the root of the repository.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The root of the repository.
pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("xtask/ lies in the workspace")
        .to_path_buf()
}

/// The cargo that runs this task.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Where the cargo that runs this task builds, as the user has told it or by default.
pub fn target_directory() -> PathBuf {
    // Cargo marks it, however it was named, and this program lies in it.
    let own = std::env::current_exe().unwrap_or_default();
    let marked = |directory: &&Path| directory.join("CACHEDIR.TAG").exists();
    let found = own.ancestors().skip(1).find(marked);
    found.map_or_else(|| root().join("target"), Path::to_path_buf)
}

/// Shows a command, runs it in `directory`, and says how long it took.
///
/// # Errors
/// The command cannot be started, or fails.
pub fn run_in<S: AsRef<OsStr>>(
    directory: &Path,
    program: impl AsRef<OsStr>,
    arguments: &[S],
) -> Result<(), String> {
    show_and_run(directory, program.as_ref(), arguments, Stdio::inherit()).map(drop)
}

/// The same with more variables in its environment.
///
/// # Errors
/// As [`run_in`].
pub fn run_with<S: AsRef<OsStr>>(
    variables: &[(String, OsString)],
    program: impl AsRef<OsStr>,
    arguments: &[S],
) -> Result<(), String> {
    let words = variables.iter().map(|(name, value)| {
        let mut word = OsString::from(format!("{name}="));
        word.push(value);
        word
    });
    let rest = arguments.iter().map(|word| word.as_ref().to_owned());
    let program = [program.as_ref().to_owned()];
    let words: Vec<OsString> = words.chain(program).chain(rest).collect();
    run_in(&root(), "env", &words)
}

/// Shows a command, runs it, and returns what it has printed if `output` is a pipe.
fn show_and_run<S: AsRef<OsStr>>(
    directory: &Path,
    program: &OsStr,
    arguments: &[S],
    output: Stdio,
) -> Result<Vec<u8>, String> {
    let name = Path::new(program).file_name().unwrap_or(program);
    let words = arguments.iter().map(|word| word.as_ref().to_string_lossy());
    let words: Vec<_> = std::iter::once(name.to_string_lossy())
        .chain(words)
        .collect();
    let line = words.join(" ");
    say(&format!("$ {line}\n"))?;
    let start = Instant::now();
    let done = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        // A name relative to the user's directory would mean another one in this.
        .env("CARGO_TARGET_DIR", target_directory())
        .stdin(Stdio::inherit())
        .stdout(output)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{line}: {error}"))?;
    let seconds = start.elapsed().as_secs();
    if seconds > 2 {
        say(&format!("  took {seconds} s\n"))?;
    }
    if done.status.success() {
        Ok(done.stdout)
    } else {
        Err(format!("`{line}` failed: {}", done.status))
    }
}

/// Prints what a person wants to read. Whoever has closed the pipe does not.
///
/// # Errors
/// It cannot be written.
pub fn say(text: &str) -> Result<(), String> {
    let mut output = std::io::stdout().lock();
    let written = output.write_all(text.as_bytes());
    let flushed = written.and_then(|()| output.flush());
    flushed.map_err(|error| format!("cannot write to standard output: {error}"))
}

/// Builds the command `name` of `package`, and returns where it is.
///
/// # Errors
/// As [`run_in`]; also if Cargo does not tell.
pub fn build_command(package: &str, name: &str) -> Result<PathBuf, String> {
    let arguments = [
        "build",
        "--package",
        package,
        "--bin",
        name,
        "--message-format=json-render-diagnostics",
    ];
    let messages = show_and_run(&root(), &cargo(), &arguments, Stdio::piped())?;
    executable(&String::from_utf8_lossy(&messages))
        .ok_or_else(|| format!("cargo does not tell where {name} is"))
}

/// The last executable that Cargo's messages name.
fn executable(messages: &str) -> Option<PathBuf> {
    let named = messages.rsplit("\"executable\":\"").next()?;
    if named.len() == messages.len() {
        return None;
    }
    let (mut path, mut characters) = (String::new(), named.chars());
    loop {
        match characters.next()? {
            '"' => return Some(PathBuf::from(path)),
            '\\' => path.push(characters.next()?),
            character => path.push(character),
        }
    }
}

/// Runs cargo in the root of the repository.
///
/// # Errors
/// As [`run_in`].
pub fn run_cargo(arguments: &[&str]) -> Result<(), String> {
    run_in(&root(), cargo(), arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_tells_where_a_command_is() {
        let messages = r#"{"reason":"compiler-artifact","executable":null}
{"reason":"compiler-artifact","executable":"/a \"b\"/debug/orc-jit","fresh":true}
{"reason":"build-finished","success":true}"#;
        assert_eq!(
            executable(messages),
            Some(PathBuf::from("/a \"b\"/debug/orc-jit"))
        );
        assert_eq!(executable("{\"executable\":null}"), None);
    }

    #[test]
    fn this_program_lies_in_the_target_directory() {
        let own = std::env::current_exe().expect("a path");
        let target = target_directory();
        assert!(target.is_absolute() && own.starts_with(&target));
    }
}
