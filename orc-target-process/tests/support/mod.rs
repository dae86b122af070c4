//! What tests that change the whole process need: a process each, and small libraries.
#![allow(dead_code)]

pub mod controller;
pub mod entering;
pub mod machine;
pub mod wrappers;

use std::path::{Path, PathBuf};
use std::process::Command;

use orc_shared::ExecutorAddr;
use orc_shared::api::{Export, Import, ImportKind, NativeKind, ProgramImage};

const CHILD: &str = "ORC_TEST_CHILD";

/// Runs `body` in a process of its own: this test again, in a child of the test binary.
pub fn in_child(test: &str, body: impl FnOnce()) {
    in_child_with(test, &[], body);
}

/// The same with more environment variables.
pub fn in_child_with(test: &str, environment: &[(&str, &str)], body: impl FnOnce()) {
    if std::env::var(CHILD).is_ok_and(|name| name == test) {
        return body();
    }
    let output = program(&std::env::current_exe().expect("known"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, test)
        .envs(for_program(environment))
        .output()
        .expect("the test binary starts");
    let ran = String::from_utf8_lossy(&output.stdout).contains("1 passed");
    assert!(
        output.status.success() && ran,
        "{test}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What starts a program of this CPU: itself, or the emulator that is in the environment.
pub fn program(path: &Path) -> Command {
    let runner = std::env::var("ORC_TEST_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    let Some(emulator) = words.next() else {
        return Command::new(path);
    };
    let mut command = Command::new(emulator);
    command.args(words).arg(path);
    command
}

/// Variables that a program of this CPU is to see: not an emulator, to which they may mean something.
fn for_program(environment: &[(&str, &str)]) -> Vec<(String, String)> {
    if environment.is_empty() || std::env::var_os("ORC_TEST_RUNNER").is_none() {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        return environment.iter().map(owned).collect();
    }
    let words = environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let words: Vec<String> = words.collect();
    vec![("QEMU_SET_ENV".to_owned(), words.join(","))]
}

/// Builds a shared library from C (or C++, if the name says so) and returns its path.
pub fn library(test: &str, name: &str, source: &str, options: &[&str]) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    std::fs::create_dir_all(&directory).expect("creatable");
    let cpp = name.ends_with(".cpp");
    let source_path = directory.join(name);
    std::fs::write(&source_path, source).expect("writable");
    let stem = name.split('.').next().expect("has a name");
    let library = directory.join(format!("lib{stem}.so"));
    let (variable, usual) = if cpp { ("CXX", "c++") } else { ("CC", "cc") };
    let output = Command::new(std::env::var(variable).unwrap_or_else(|_| usual.to_owned()))
        .args(["-shared", "-fPIC", "-O1", "-fno-builtin", "-o"])
        .args([&library, &source_path])
        .args(options)
        .output()
        .expect("a compiler");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    library
}

pub fn path(library: &Path) -> String {
    library.to_str().expect("plain path").to_owned()
}

pub fn import(name: &str, kind: ImportKind) -> Import {
    Import {
        name: name.into(),
        version: None,
        kind,
        weak: false,
    }
}

pub fn versioned(name: &str, version: &str, library: &str) -> Import {
    Import {
        version: Some((version.into(), library.into())),
        ..import(name, ImportKind::Address)
    }
}

pub fn weak(import: Import) -> Import {
    Import {
        weak: true,
        ..import
    }
}

pub fn export(name: &str, addr: *const (), size: u64, kind: NativeKind) -> Export {
    Export {
        name: name.into(),
        version: None,
        addr: ExecutorAddr::new(addr as u64),
        size,
        kind,
        redirect_loaded: false,
    }
}

pub fn function(name: &str, addr: *const ()) -> Export {
    export(name, addr, 1, NativeKind::Function)
}

pub fn redirected(export: Export) -> Export {
    Export {
        redirect_loaded: true,
        ..export
    }
}

pub fn image(library: &Path) -> ProgramImage {
    ProgramImage {
        needed: vec![path(library)],
        ..ProgramImage::default()
    }
}
