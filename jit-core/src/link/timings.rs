//! How long the phases of links take.
//!
//! Every phase is a `tracing` span and, if somebody has asked for it, an entry in the session's
//! [`PhaseTimes`], which a command can print as a tree. It has to be asked for, because it takes two
//! readings of two clocks for each phase, and that of the processor is a system call: almost half of the
//! time of a small link.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Phases of all links of a session, added up. Nothing is measured before [`PhaseTimes::measure`].
#[derive(Default)]
pub struct PhaseTimes {
    wanted: AtomicBool,
    phases: Mutex<Vec<Phase>>,
}

/// One phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Its name, as in "lower".
    pub name: &'static str,
    /// Time in all, on the clock of the thread that drives the link.
    pub total: Duration,
    /// Processor time of all threads of the process while it ran: up to the number of processors
    /// times `total` where they share the work.
    pub processor: Duration,
    /// How often it ran.
    pub count: u64,
}

impl PhaseTimes {
    /// Measures the phases that start from now on.
    pub fn measure(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// All phases, in the order of their first run.
    #[must_use]
    pub fn phases(&self) -> Vec<Phase> {
        self.phases
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn add(&self, name: &'static str, time: Duration, processor: Duration) {
        let mut phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        match phases.iter_mut().find(|phase| phase.name == name) {
            Some(phase) => {
                phase.total += time;
                phase.processor += processor;
                phase.count += 1;
            }
            None => phases.push(Phase {
                name,
                total: time,
                processor,
                count: 1,
            }),
        }
    }
}

/// A tree of one level: "link", then its phases with milliseconds and share.
impl fmt::Display for PhaseTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phases = self.phases();
        let total: Duration = phases.iter().map(|phase| phase.total).sum();
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        write!(f, "{:>10.3} ms  link", milliseconds(total))?;
        for phase in &phases {
            let share = 100.0 * phase.total.as_secs_f64() / total.as_secs_f64().max(1e-12);
            write!(
                f,
                "\n{:>10.3} ms  {share:>3.0}%   {}",
                milliseconds(phase.total),
                phase.name
            )?;
            if phase.count > 1 {
                write!(f, " (x{})", phase.count)?;
            }
        }
        Ok(())
    }
}

/// Processor time that all threads of the process have used.
#[must_use]
pub fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// The timer of one link.
#[derive(Clone)]
pub(super) struct Timings {
    times: Arc<PhaseTimes>,
}

impl Timings {
    pub(super) fn new(times: Arc<PhaseTimes>) -> Self {
        Self { times }
    }

    /// Starts a phase that ends when the result is dropped.
    pub(super) fn phase(&self, name: &'static str) -> RunningPhase {
        let wanted = self.times.wanted.load(Ordering::Relaxed);
        let measured = wanted.then(|| Measured {
            start: Instant::now(),
            processor: processor_time(),
            times: Arc::clone(&self.times),
        });
        RunningPhase {
            name,
            measured,
            _span: tracing::debug_span!("link", phase = name).entered(),
        }
    }
}

/// A phase that is running.
pub(super) struct RunningPhase {
    name: &'static str,
    measured: Option<Measured>,
    _span: tracing::span::EnteredSpan,
}

/// When a phase started that is measured.
struct Measured {
    start: Instant,
    processor: Duration,
    times: Arc<PhaseTimes>,
}

impl Drop for RunningPhase {
    fn drop(&mut self) {
        if let Some(phase) = &self.measured {
            let processor = processor_time().saturating_sub(phase.processor);
            phase.times.add(self.name, phase.start.elapsed(), processor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_measured_unless_somebody_asks() {
        let times = Arc::new(PhaseTimes::default());
        let timings = Timings::new(times.clone());
        drop(timings.phase("layout"));
        assert_eq!(times.phases(), []);
        times.measure();
        drop(timings.phase("layout"));
        assert_eq!(times.phases()[0].count, 1);
    }

    #[test]
    fn phases_add_up() {
        let times = PhaseTimes::default();
        let milliseconds = Duration::from_millis;
        times.add("layout", milliseconds(1), milliseconds(1));
        times.add("fix up", milliseconds(6), milliseconds(11));
        times.add("layout", milliseconds(2), milliseconds(3));
        assert_eq!(times.phases()[0].count, 2);
        assert_eq!(times.phases()[0].processor, milliseconds(4));
        assert_eq!(
            times.to_string(),
            "     9.000 ms  link\n     3.000 ms   33%   layout (x2)\n     6.000 ms   67%   fix up"
        );
    }
}
