//! Opening a range without waiting for the loader forever.
//!
//! Opening a shared object takes the loader's lock. Somebody may hold that lock and wait for us: a
//! library's constructor, or the callback of a `dl_iterate_phdr`, that calls a function which is
//! linked on first call, on another thread. So a thread of its own does the opening, and if it
//! takes too long, the link goes on in memory that the loader does not know, with registered
//! frames. The late range is kept for the next one who asks.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use orc_shared::api::Placement;

use super::Config;
use super::pool::Pool;
use super::range::Range;
use crate::host::MemoryError;
use crate::host::range::wait_for_visitors_of_the_loader;
use crate::host::thread::spawn_without_signals;

/// How long to wait for the loader: much longer than it needs, and short enough for whoever waits.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// Opens a range as `config` says, but without the loader if that does not answer in time.
pub(crate) fn open_in_time(
    placement: Placement,
    least: u64,
    config: Config,
    pool: &'static Pool,
) -> Result<Range, MemoryError> {
    if !config.loaded_ranges {
        return Range::open(placement, config.range_size, least, false);
    }
    let (done, opened) = sync_channel(0);
    let work = move || {
        wait_for_visitors_of_the_loader();
        hand_over(
            Range::open(placement, config.range_size, least, true),
            &done,
            pool,
        );
    };
    if spawn_without_signals("orc-range", work).is_none() {
        return Range::open(placement, config.range_size, least, false);
    }
    match opened.recv_timeout(WAIT_MAX) {
        Ok(range) => range,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            Range::open(placement, config.range_size, least, false)
        }
    }
}

/// Gives a range to the one who waits for it, or keeps it if nobody does any more.
fn hand_over(
    range: Result<Range, MemoryError>,
    done: &SyncSender<Result<Range, MemoryError>>,
    pool: &Pool,
) {
    if let Err(unwanted) = done.send(range)
        && let Ok(range) = unwanted.0
    {
        pool.give(Arc::new(range));
    }
}
