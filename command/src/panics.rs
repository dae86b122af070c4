//! Faults of the command itself: they end it with a message and a status, as any failure does.
//!
//! Nothing catches what unwinds out of a C `main`, or out of a function that the loader has called: the
//! process would be aborted, as if the program had done it.

use std::backtrace::Backtrace;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

use orc_target_process::host::process;

use super::threads::LinkThreads;
use super::{FAILED, say, scratch};

/// Runs the command, and returns its exit status also when it panics.
pub(super) fn guarded(command: impl FnOnce() -> i32) -> i32 {
    std::panic::set_hook(Box::new(report));
    catch_unwind(AssertUnwindSafe(command)).unwrap_or(FAILED)
}

/// Says that it is our fault, and where; ends the process if nobody else will.
fn report(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("a panic without a message");
    let cannot_unwind = is_second(message);
    if !cannot_unwind {
        let place = info.location().map(|at| format!(" ({at})"));
        say::error(format_args!(
            "internal error: {message}{}; this is a fault of orc-jit, please report it",
            place.unwrap_or_default()
        ));
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            say::note(Backtrace::force_capture());
        }
    }
    // The main thread and those of a link unwind to whoever waits for them. What a thread has left undone
    // that nobody waits for, is waited for without end.
    let is_waited_for = process::is_main_thread() || LinkThreads::is_one();
    if cannot_unwind || !is_waited_for {
        scratch::remove_all();
        process::exit_now(FAILED);
    }
}

/// Whether this is what the language says about a panic that it has been told of already: it is about to
/// leave a function that cannot be left so.
fn is_second(message: &str) -> bool {
    message.starts_with("panic in a function that cannot unwind")
        || message.starts_with("panic in a destructor during cleanup")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const WAY: &str = "ORC_JIT_TEST_PANIC";

    /// Panics in the way that the variable names, in a process of its own.
    #[test]
    fn child() {
        let Ok(way) = std::env::var(WAY) else {
            return;
        };
        extern "C" fn called_by_c() {
            panic!("on purpose");
        }
        let panics = move || match way.as_str() {
            "foreign" => {
                called_by_c();
                0
            }
            "thread" => {
                let forever = std::thread::spawn(|| panic!("on purpose"));
                drop(forever);
                std::thread::park();
                0
            }
            _ => panic!("on purpose"),
        };
        std::process::exit(guarded(panics));
    }

    #[test]
    fn a_panic_ends_the_command_with_a_message() {
        for way in ["plain", "foreign", "thread"] {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "panics::tests::child", "--nocapture"]);
            let output = command.env(WAY, way).env_remove("RUST_BACKTRACE").output();
            let output = output.unwrap();
            assert_eq!(output.status.code(), Some(FAILED), "{way}");
            let text = String::from_utf8_lossy(&output.stderr);
            let ours: Vec<_> = text
                .lines()
                .filter(|line| line.contains("orc-jit"))
                .collect();
            assert_eq!(ours.len(), 1, "{way}: {text}");
            assert!(ours[0].starts_with("orc-jit: error: internal error: on purpose ("));
            assert!(!text.contains("stack backtrace"), "{way}: {text}");
        }
    }
}
