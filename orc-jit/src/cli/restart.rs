//! Starting the command again, with more room for thread-locals.
//!
//! How much thread-local storage at fixed offsets the loader keeps free is decided when a process
//! starts, from the environment. A program that has more of it than this process can give is
//! therefore linked again in its place, by the same command with another environment. The program
//! finds the environment that the user made: what was there before is carried in a variable of
//! our own, and put back first of all.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use orc_target_process::tls::{Reserve, SETTING};

const TUNABLES: &str = "GLIBC_TUNABLES";

/// The number of bytes that this process was started with, and `:` with what [`TUNABLES`] was if it
/// was set.
const SAVED: &str = "ORC_JIT_SAVED_TUNABLES";

/// Bytes of surplus that this process was started with, if it is not the first.
static STARTED_WITH: AtomicU64 = AtomicU64::new(0);

/// A change of the environment: a variable and its value, or none to remove it.
pub type EnvironmentChange = (&'static str, Option<OsString>);

/// What to change in the environment before anything else is done, so that it is the user's.
#[must_use]
pub fn saved_environment() -> Vec<EnvironmentChange> {
    let Some(saved) = std::env::var_os(SAVED) else {
        return Vec::new();
    };
    let (bytes, tunables) = parse(&saved);
    STARTED_WITH.store(bytes, Ordering::Relaxed);
    vec![(SAVED, None), (TUNABLES, tunables)]
}

/// Whether this is not the first time that the user's command is carried out.
pub(super) fn is_repeated() -> bool {
    STARTED_WITH.load(Ordering::Relaxed) != 0
}

/// Starts the command again if a lack of thread-local storage is what was in its way. Returns if it
/// was not, or if that does not help. No destructor is run.
pub(super) fn if_it_helps() {
    let wanted = Reserve::get().wanted().unwrap_or(0);
    // A process that was given this much and still lacks it is not helped by being given it again.
    if wanted <= STARTED_WITH.load(Ordering::Relaxed) {
        return;
    }
    let Ok(command) = std::env::current_exe() else {
        return;
    };
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    let tunables = std::env::var_os(TUNABLES);
    // Where it fails, the error of the link is what the user should see.
    let _ = Command::new(command)
        .arg0(name)
        .args(args)
        .env(SAVED, format(wanted, tunables.as_deref()))
        .env(TUNABLES, with_surplus(wanted, tunables.as_deref()))
        .exec();
}

/// The tunables with a surplus; the last of several settings counts.
fn with_surplus(bytes: u64, tunables: Option<&OsStr>) -> OsString {
    let mut all = tunables.unwrap_or_default().to_owned();
    if !all.is_empty() {
        all.push(":");
    }
    all.push(std::format!("{SETTING}={bytes}"));
    all
}

fn format(bytes: u64, tunables: Option<&OsStr>) -> OsString {
    let mut saved = OsString::from(bytes.to_string());
    if let Some(tunables) = tunables {
        saved.push(":");
        saved.push(tunables);
    }
    saved
}

fn parse(saved: &OsStr) -> (u64, Option<OsString>) {
    let saved = saved.as_bytes();
    let end = saved.iter().position(|&byte| byte == b':');
    let (bytes, tunables) = match end {
        Some(at) => (&saved[..at], Some(saved[at + 1..].to_vec())),
        None => (saved, None),
    };
    let bytes = std::str::from_utf8(bytes).ok();
    let bytes = bytes.and_then(|bytes| bytes.parse().ok());
    (bytes.unwrap_or(0), tunables.map(OsString::from_vec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_read_back() {
        for tunables in [None, Some(""), Some("a.b=1:c.d=2")] {
            let tunables = tunables.map(OsString::from);
            let saved = format(1234, tunables.as_deref());
            assert_eq!(parse(&saved), (1234, tunables));
        }
        assert_eq!(parse(OsStr::new("x:y")).0, 0);
    }

    #[test]
    fn other_tunables_stay() {
        let all = with_surplus(5, Some(OsStr::new("a.b=1")));
        assert_eq!(all, "a.b=1:glibc.rtld.optional_static_tls=5");
        assert_eq!(with_surplus(5, None), "glibc.rtld.optional_static_tls=5");
    }
}
