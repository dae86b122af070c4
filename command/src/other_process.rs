//! Running the program in another process: which one, and how its end becomes this command's.
//!
//! A spawned executor is a child of this command and part of its job: it has the same standard
//! streams, working directory, environment and process group. What a terminal or another process
//! does to this command is meant for the program, so while there is one, this command stands aside:
//! it passes signals on, and ends as the program did.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use jit_core::executor::{Disconnect, signal_name};
use jit_core::remote::Place;
use orc_inputs::input::printable_path;
use orc_jit::{Error, Executor};
use orc_system::bystander;

use super::Failure;
use super::link_cpu;
use super::options::RunOptions;

/// The secret of the user's environment, which is nothing for programs.
static TOKEN: OnceLock<OsString> = OnceLock::new();

/// Keeps the secret for executors behind TCP ports that was taken out of the environment.
pub fn keep_token(token: Option<OsString>) {
    if let Some(token) = token {
        // There is one environment to take it from.
        let _ = TOKEN.set(token);
    }
}

/// What [`keep_token`] keeps.
pub(super) fn token() -> Option<OsString> {
    TOKEN.get().cloned()
}

/// Finds out which CPU the executor has that the options name. One that nobody knows anything of is reached
/// for that, and returned.
pub(super) fn reach_if_unknown(options: &RunOptions) -> Result<Option<Executor>, Failure> {
    let Some(place) = &options.executor else {
        return Ok(None);
    };
    if let Some(cpu) = link_cpu::of_place(place) {
        link_cpu::set(cpu);
        return Ok(None);
    }
    let executor = start(options, Vec::new(), options.debug)?;
    if let Some(executor) = &executor {
        link_cpu::set(executor.control().architecture());
    }
    Ok(executor)
}

/// Starts or reaches the executor that the options name; `None` for this process. Its process is to
/// start with these variables, which the program does not see. Debuggers find its file if it is to be
/// debugged.
pub(super) fn start(
    options: &RunOptions,
    start_with: Vec<(&'static str, OsString)>,
    debug: bool,
) -> Result<Option<Executor>, Failure> {
    let Some(place) = &options.executor else {
        return Ok(None);
    };
    let mut wanted = Executor::options().forward_input();
    if debug {
        wanted = wanted.debug();
    }
    if let Some(seconds) = options.executor_timeout {
        let limit = Duration::try_from_secs_f64(seconds).ok();
        wanted = wanted.silence_limit(limit.filter(|limit| !limit.is_zero()));
    }
    if let Some(path) = &options.executor_token_file {
        let secret = read_start(path).map_err(|e| format!("{}: {e}", printable_path(&path)))?;
        wanted = wanted.token(secret);
    } else if let Some(secret) = token() {
        wanted = wanted.token(secret.into_vec());
    }
    for argument in &options.executor_option {
        wanted = wanted.argument(argument);
    }
    // LLVM's executor is started with variables of its own in any case.
    let is_llvms = matches!(place, Place::Llvm(_));
    let is_child = is_llvms || matches!(place, Place::Spawn(_) | Place::Emulated(_));
    let is_special = is_llvms || (is_child && !start_with.is_empty());
    if is_child {
        for (name, value) in start_with {
            wanted = wanted.start_variable(name, value);
        }
    }
    let executor = wanted.at(place).map_err(|e| e.to_string())?;
    let is_reached = matches!(place, Place::Unix(_) | Place::Tcp(_)) && executor.is_same_host();
    if is_special || is_reached {
        executor.adopt_surroundings().map_err(|e| e.to_string())?;
    }
    Ok(Some(executor))
}

/// The content of a file, or of what comes from a pipe, as far as it may be a token: that is short.
fn read_start(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(4096).read_to_end(&mut content)?;
    Ok(content)
}

/// The program is about to run: what happens to this process is meant for it, if it is a child.
pub(super) fn stand_aside(options: &RunOptions, executor: Option<&Executor>) {
    let is_child = matches!(
        options.executor,
        Some(Place::Spawn(_) | Place::Llvm(_) | Place::Emulated(_))
    );
    let pid = executor.filter(|_| is_child).and_then(Executor::pid);
    if let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) {
        bystander::stand_aside(pid);
    }
}

/// What an error of the link or of the run is to the user: the program's end, if that is what it is.
/// Does not return if a signal ended the program.
pub(super) fn status(executor: Option<&Executor>, error: &Error) -> Result<i32, Failure> {
    match executor.and_then(Executor::lost) {
        Some(Disconnect::Ended(status, _)) if !status.signaled => Ok(status.value),
        Some(Disconnect::Ended(status, crash)) => {
            if !bystander::is_usual_end(status.value) {
                let crash = crash.map(|crash| crash.to_string()).unwrap_or_default();
                let signal = signal_name(status.value);
                super::say::error(format_args!("the program was ended by {signal}{crash}"));
            }
            bystander::end_by_signal(status.value)
        }
        Some(lost) => Err(Failure::Failed(format!("the executor is gone: {lost}"))),
        None => Err(Failure::Failed(error.to_string())),
    }
}
