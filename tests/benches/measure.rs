//! Running a command and taking its time.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// One run of a command.
pub struct Run {
    /// Wall-clock time from start to end.
    pub seconds: f64,
    /// What it printed.
    pub stdout: String,
}

/// Runs `command` in `directory`.
///
/// # Errors
/// It cannot be started, or does not succeed: the last line of its standard error.
pub fn timed(command: &[String], directory: &Path) -> Result<Run, String> {
    let (program, arguments) = command.split_first().expect("a command has a program");
    let start = Instant::now();
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    let seconds = start.elapsed().as_secs_f64();
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = message
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("no message");
        return Err(format!("{}: {line}", output.status));
    }
    Ok(Run {
        seconds,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
    })
}

/// Peak resident memory of `command` as GNU time tells it, or a dash without GNU time.
pub fn peak_memory(command: &[String], directory: &Path) -> String {
    let output = Command::new("/usr/bin/time")
        .args(["-f", "%M"])
        .args(command)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output();
    let kilobytes = output.ok().and_then(|output| {
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        message.lines().last()?.trim().parse::<f64>().ok()
    });
    kilobytes.map_or("-".to_owned(), |kilobytes| {
        format!("{:.0} MB", kilobytes / 1024.0)
    })
}

/// The middle value.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
