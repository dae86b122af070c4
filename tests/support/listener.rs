//! Executors that listen.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// An executor that listens, and the place where it does. Ended when dropped.
pub struct Listener {
    process: Child,
    /// As `--executor` names it.
    pub place: String,
}

impl Listener {
    /// Starts `orc-jit executor` with these arguments, and the token in its environment.
    ///
    /// # Panics
    /// If it does not start, or does not say where it listens.
    pub fn start(orc_jit: &Path, arguments: &[&str], token: Option<&str>) -> Self {
        let mut command = Command::new(orc_jit);
        command.arg("executor").args(arguments);
        if let Some(token) = token {
            command.env("ORC_EXECUTOR_TOKEN", token);
        }
        let mut process = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let output = process.stdout.take().expect("a pipe");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("it says where it listens");
        let place = line.trim().rsplit(' ').next().unwrap_or_default();
        assert!(place.contains(':'), "{line}");
        Self {
            place: place.to_owned(),
            process,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
