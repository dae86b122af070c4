//! `xtask aarch64`: everything for AArch64, on this machine, in qemu.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::command::{build_command, cargo, run_with, say, target_directory};
use crate::conformance;
use crate::cross::{self, Toolchain, environment_name};

/// The name of the target in tests, and in their page of what they hold.
const NAME: &str = "aarch64";

/// How programs of the target are run.
const RUNNER: &str = "qemu-aarch64 -L /usr/aarch64-linux-gnu";

/// Tests of the executor that qemu 7.2 does not let pass, and what it does. docs/bugs.md has programs that
/// show each without this project.
const QEMU_LACKS: &[(&str, &str)] = &[
    (
        "a_limit_of_address_space_makes_ranges_smaller",
        "RLIMIT_AS is accepted and has no effect",
    ),
    (
        "each_kind_has_its_permissions_at_every_step",
        "/proc/self/maps shows neighbours as one, with the permissions of the first",
    ),
    (
        "memory_is_mapped_from_sealed_files",
        "the kernel shows the emulator's mappings, in which no code is executable",
    ),
    (
        "frames_that_lead_nowhere_end_the_list",
        "it aborts when a fault's record is sent again (rt_tgsigqueueinfo)",
    ),
    (
        "the_process_takes_the_programs_name",
        "PR_SET_MM is unknown, so the kernel shows the start as it was",
    ),
    ("threads_allocate_in_parallel", OLD_CODE),
    ("a_forked_child_has_its_own_copy_and_can_link", OLD_CODE),
    (
        "it_starts_in_milliseconds",
        "an emulator takes hundreds of them to start",
    ),
];

/// Such code replaces what ran at the same addresses before.
const OLD_CODE: &str =
    "code that is written through /proc/self/mem, or another view of a page, is not noticed";

/// Programs that a short run is made of.
const SMOKE: &str = "basic/";

/// Builds and runs all; with `smoke`, a few programs in an executor that is emulated; with another argument,
/// programs with that in their names.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let toolchain = Toolchain::find()?;
    let filter = arguments.first().map(String::as_str);
    if filter == Some("smoke") {
        cross::build(&toolchain, false)?;
        archive_tests()?;
        return programs(None, &[SMOKE, "--skip", "in-process"]);
    }
    cross::build(&toolchain, true)?;
    if filter.is_none() {
        archive_tests()?;
        executor_tests(&toolchain)?;
    }
    let emulated = emulated_command(&toolchain)?;
    programs(Some(emulated), &filter.into_iter().collect::<Vec<_>>())?;
    match filter {
        None => conformance::check_for(NAME),
        Some(_) => Ok(()),
    }
}

/// Where programs for the target are built.
fn own_directory() -> PathBuf {
    target_directory().join("aarch64")
}

/// What the runtime's archive defines and demands.
fn archive_tests() -> Result<(), String> {
    let targets = ("ORC_JIT_TARGETS".to_owned(), targets().into_os_string());
    let words = ["test", "--package", "orc-rt-archive", "--test", "archive"];
    run_with(&[targets], cargo(), &words)
}

/// Where a controller looks for what other CPUs need.
fn targets() -> PathBuf {
    let of_cpu = cross::directory();
    of_cpu.parent().unwrap_or(&of_cpu).to_owned()
}

/// The tests of `orc-target-process`, themselves programs of the target.
fn executor_tests(toolchain: &Toolchain) -> Result<(), String> {
    let mut variables = toolchain.variables();
    let runner = format!("CARGO_TARGET_{}_RUNNER", environment_name());
    variables.extend(
        [
            (runner.as_str(), RUNNER),
            ("ORC_TEST_RUNNER", RUNNER),
            ("CC", "aarch64-linux-gnu-gcc"),
            ("CXX", "aarch64-linux-gnu-g++"),
            ("NM", "aarch64-linux-gnu-nm"),
        ]
        .map(|(name, value)| (name.to_owned(), OsString::from(value))),
    );
    let mut arguments = vec!["test", "--package", "orc-target-process"];
    arguments.extend(toolchain.arguments());
    let directory = own_directory();
    let directory = directory.to_string_lossy();
    arguments.extend([
        "--target-dir",
        &directory,
        "--no-fail-fast",
        "--tests",
        "--",
    ]);
    for (test, reason) in QEMU_LACKS {
        say(&format!("left out: {test}: {reason}\n"))?;
        arguments.extend(["--skip", test]);
    }
    run_with(&variables, &toolchain.cargo, &arguments)
}

/// Builds an `orc-jit` for the target.
fn emulated_command(toolchain: &Toolchain) -> Result<PathBuf, String> {
    let mut variables = toolchain.variables();
    variables.push(("ORC_JIT_PREBUILT".to_owned(), cross::directory().into()));
    let directory = own_directory();
    let mut arguments = vec!["build", "--package", "orc-jit-command"];
    arguments.extend(toolchain.arguments());
    let name = directory.to_string_lossy();
    arguments.extend(["--target-dir", &name]);
    run_with(&variables, &toolchain.cargo, &arguments)?;
    Ok(directory.join(cross::TARGET).join("debug/orc-jit"))
}

/// The end-to-end tests: in the process of an `orc-jit` that is emulated as a whole, and in an executor that
/// is, driven by the `orc-jit` of this machine.
fn programs(emulated: Option<PathBuf>, filter: &[&str]) -> Result<(), String> {
    let command = build_command("orc-jit-command", "orc-jit")?;
    let mut variables: Vec<(String, OsString)> = vec![
        ("ORC_TEST_TARGET".to_owned(), NAME.into()),
        ("ORC_JIT".to_owned(), command.into()),
        ("ORC_JIT_TARGETS".to_owned(), targets().into()),
    ];
    if filter.is_empty() {
        let lines = conformance::fresh(NAME)?;
        variables.push((conformance::VARIABLE.to_owned(), lines.into()));
    }
    variables.extend(emulated.map(|it| ("ORC_TEST_TARGET_JIT".to_owned(), it.into())));
    let mut arguments = vec!["test", "--package", "tests", "--test", "e2e", "--"];
    arguments.extend(filter);
    run_with(&variables, cargo(), &arguments)
}
