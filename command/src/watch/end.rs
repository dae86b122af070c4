//! How a watched program ends.

use jit_core::executor::{Disconnect, signal_name};
use orc_jit::Executor;

/// How a program has ended.
pub(super) struct End {
    /// The status; none if it has none.
    pub(super) status: Option<i32>,
    /// For a sentence that begins with the program.
    pub(super) text: String,
}

impl End {
    pub(super) fn of_status(status: i32) -> Self {
        Self {
            status: Some(status),
            text: format!("has ended with status {status}"),
        }
    }

    /// The end that an error of a run stands for.
    pub(super) fn new(executor: &Executor, error: &orc_jit::Error) -> Self {
        let text = match executor.lost() {
            Some(Disconnect::Ended(status, _)) if !status.signaled => {
                return Self::of_status(status.value);
            }
            Some(Disconnect::Ended(status, crash)) => {
                let crash = crash.map(|crash| crash.to_string()).unwrap_or_default();
                format!("was ended by {}{crash}", signal_name(status.value))
            }
            Some(lost) => format!("is gone: {lost}"),
            None => format!("cannot run: {error}"),
        };
        Self { status: None, text }
    }
}
