//! Packages for a registry, tried as their users would: by a project that depends on them, outside of
//! this one, with a Cargo that has never downloaded anything.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::command::{cargo, root, run_in, run_with, say, target_directory};
use crate::cross;

/// What is published, in the order of dependencies.
const PUBLISHED: [&str; 12] = [
    "orc-shared",
    "orc-system",
    "orc-rt",
    "orc-embedded",
    "orc-target-process",
    "jit-core",
    "orc-inputs",
    "platform-elf",
    "platform-macho",
    "orc-jit",
    "orc-jit-c",
    "orc-jit-command",
];

/// The files of a package that are compiled before it is made.
const PREBUILT: [&str; 3] = ["liborc_rt.a", "orc-executor", "liborc_executor_guest.so"];

/// Makes the packages, with prebuilt files for this machine's target and those that the arguments name, and
/// tries them.
///
/// # Errors
/// When a package cannot be made, its prebuilt files differ between two places of the same sources, or a
/// user's project does not build or run.
pub fn run(others: &[String]) -> Result<(), String> {
    let own = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    if let Some(unknown) = others.iter().find(|it| **it != own && *it != cross::TARGET) {
        return Err(format!(
            "nothing is known of how to build for {unknown}: the targets are {own} and {}",
            cross::TARGET
        ));
    }
    let prebuilt = root().join("orc-embedded/prebuilt");
    // What an earlier run has left would be packed too.
    let _ = fs::remove_dir_all(&prebuilt);
    build(&prebuilt.join(&own), &own)?;
    if own != cross::TARGET && others.iter().any(|it| it == cross::TARGET) {
        build_for_other_cpu(&prebuilt.join(cross::TARGET))?;
    }
    let place = Place::new()?;
    is_reproducible(&place, &prebuilt.join(&own))?;
    place.unpack_packages()?;
    fs::remove_dir_all(&prebuilt).map_err(|error| failed(&prebuilt, &error))?;
    place.try_library()?;
    place.try_command()?;
    place.leave()
}

/// Compiles what a controller carries, where the build script of `orc-embedded` does.
fn build(into: &Path, target: &str) -> Result<(), String> {
    let words = [
        "run",
        "--quiet",
        "--package",
        "orc-rt-archive",
        "--",
        "--all",
    ];
    let words = words.map(OsString::from).into_iter();
    let words: Vec<OsString> = words.chain([into.into(), target.into()]).collect();
    let target_dir = target_directory().join("embedded");
    let variables = [("CARGO_TARGET_DIR".to_owned(), target_dir.into())];
    run_with(&variables, cargo(), &words)
}

/// The same for AArch64, with the compiler that can.
fn build_for_other_cpu(into: &Path) -> Result<(), String> {
    cross::build(&cross::Toolchain::find()?, true)?;
    fs::create_dir_all(into).map_err(|error| failed(into, &error))?;
    for file in PREBUILT {
        let from = cross::directory().join(file);
        fs::copy(&from, into.join(file)).map_err(|error| failed(&from, &error))?;
    }
    Ok(())
}

/// Compiles it from a copy of the sources elsewhere, as somebody who has just got them: the bytes must be the
/// same.
fn is_reproducible(place: &Place, prebuilt: &Path) -> Result<(), String> {
    let copy = place.directory.join("copy");
    let prefix = format!("--prefix={}/", copy.display());
    run_in(&root(), "git", &["checkout-index", "--all", &prefix])?;
    let build = ["build", "--quiet", "--package", "orc-embedded"];
    place.cargo(&copy, &build)?;
    let again = place.embedded()?;
    let first = ran_at(&again)?;
    place.cargo(&copy, &build)?;
    if ran_at(&again)? != first {
        return Err("orc-embedded is built anew though nothing has changed".to_owned());
    }
    for file in PREBUILT {
        let [first, second] = [prebuilt.join(file), again.join(file)];
        let read = |path: &Path| fs::read(path).map_err(|error| failed(path, &error));
        if read(&first)? != read(&second)? {
            return Err(format!(
                "{} and {} differ, and were made from the same sources",
                first.display(),
                second.display()
            ));
        }
    }
    fs::remove_dir_all(&copy).map_err(|error| failed(&copy, &error))
}

/// When the build script that has made this directory ran last.
fn ran_at(out: &Path) -> Result<SystemTime, String> {
    let told = out.with_file_name("output");
    let time = fs::metadata(&told).and_then(|told| told.modified());
    time.map_err(|error| failed(&told, &error))
}

/// A directory of a user, outside of the project (Cargo looks for a workspace in all directories above), and a home
/// of Cargo that has nothing but the user's configuration.
struct Place {
    directory: PathBuf,
    /// What is large: the home, and what is built.
    built: PathBuf,
}

impl Place {
    fn new() -> Result<Self, String> {
        let built = target_directory().join("tmp/package");
        let directory = std::env::temp_dir().join(format!("orc-jit-user-{}", std::process::id()));
        for old in [&built, &directory] {
            let _ = fs::remove_dir_all(old);
        }
        let place = Self { directory, built };
        let home = place.home();
        for directory in [&home, &place.crates()] {
            fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
        }
        // Mirrors of registries are the user's own affair.
        let users = std::env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
        let configuration = users.map(|users| users.join("config.toml"));
        if let Some(file) = configuration.filter(|file| file.exists()) {
            let own = home.join("config.toml");
            fs::copy(&file, &own).map_err(|error| failed(&file, &error))?;
        }
        Ok(place)
    }

