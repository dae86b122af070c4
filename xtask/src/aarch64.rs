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

/// Tests of the library that are left out, and why: what qemu 7.2 does, or what this CPU does not have yet.
const LIBRARY_LACKS: &[(&str, &str)] = &[
    ("a_dylib_that_is_emptied_can_be_filled_again", OLD_CODE),
    (
        "a_module_with_a_destructor_of_a_thread_local_is_reloaded_without_end",
        OLD_CODE,
    ),
    ("names_of_stubs_leave_with_the_stubs", OLD_CODE),
    (
        "a_replaced_tracker_is_removed_with_all_its_versions",
        OLD_CODE,
    ),
    (
        "a_replacement_that_fails_at_any_step_changes_nothing_and_the_next_one_works",
        OLD_CODE,
    ),
    (
        "a_removal_that_fails_at_any_step_leaves_a_session_that_works",
        OLD_CODE,
    ),
    ("a_thousand_replacements_under_load", OLD_CODE),
    (
        "a_wrapper_function_is_called_through_its_own_executor",
        NO_EXEC,
    ),
    (
        "an_executor_belongs_to_the_process_that_started_it",
        NO_EXEC,
    ),
    (
        "a_forked_process_links_and_so_does_one_that_is_forked_from_that",
        "a child of a process with several threads cannot start any",
    ),
    (
        "a_library_of_a_host_links_and_runs_code",
        "it has Cargo build an example, for the machine that Cargo is for",
    ),
    ("code_of_another_batch_reaches_them", NO_MODULES),
    ("code_that_needs_a_fixed_offset_says_so", NO_MODULES),
    ("programs_and_other_processes_have_them_too", NO_MODULES),
    ("an_object_comes_and_goes_five_thousand_times", NO_MODULES),
    ("two_hundred_objects_are_alive_at_once", NO_MODULES),
];

/// An executor that the library carries is a file for the target.
const NO_EXEC: &str = "the system cannot start a program of the target by itself";

/// Not qemu's fault: docs/ARCHITECTURE.md, "Thread-locals".
const NO_MODULES: &str =
    "thread-locals beyond the surplus get no module of their own on AArch64 yet";

/// Names that tests call tools by, and the tools for the target.
const TOOLS: [(&str, &str); 3] = [
    ("cc", "aarch64-linux-gnu-gcc"),
    ("c++", "aarch64-linux-gnu-g++"),
    ("ar", "aarch64-linux-gnu-ar"),
];

/// Such code replaces what ran at the same addresses before.
const OLD_CODE: &str =
    "code that is written through /proc/self/mem, or another view of a page, is not noticed";

/// Programs that a short run is made of.
const SMOKE: &str = "basic/";

/// The same of programs for macOS.
const SMOKE_FOR_MACOS: &str = "macos/";

/// Builds and runs all; with `smoke`, a few programs in an executor that is emulated; with another argument,
/// programs with that in their names.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let toolchain = Toolchain::find()?;
    let filter = arguments.first().map(String::as_str);
    if filter == Some("smoke") {
        cross::build(&toolchain, false)?;
        archive_tests()?;
        programs(None, "e2e", &[SMOKE, "--skip", "in-process"])?;
        return programs(None, "macho", &[SMOKE_FOR_MACOS, "--skip", "in-process"]);
    }
    cross::build(&toolchain, true)?;
    if filter.is_none() {
        archive_tests()?;
        executor_tests(&toolchain)?;
        library_tests(&toolchain)?;
    }
    let emulated = emulated_command(&toolchain)?;
    let filters: Vec<&str> = filter.into_iter().collect();
    if filter.is_none() {
        conformance::fresh(NAME)?;
    }
    programs(Some(emulated.clone()), "e2e", &filters)?;
    programs(Some(emulated), "macho", &filters)?;
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
    let mut variables = emulated_tests(toolchain, RUNNER.to_owned());
    variables.extend(
        [
            ("CC", "aarch64-linux-gnu-gcc"),
            ("CXX", "aarch64-linux-gnu-g++"),
            ("NM", "aarch64-linux-gnu-nm"),
        ]
        .map(|(name, value)| (name.to_owned(), OsString::from(value))),
    );
    run_tests(toolchain, &variables, "orc-target-process", QEMU_LACKS)
}

