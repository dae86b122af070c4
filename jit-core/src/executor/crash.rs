//! What an executor left behind when a signal ended it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use orc_shared::remote::services::CrashReport;

/// A crash of an executor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    /// What the executor said, in numbers.
    pub report: CrashReport,
    /// The same in words, with names for the addresses, if somebody was there to find them.
    pub explanation: Option<String>,
}

/// Puts a report into words. Called while what was linked is still known, on a thread that has nothing
/// else to do.
pub type ExplainCrash = Box<dyn Fn(&CrashReport) -> String + Send + Sync>;

impl Crash {
    /// The crash of a report, in the words of `explain`.
    pub(crate) fn new(report: CrashReport, explain: Option<&ExplainCrash>) -> Self {
        // A panic of a client's code costs the words only.
        let words =
            |explain: &ExplainCrash| catch_unwind(AssertUnwindSafe(|| explain(&report))).ok();
        let explanation = explain.and_then(words);
        Self {
            report,
            explanation,
        }
    }
}

/// What follows "it was ended by SIGSEGV".
impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, name) = &self.report.thread;
        write!(f, " in thread {id} ({name})")?;
        if let Some(explanation) = &self.explanation {
            return write!(f, ": {explanation}");
        }
        if !self.report.fault_address.is_null() {
            write!(f, ", which accessed {}", self.report.fault_address)?;
        }
        for addr in &self.report.backtrace {
            write!(f, "\n  {addr}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use orc_shared::ExecutorAddr;

    use super::*;

    fn report() -> CrashReport {
        CrashReport {
            thread: (7, "main".to_owned()),
            fault_address: ExecutorAddr::new(16),
            backtrace: vec![ExecutorAddr::new(0x1234)],
            ..CrashReport::default()
        }
    }

    #[test]
    fn without_words_there_are_numbers() {
        let crash = Crash::new(report(), None);
        let text = " in thread 7 (main), which accessed 0x10\n  0x1234";
        assert_eq!(crash.to_string(), text);
    }

    #[test]
    fn words_take_their_place() {
        let explain: ExplainCrash = Box::new(|report| format!("by {}", report.fault_address));
        let crash = Crash::new(report(), Some(&explain));
        assert_eq!(crash.to_string(), " in thread 7 (main): by 0x10");
    }

    #[test]
    fn who_panics_over_it_is_not_heard() {
        let explain: ExplainCrash = Box::new(|_| panic!("on purpose"));
        assert_eq!(Crash::new(report(), Some(&explain)).explanation, None);
    }
}
