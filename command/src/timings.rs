//! `--timings`: where the time went, as a tree of phases.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jit_core::link::timings::{PhaseTimes, processor_time};
use jit_core::session::{LazyCounts, Session};
use orc_jit::Program;
use orc_system::at_exit::at_exit;

use super::say;

/// Says at the end of the program how much of it was linked of what has waited for a first call.
pub(super) fn tell_at_exit(program: &Arc<Program>, session: &Session) {
    let (program, session) = (program.clone(), session.clone());
    at_exit(move || {
        // The program may have closed the stream, and has ended either way.
        let _ = say::tell(&linked(&program.lazy_counts(), session.linked_ahead()));
    });
}

fn linked(counts: &LazyCounts, ahead: usize) -> String {
    let said = format!(
        "{} of {} functions that waited for a first call were linked, in {} of {} objects\n",
        counts.linked_functions, counts.functions, counts.linked_objects, counts.objects
    );
    match ahead {
        0 => said,
        ahead => format!("{said}{ahead} functions were linked ahead of their calls\n"),
    }
}

/// Times the phases of one run of the command.
pub(super) struct Timings {
    start: Moment,
    last: Moment,
    phases: Vec<(&'static str, Spent)>,
}

#[derive(Clone, Copy)]
struct Moment {
    clock: Instant,
    processor: Duration,
}

/// Time on the clock, and of all processors together.
#[derive(Clone, Copy)]
struct Spent {
    clock: Duration,
    processor: Duration,
}

impl Moment {
    fn now() -> Self {
        Self {
            clock: Instant::now(),
            processor: processor_time(),
        }
    }

    fn since(self, earlier: Self) -> Spent {
        Spent {
            clock: self.clock - earlier.clock,
            processor: self.processor.saturating_sub(earlier.processor),
        }
    }
}

impl Timings {
    pub(super) fn start() -> Self {
        let now = Moment::now();
        Self {
            start: now,
            last: now,
            phases: Vec::new(),
        }
    }

    /// What was done since the last call was this phase.
    pub(super) fn done(&mut self, phase: &'static str) {
        let now = Moment::now();
        self.phases.push((phase, now.since(self.last)));
        self.last = now;
    }

    /// The tree, one line per phase, with the linker's own phases below its own.
    pub(super) fn report(&self, link: &PhaseTimes) -> String {
        let mut text = format!("{:>10}     {:>10}\n", "time", "processor");
        let mut line = |spent: Spent, indent: usize, name: &str| {
            let [clock, processor] =
                [spent.clock, spent.processor].map(|time| time.as_secs_f64() * 1e3);
            let _ = writeln!(
                text,
                "{clock:>10.3} ms  {processor:>10.3} ms  {:indent$}{name}",
                ""
            );
        };
        line(self.last.since(self.start), 0, "total");
        for (phase, spent) in &self.phases {
            line(*spent, 2, phase);
        }
        let phases = link.phases();
        let linked = Spent {
            clock: phases.iter().map(|phase| phase.total).sum(),
            processor: phases.iter().map(|phase| phase.processor).sum(),
        };
        line(linked, 0, "of which in the linker, with the runtime");
        for phase in phases {
            let spent = Spent {
                clock: phase.total,
                processor: phase.processor,
            };
            line(spent, 2, phase.name);
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
            .skip(1)
            .map(|line| line.split(" ms  ").nth(2).unwrap())
            .collect();
        assert_eq!(names[..3], ["total", "  open", "  link"]);
    }
}
