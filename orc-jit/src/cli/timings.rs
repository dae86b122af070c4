//! `--timings`: where the time went, as a tree of phases.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use jit_core::link::timings::PhaseTimes;

/// Times the phases of one run of the command.
pub(super) struct Timings {
    start: Instant,
    last: Instant,
    phases: Vec<(&'static str, Duration)>,
}

impl Timings {
    pub(super) fn start() -> Self {
        let now = Instant::now();
        Self {
            start: now,
            last: now,
            phases: Vec::new(),
        }
    }

    /// What was done since the last call was this phase.
    pub(super) fn done(&mut self, phase: &'static str) {
        let now = Instant::now();
        self.phases.push((phase, now - self.last));
        self.last = now;
    }

    /// The tree, one line per phase, with the linker's own phases below its own.
    pub(super) fn report(&self, link: &PhaseTimes) -> String {
        let mut text = String::new();
        let mut line = |time: Duration, indent: usize, name: &str| {
            let milliseconds = time.as_secs_f64() * 1e3;
            let _ = writeln!(text, "{milliseconds:>10.3} ms  {:indent$}{name}", "");
        };
        line(self.last - self.start, 0, "total");
        for (phase, time) in &self.phases {
            line(*time, 2, phase);
        }
        let linked: Duration = link.phases().iter().map(|phase| phase.total).sum();
        line(linked, 0, "of which in the linker, with the runtime");
        for phase in link.phases() {
            line(phase.total, 2, phase.name);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_come_in_order_below_the_total() {
        let mut timings = Timings::start();
        timings.done("open");
        timings.done("link");
        let report = timings.report(&PhaseTimes::default());
        let names: Vec<&str> = report
            .lines()
            .map(|line| line.split(" ms  ").nth(1).unwrap())
            .collect();
        assert_eq!(names[..3], ["total", "  open", "  link"]);
    }
}
