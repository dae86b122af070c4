//! Running a command, and what it costs.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// What a command cost.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    /// Wall-clock seconds from start to end.
    pub wall: f64,
    /// Seconds of processor time, of the command and of all it waited for; in steps of 10 ms.
    pub cpu: f64,
    /// Peak resident memory in MB.
    pub peak: f64,
}

/// One run of a command.
pub struct Run {
    /// What it cost.
    pub cost: Cost,
    /// What it printed.
    pub stdout: String,
}

/// Runs `command` in `directory`, under GNU time.
///
/// # Errors
/// It cannot be started, or does not succeed: the first line of its standard error.
pub fn timed(command: &[String], directory: &Path) -> Result<Run, String> {
    let figures = directory.join("time");
    let start = Instant::now();
    let output = Command::new("/usr/bin/time")
        .args(["--quiet", "--format=%U %S %M", "--output"])
        .arg(&figures)
        .args(command)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("GNU time: {error}"))?;
    let wall = start.elapsed().as_secs_f64();
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = message
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("no message");
        return Err(format!("{}: {line}", output.status));
    }
    let figures = fs::read_to_string(figures).map_err(|error| format!("GNU time: {error}"))?;
    let figures: Vec<f64> = figures
        .split_whitespace()
        .filter_map(|figure| figure.parse().ok())
        .collect();
    let [user, system, kilobytes] = figures[..] else {
        return Err("GNU time prints something else".to_owned());
    };
    Ok(Run {
        cost: Cost {
            wall,
            cpu: user + system,
            peak: kilobytes / 1024.0,
        },
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
    })
}

/// The middle value.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
