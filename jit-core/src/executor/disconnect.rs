//! How connections to executors end.

use std::fmt;
use std::time::Duration;

use orc_shared::remote::services::ExitStatus;

use super::Crash;

/// How a connection to an executor ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disconnect {
    /// The controller closed it.
    Closed,
    /// It is the connection of another process, which this one was forked from.
    Forked,
    /// The executor closed it and told no more.
    EndOfFile,
    /// It ended in the middle of a message.
    Truncated {
        /// Bytes of the message that arrived.
        arrived: u64,
        /// Bytes of the whole message.
        size: u64,
    },
    /// The executor's process ended; if it crashed, it may have left a report.
    Ended(ExitStatus, Option<Box<Crash>>),
    /// The executor closed it, but its process went on and had to be killed.
    Stuck {
        /// The process's id.
        pid: u32,
    },
    /// The command that leads to the executor ended.
    Command {
        /// The command.
        line: String,
        /// How it ended.
        status: String,
    },
    /// The executor said goodbye with this message.
    Hangup(String),
    /// Nothing was heard of it for so long.
    Silent(Duration),
    /// It broke the protocol.
    Protocol(String),
    /// Reading or writing failed.
    Io(String),
}

impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("this side closed the connection"),
            Self::Forked => f.write_str(
                "the connection belongs to the process that this one was forked from: start or \
                 connect to an executor of its own",
            ),
            Self::EndOfFile => f.write_str("it closed the connection"),
            Self::Truncated { arrived, size } => write!(
                f,
                "it closed the connection after {arrived} bytes of a message of {size}"
            ),
            Self::Ended(status, crash) if status.signaled => {
                write!(f, "it was ended by {}", signal_name(status.value))?;
                crash.as_ref().map_or(Ok(()), |crash| crash.fmt(f))
            }
            Self::Ended(status, _) => write!(f, "it exited with code {}", status.value),
            Self::Stuck { pid } => write!(
                f,
                "it closed the connection; its process {pid} did not end, and was killed"
            ),
            Self::Command { line, status } => {
                write!(
                    f,
                    "the command that leads to it, `{line}`, ended with {status}"
                )
            }
            Self::Hangup(message) => write!(f, "it hung up: {message}"),
            Self::Silent(time) => write!(f, "nothing was heard of it for {time:?}"),
            Self::Protocol(problem) => write!(f, "it broke the protocol: {problem}"),
            Self::Io(error) => write!(f, "the connection failed: {error}"),
        }
    }
}

impl std::error::Error for Disconnect {}

/// The signals that end programs, by their numbers on Linux.
const SIGNALS: &[(i32, &str, &str)] = &[
    (1, "SIGHUP", "hangup"),
    (2, "SIGINT", "interrupt"),
    (3, "SIGQUIT", "quit"),
    (4, "SIGILL", "illegal instruction"),
    (5, "SIGTRAP", "trap"),
    (6, "SIGABRT", "aborted"),
    (7, "SIGBUS", "bus error"),
    (8, "SIGFPE", "arithmetic exception"),
    (9, "SIGKILL", "killed"),
    (10, "SIGUSR1", "user-defined signal 1"),
    (11, "SIGSEGV", "segmentation fault"),
    (12, "SIGUSR2", "user-defined signal 2"),
    (13, "SIGPIPE", "broken pipe"),
    (14, "SIGALRM", "alarm clock"),
    (15, "SIGTERM", "terminated"),
    (16, "SIGSTKFLT", "stack fault"),
    (24, "SIGXCPU", "CPU time limit exceeded"),
    (25, "SIGXFSZ", "file size limit exceeded"),
    (26, "SIGVTALRM", "virtual timer expired"),
    (27, "SIGPROF", "profiling timer expired"),
    (29, "SIGIO", "I/O possible"),
    (30, "SIGPWR", "power failure"),
    (31, "SIGSYS", "bad system call"),
];

/// A signal's name with what it means, as in "SIGSEGV (segmentation fault)".
#[must_use]
pub fn signal_name(signal: i32) -> String {
    let known = SIGNALS.iter().find(|(number, ..)| *number == signal);
    match known {
        Some((_, name, meaning)) => format!("{name} ({meaning})"),
        None => format!("signal {signal}"),
    }
}

#[cfg(test)]
mod tests {
    use orc_shared::remote::services::CrashReport;

    use super::*;

    #[test]
    fn messages_name_the_cause() {
        let status = |value, signaled| ExitStatus { value, signaled };
        let crash = CrashReport {
            thread: (7, "main".to_owned()),
            ..CrashReport::default()
        };
        let crash = Crash::new(crash, None);
        let crashed = Disconnect::Ended(status(11, true), Some(Box::new(crash)));
        assert_eq!(
            crashed.to_string(),
            "it was ended by SIGSEGV (segmentation fault) in thread 7 (main)"
        );
        let exited = Disconnect::Ended(status(3, false), None);
        assert_eq!(exited.to_string(), "it exited with code 3");
        assert_eq!(signal_name(64), "signal 64");
        let silent = Disconnect::Silent(Duration::from_millis(1500));
        assert_eq!(silent.to_string(), "nothing was heard of it for 1.5s");
    }
}