    fn home(&self) -> PathBuf {
        self.built.join("cargo-home")
    }

    fn target_directory(&self) -> PathBuf {
        self.built.join("target")
    }

    fn crates(&self) -> PathBuf {
        self.directory.join("crates")
    }

    /// Where the build script of `orc-embedded` has left its files.
    fn embedded(&self) -> Result<PathBuf, String> {
        let scripts = self.target_directory().join("debug/build");
        fs::read_dir(&scripts)
            .map_err(|error| failed(&scripts, &error))?
            .flatten()
            .filter(|entry| {
                entry
                    .file_name()
                    .to_string_lossy()
                    .starts_with("orc-embedded-")
            })
            .map(|entry| entry.path().join("out"))
            .find(|out| out.join(PREBUILT[0]).is_file())
            .ok_or_else(|| format!("{}: orc-embedded is not there", scripts.display()))
    }

    /// Makes the packages and unpacks them, as a registry would.
    fn unpack_packages(&self) -> Result<(), String> {
        let mut words = vec!["package", "--quiet", "--no-verify", "--allow-dirty"];
        for name in PUBLISHED {
            words.extend(["--package", name]);
        }
        run_in(&root(), cargo(), &words)?;
        let version = env!("CARGO_PKG_VERSION");
        let mut patches = "[patch.crates-io]\n".to_owned();
        for name in PUBLISHED {
            let package = format!("{name}-{version}");
            let file = target_directory().join(format!("package/{package}.crate"));
            run_in(
                &self.crates(),
                "tar",
                &["-xzf".into(), file.into_os_string()],
            )?;
            let path = self.crates().join(&package);
            patches.push_str(&format!("{name} = {{ path = {:?} }}\n", path));
        }
        // In a registry they would be found by name and version.
        self.write(".cargo/config.toml", &patches)
    }

    /// A project that has the README's example as its program.
    fn try_library(&self) -> Result<(), String> {
        let readme = root().join("README.md");
        let readme = fs::read_to_string(&readme).map_err(|error| failed(&readme, &error))?;
        let example = readme
            .split_once("```rust\n")
            .and_then(|(_, rest)| rest.split_once("```"))
            .ok_or("README.md has no example in Rust")?
            .0;
        let program = format!(
            "fn main() -> Result<(), Box<dyn std::error::Error>> {{\n{example}drop(jit);\nprintln!(\"5\");\nOk(())\n}}\n"
        );
        self.write("user/src/main.rs", &program)?;
        self.write(
            "user/Cargo.toml",
            "[package]\nname = \"user\"\nedition = \"2024\"\n\n[dependencies]\norc-jit = \"0.1\"\n",
        )?;
        self.write("user/add.c", "int add(int x, int y) { return x + y; }\n")?;
        let user = self.directory.join("user");
        run_in(&user, "cc", &["-c", "add.c"])?;
        self.cargo(&user, &["run", "--quiet"])
    }

    /// The command, installed from its package, runs a program from an empty directory.
    fn try_command(&self) -> Result<(), String> {
        let package = format!("crates/orc-jit-command-{}", env!("CARGO_PKG_VERSION"));
        let install = [
            "install", "--quiet", "--debug", "--path", &package, "--root", ".",
        ];
        self.cargo(&self.directory, &install)?;
        self.write(
            "empty/hello.c",
            "#include <stdio.h>\nint main() { puts(\"Hello\"); }\n",
        )?;
        let command = self.directory.join("bin/orc-jit");
        let empty = self.directory.join("empty");
        run_in(&empty, &command, &["run", "hello.c"])?;
        run_in(&empty, &command, &["run", "--executor=spawn", "hello.c"])?;
        say("packages work outside of the project\n")
    }

    /// Takes away what was there for the trial. After a failure it stays, to be looked at.
    fn leave(&self) -> Result<(), String> {
        for directory in [&self.directory, &self.built] {
            fs::remove_dir_all(directory).map_err(|error| failed(directory, &error))?;
        }
        Ok(())
    }

    /// Runs a Cargo that has nothing downloaded and builds here.
    fn cargo(&self, directory: &Path, words: &[&str]) -> Result<(), String> {
        let home = format!("CARGO_HOME={}", self.home().display());
        let target = format!("CARGO_TARGET_DIR={}", self.target_directory().display());
        let cargo = cargo();
        let program = [
            "-u".into(),
            "CARGO_NET_OFFLINE".into(),
            home.into(),
            target.into(),
            cargo,
        ];
        let rest = words.iter().map(OsString::from);
        let words: Vec<OsString> = program.into_iter().chain(rest).collect();
        run_in(directory, "env", &words)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.directory.join(name);
        let parent = path.parent().unwrap_or(&path);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, text))
            .map_err(|error| failed(&path, &error))
    }
}

fn failed(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
