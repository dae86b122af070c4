//! Starting the command again, in an environment that lets the loader do what the program needs.
//!
//! Two things are decided when a process starts, from the environment:
//!
//! - how much thread-local storage at fixed offsets the loader keeps free. A program that has more
//!   of it than this process can give is linked again, with a larger surplus;
//! - which library's `malloc` everything uses. A library that replaces the allocator (a sanitizer's
//!   runtime, jemalloc) has to be there before the first allocation, so it is preloaded.
//!
//! The program finds the environment that the user made: what was there before is carried in
//! variables of our own, and put back first of all.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use orc_inputs::input::printable_path;
use orc_shared::printable;
use orc_shared::remote::token::VARIABLE;
use orc_system::succession::become_program;
use orc_target_process::host::thread_locals::SETTING;
use rustix::io::Errno;

use super::kept_objects;

const TUNABLES: &str = "GLIBC_TUNABLES";
const PRELOAD: &str = "LD_PRELOAD";

/// Between the libraries of ours in [`PRELOAD`]. The loader takes a `:`, too, which ends them in what
/// is saved.
const LIST_SEPARATOR: u8 = b' ';

/// What this process was started with, and after a `:` what the loader's variable was before, if it
/// was set: the bytes of surplus for [`TUNABLES`], the libraries for [`PRELOAD`].
const SAVED: [(&str, &str); 2] = [
    ("ORC_JIT_SAVED_TUNABLES", TUNABLES),
    ("ORC_JIT_SAVED_PRELOAD", PRELOAD),
];

/// What was compiled already, as [`kept_objects`] lists it.
const OBJECTS: &str = "ORC_JIT_SAVED_OBJECTS";

/// What a process was started with beyond the user's environment.
#[derive(Clone, Default, Debug)]
struct Start {
    /// Bytes of thread-local surplus.
    surplus: u64,
    /// Libraries that take part from the start.
    preload: Option<OsString>,
}

/// More thread-local storage than all libraries of a program have.
const LIBRARIES_MAX: u64 = 16 << 20;

static STARTED_WITH: OnceLock<Start> = OnceLock::new();

/// A change of the environment: a variable and its value, or none to remove it.
pub type EnvironmentChange = (&'static str, Option<OsString>);

/// What to change in the environment before anything else is done, so that it is the user's.
#[must_use]
pub fn saved_environment() -> Vec<EnvironmentChange> {
    let mut start = Start::default();
    let mut changes = Vec::new();
    for (saved, variable) in SAVED {
        let Some(value) = std::env::var_os(saved) else {
            continue;
        };
        let (ours, before) = parse(&value);
        if variable == TUNABLES {
            start.surplus = ours.to_str().and_then(|n| n.parse().ok()).unwrap_or(0);
        } else {
            start.preload = Some(ours);
        }
        changes.extend([(saved, None), (variable, before)]);
    }
    if let Some(list) = std::env::var_os(OBJECTS) {
        kept_objects::take_over(&list);
        changes.push((OBJECTS, None));
    }
    // Only the first caller's answer counts, and there is one caller.
    let _ = STARTED_WITH.set(start);
    changes
}

fn started_with() -> Start {
    STARTED_WITH.get().cloned().unwrap_or_default()
}

/// Whether this is not the first time that the user's command is carried out.
pub(super) fn is_repeated() -> bool {
    let start = started_with();
    start.surplus != 0 || start.preload.is_some()
}

/// The surplus to start again with if a lack of thread-local storage was in the way. `wanted` are the
/// bytes that would have been enough where the program was to run, as far as is known there.
pub(super) fn next_surplus(wanted: Option<u64>) -> Option<u64> {
    let (wanted, given) = (wanted?, started_with().surplus);
    if wanted > given {
        return Some(wanted);
    }
    // What libraries need is guessed. Who was given this much and still lacks something is given more, up
    // to what no library has.
    let more = given.saturating_mul(16);
    (more <= LIBRARIES_MAX).then_some(more)
}

/// Starts the command again with that much surplus. Returns what is in the way. No destructor is run.
pub(super) fn with_surplus(surplus: u64) -> String {
    again(&Start {
        surplus,
        ..started_with()
    })
}

/// Whether the command was started again with libraries that take part from the start.
pub(super) fn is_preloaded() -> bool {
    started_with().preload.is_some()
}

/// Starts the command again with these libraries taking part from the start. Returns what is in the way. No
/// destructor is run.
pub(super) fn preloading(libraries: &[PathBuf]) -> String {
    again(&Start {
        preload: preload(libraries),
        ..started_with()
    })
}

/// Libraries as the loader reads them: separated by spaces, so that what is ours ends before the first `:`.
fn preload(libraries: &[PathBuf]) -> Option<OsString> {
    let names: Vec<&OsStr> = libraries.iter().map(|it| it.as_os_str()).collect();
    (!names.is_empty()).then(|| names.join(OsStr::new(" ")))
}

/// The library that the loader refused because it may only be loaded with a program, if that is what the
/// message says.
pub(super) fn refused_library(message: &str) -> Option<&str> {
    let (start, _) = message.split_once(": shared object cannot be dlopen()ed")?;
    start.split_whitespace().next_back()
}

/// Starts the command again so that `library` is there when the program's process starts: this one, or
/// an executor that it starts. Returns if that was so already, or with what is in the way.
pub(super) fn preloading_too(library: &Path, in_this_process: bool) -> Option<String> {
    let mut start = started_with();
    let list = start.preload.unwrap_or_default();
    let mut known = list.as_bytes().split(|&byte| byte == LIST_SEPARATOR);
    if known.any(|name| name == library.as_os_str().as_bytes()) {
        return None;
    }
    start.preload = Some(joined(Some(&list), library.as_os_str(), " "));
    Some(match in_this_process {
        true => again(&start),
        false => again_with(&start, |variable| variable != PRELOAD),
    })
}

fn again(start: &Start) -> String {
    again_with(start, |_| true)
}

/// Starts the command again with those of the loader's variables changed that are meant. Returns what is in
/// the way.
fn again_with(start: &Start, is_meant: impl Fn(&str) -> bool) -> String {
    let command = match std::env::current_exe() {
        Ok(command) => command,
        Err(error) => {
            return format!("cannot start orc-jit again, because its file is unknown: {error}");
        }
    };
    let mut environment = std::env::vars_os().collect();
    let mut wanted = Vec::new();
    for (place, ours, value) in changes(start) {
        let (saved, variable) = SAVED[place];
        let before = std::env::var_os(variable);
        set(&mut environment, saved, format(&ours, before.as_deref()));
        wanted.push(format!("{variable}={}", printable(value.as_bytes())));
        if is_meant(variable) {
            set(&mut environment, variable, value);
        }
    }
    if let Some(list) = kept_objects::hand_over() {
        set(&mut environment, OBJECTS, list);
    }
    if let Some(token) = super::other_process::token() {
        set(&mut environment, VARIABLE, token);
    }
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let error = become_program(&command, &arguments, &environment);
    let (file, wanted) = (printable_path(&command), wanted.join(" "));
    let advice = advice(&error);
    format!("cannot start {file} again, with {wanted}, which this program needs: {error}{advice}")
}

/// What can be done when the command's file cannot be started.
fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT) => "; orc-jit has to stay where it was when it was started",
        Some(Errno::NOEXEC) => {
            "; where an emulator runs orc-jit, the system has to know it for such files (binfmt_misc)"
        }
        _ => "",
    }
}