/// The tests of `orc-jit`, themselves programs of the target. They call compilers by the names that those have on
/// the machine that they seem to run on.
fn library_tests(toolchain: &Toolchain) -> Result<(), String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let runner = format!("env PATH={}:{path} {RUNNER}", tools()?.display());
    let mut variables = emulated_tests(toolchain, runner);
    variables.push(("ORC_JIT_PREBUILT".to_owned(), cross::directory().into()));
    run_tests(toolchain, &variables, "orc-jit", LIBRARY_LACKS)
}

/// A directory where the tools for the target have their usual names.
fn tools() -> Result<PathBuf, String> {
    let directory = own_directory().join("tools");
    let failed = |error| format!("{}: {error}", directory.display());
    std::fs::create_dir_all(&directory).map_err(failed)?;
    for (name, tool) in TOOLS {
        let (link, tool) = (directory.join(name), in_path(tool)?);
        let known = std::fs::read_link(&link).is_ok_and(|known| known == tool);
        if !known {
            // One of another place, or none.
            let _ = std::fs::remove_file(&link);
            std::os::unix::fs::symlink(tool, link).map_err(failed)?;
        }
    }
    Ok(directory)
}

/// Where a program is that is found by its name.
fn in_path(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|directory| directory.join(name));
    places
        .find(|place| place.is_file())
        .ok_or_else(|| format!("{name} is not in PATH: install g++-aarch64-linux-gnu"))
}

/// What Cargo has to know to build tests for the target and to run them.
fn emulated_tests(toolchain: &Toolchain, runner: String) -> Vec<(String, OsString)> {
    let mut variables = toolchain.variables();
    let of_cargo = format!("CARGO_TARGET_{}_RUNNER", environment_name());
    // A test that starts itself again needs it, too.
    let of_tests = "ORC_TEST_RUNNER".to_owned();
    variables.extend([(of_cargo, runner.clone().into()), (of_tests, runner.into())]);
    variables
}

/// Runs a package's tests but those that qemu does not let pass.
fn run_tests(
    toolchain: &Toolchain,
    variables: &[(String, OsString)],
    package: &str,
    lacks: &[(&str, &str)],
) -> Result<(), String> {
    let mut arguments = vec!["test", "--package", package];
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
    for (test, reason) in lacks {
        say(&format!("left out: {test}: {reason}\n"))?;
        arguments.extend(["--skip", test]);
    }
    run_with(variables, &toolchain.cargo, &arguments)
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

/// End-to-end tests, `e2e` or those of programs for macOS (`macho`): in the process of an `orc-jit` that is
/// emulated as a whole, and in an executor that is, driven by the `orc-jit` of this machine.
fn programs(emulated: Option<PathBuf>, tests: &str, filter: &[&str]) -> Result<(), String> {
    let command = build_command("orc-jit-command", "orc-jit")?;
    let mut variables: Vec<(String, OsString)> = vec![
        ("ORC_TEST_TARGET".to_owned(), NAME.into()),
        ("ORC_JIT".to_owned(), command.into()),
        ("ORC_JIT_TARGETS".to_owned(), targets().into()),
    ];
    if filter.is_empty() {
        let lines = conformance::noted(NAME);
        variables.push((conformance::VARIABLE.to_owned(), lines.into()));
    }
    variables.extend(emulated.map(|it| ("ORC_TEST_TARGET_JIT".to_owned(), it.into())));
    let mut arguments = vec!["test", "--package", "tests", "--test", tests, "--"];
    arguments.extend(filter);
    run_with(&variables, cargo(), &arguments)
}
