//! Compilers for macOS: those of `ziglang`, a package for Python with macOS's headers and C++ library.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::target::target;
use crate::toolchain::{Compiler, Mode};

/// What objects for macOS are compiled with.
pub struct Tools {
    /// The command that everything begins with.
    command: Vec<String>,
    /// Its version.
    version: String,
}

/// How programs are compiled for macOS.
pub const MODES: &[Mode] = &[
    Mode {
        name: "O1",
        compile: &["-O1"],
        link: &[],
    },
    // Compact unwind entries alone say how functions are unwound, wherever they can.
    Mode {
        name: "compact",
        compile: &["-O2", "-femit-dwarf-unwind=no-compact-unwind"],
        link: &[],
    },
];

/// The tools, if they are installed.
pub fn tools() -> Option<&'static Tools> {
    static FOUND: OnceLock<Option<Tools>> = OnceLock::new();
    FOUND.get_or_init(find).as_ref()
}

fn find() -> Option<Tools> {
    let command = ["python3", "-m", "ziglang"].map(str::to_owned).to_vec();
    let answer = Command::new(&command[0])
        .args(&command[1..])
        .arg("version")
        .output()
        .ok()?;
    let version = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    answer
        .status
        .success()
        .then_some(Tools { command, version })
}

/// What zig calls macOS on the CPU of this run's target.
fn triple() -> String {
    let cpu = target().triple.split('-').next().unwrap_or_default();
    format!("{cpu}-macos")
}

impl Tools {
    /// The command that makes archives.
    pub fn archiver(&self) -> Vec<String> {
        let mut archiver = self.command.clone();
        archiver.push("ar".to_owned());
        archiver
    }

    /// The compilers, as files below `directory` that stand for them.
    ///
    /// # Errors
    /// When these cannot be written.
    pub fn compiler(&self, directory: &Path) -> io::Result<Compiler> {
        Ok(Compiler {
            name: "zig",
            cc: self.driver(directory, "cc")?,
            cxx: self.driver(directory, "c++")?,
            version: self.version.clone(),
        })
    }

    fn driver(&self, directory: &Path, name: &str) -> io::Result<PathBuf> {
        let path = directory.join(format!("macos-{name}"));
        let command = self.command.join(" ");
        fs::create_dir_all(directory)?;
        let triple = triple();
        let text = format!("#!/bin/sh\nexec {command} {name} -target {triple} \"$@\"\n");
        // Nobody can start a file that another thread writes.
        static WRITES: Mutex<()> = Mutex::new(());
        let _one = WRITES.lock().unwrap_or_else(PoisonError::into_inner);
        if fs::read_to_string(&path).is_ok_and(|known| known == text) {
            return Ok(path);
        }
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    /// Has macOS's C++ library made, which takes a minute or two when nobody has asked for it before.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make_cxx_library(&self, directory: &Path) -> io::Result<()> {
        fs::create_dir_all(directory)?;
        let answer = Command::new(&self.command[0])
            .args(&self.command[1..])
            .args(["c++", "-target", &triple(), "-shared"])
            .args(["-x", "c++", "/dev/null", "-o"])
            .arg(directory.join("empty"))
            .output()?;
        match answer.status.success() {
            true => Ok(()),
            false => Err(io::Error::other(
                String::from_utf8_lossy(&answer.stderr).into_owned(),
            )),
        }
    }
}