/// Sets a variable where it is, or at the end: a program sees the order.
fn set(environment: &mut Vec<(OsString, OsString)>, name: &str, value: OsString) {
    match environment.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => *old = value,
        None => environment.push((name.into(), value)),
    }
}

/// What a process is to find in its environment to be started so: places in [`SAVED`], what is ours
/// there, and the values with what the user has set.
fn changes(start: &Start) -> Vec<(usize, OsString, OsString)> {
    let mut changes = Vec::new();
    let before = |place: usize| std::env::var_os(SAVED[place].1);
    if start.surplus != 0 {
        let setting = std::format!("{SETTING}={}", start.surplus);
        // The last of several settings counts.
        let value = joined(before(0).as_deref(), setting.as_ref(), ":");
        changes.push((0, start.surplus.to_string().into(), value));
    }
    if let Some(library) = &start.preload {
        let value = joined(Some(library), &before(1).unwrap_or_default(), ":");
        changes.push((1, library.clone(), value));
    }
    changes
}

/// Variables of the environment that a child process has to start with, for the loader there to do
/// what the program needs.
pub(super) fn variables(libraries: &[PathBuf]) -> Vec<(&'static str, OsString)> {
    let mut start = started_with();
    if let Some(libraries) = preload(libraries) {
        let before = start.preload.unwrap_or_default();
        start.preload = Some(joined(Some(&libraries), &before, " "));
    }
    let changes = changes(&start).into_iter();
    changes
        .map(|(place, _, value)| (SAVED[place].1, value))
        .collect()
}

/// Two values of a list whose items are separated by `separator`.
fn joined(first: Option<&OsStr>, second: &OsStr, separator: &str) -> OsString {
    let mut all = first.unwrap_or_default().to_owned();
    if !all.is_empty() && !second.is_empty() {
        all.push(separator);
    }
    all.push(second);
    all
}

fn format(ours: &OsStr, before: Option<&OsStr>) -> OsString {
    let mut saved = ours.to_owned();
    if let Some(before) = before {
        saved.push(":");
        saved.push(before);
    }
    saved
}

fn parse(saved: &OsStr) -> (OsString, Option<OsString>) {
    let bytes = saved.as_bytes();
    match bytes.iter().position(|&byte| byte == b':') {
        Some(at) => {
            let text = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
            (text(&bytes[..at]), Some(text(&bytes[at + 1..])))
        }
        None => (saved.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_read_back() {
        for before in [None, Some(""), Some("a.b=1:c.d=2")] {
            let before = before.map(OsString::from);
            let saved = format(OsStr::new("1234"), before.as_deref());
            assert_eq!(parse(&saved), (OsString::from("1234"), before));
        }
    }

    #[test]
    fn variables_stay_in_their_order() {
        let variables = |list: &[(&str, &str)]| -> Vec<(OsString, OsString)> {
            let pair = |&(name, value): &(&str, &str)| (name.into(), value.into());
            list.iter().map(pair).collect()
        };
        let mut environment = variables(&[("b", "1"), ("a", "2")]);
        set(&mut environment, "b", "3".into());
        set(&mut environment, "c", "4".into());
        assert_eq!(
            environment,
            variables(&[("b", "3"), ("a", "2"), ("c", "4")])
        );
    }

    #[test]
    fn a_library_that_the_loader_refuses() {
        let message = "the executor failed: /x/liba.so: shared object cannot be dlopen()ed";
        assert_eq!(refused_library(message), Some("/x/liba.so"));
        assert_eq!(
            refused_library("liba.so: cannot open shared object file"),
            None
        );
    }

    #[test]
    fn what_the_user_set_stays() {
        let text = OsStr::new;
        assert_eq!(joined(Some(text("a.b=1")), text("c=2"), ":"), "a.b=1:c=2");
        assert_eq!(joined(None, text("c=2"), ":"), "c=2");
        assert_eq!(joined(Some(text("/lib/x.so")), text(""), ":"), "/lib/x.so");
    }
}
