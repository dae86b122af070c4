//! The watch over an executor that says nothing.
//!
//! It is asked, a few times within the limit, whether it is there. What counts are intervals in which
//! it was silent, not the clock: a computer that was suspended, or a controller that was stopped,
//! finds a silence that nobody is to blame for.

use std::time::Duration;

use crate::executor::Disconnect;

/// Intervals that make up the limit.
const INTERVALS: u32 = 4;

/// What the watch looks at.
pub(super) trait Watched {
    /// Why the connection has ended, if this side has ended it.
    fn ended(&self) -> Option<Disconnect>;
    /// Whether the executor should give signs of life: somebody waits for it, and no debugger keeps it
    /// from answering.
    fn can_be_judged(&self) -> bool;
    /// Bytes that the executor has taken so far.
    fn bytes_sent(&self) -> u64;
    /// Whether a call is not answered.
    fn is_open(&self, call: u64) -> bool;
    /// Asks the executor for a sign of life. The call's number, if it could be asked.
    fn ping(&self) -> Option<u64>;
}

/// How long nothing has come.
pub(super) struct Silence {
    limit: Option<Duration>,
    /// Intervals since the last sign of life.
    silent: u32,
    sent: u64,
    ping: Option<u64>,
}

impl Silence {
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Self {
            limit,
            silent: 0,
            sent: 0,
            ping: None,
        }
    }

    /// The length of an interval.
    pub(super) fn tick(limit: Duration) -> Duration {
        (limit / INTERVALS).max(Duration::from_millis(1))
    }

    /// Something has come.
    pub(super) fn broken(&mut self) {
        self.silent = 0;
    }

    /// An interval has passed without anything.
    ///
    /// # Errors
    /// When the limit is reached, or this side has ended the connection.
    pub(super) fn passed(&mut self, watched: &impl Watched) -> Result<(), Disconnect> {
        if let Some(ended) = watched.ended() {
            // Its farewell is waited for elsewhere, and not for long.
            tracing::trace!("waiting for the executor's end: {ended}");
            return Ok(());
        }
        let sent = watched.bytes_sent();
        let takes = sent != self.sent;
        if takes || !watched.can_be_judged() {
            self.silent = 0;
        } else {
            self.silent += 1;
        }
        if let Some(limit) = self.limit
            && self.silent >= INTERVALS
        {
            return Err(Disconnect::Silent(limit));
        }
        if self.ping.is_none_or(|call| !watched.is_open(call)) {
            self.ping = watched.ping();
        }
        self.sent = watched.bytes_sent();
        Ok(())
    }
}
