//! Telling that a thread is not in the middle of making another one.
//!
//! `pthread_create` copies the template of thread-locals into the new thread's block, then takes
//! the lock of the thread lists and adds the new thread. In between nothing shows it. That takes
//! microseconds of processor time, and the only system call in it waits for that lock. So
//! a thread is past it if it is seen blocked in another system call, or has used a millisecond of
//! processor time since the template was patched.

use std::ffi::CStr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Processor time in nanoseconds: longer than any copy takes, page faults included.
const RUN_TIME: u64 = 1_000_000;
/// A thread that is neither blocked nor gets processor time is stopped, or the machine is
/// hopelessly busy. Waiting longer makes it no likelier that it was stopped at this very spot.
const TIME_LIMIT: Duration = Duration::from_millis(500);

/// Threads that have not been seen outside `pthread_create` yet.
pub(super) struct Watch {
    /// With the processor time they had used when first looked at.
    threads: Vec<(i32, u64)>,
    /// Where the lock of the thread lists is.
    list_lock: Range<u64>,
}

impl Watch {
    pub fn new(threads: &[i32], list_lock: Range<u64>) -> Self {
        let mut watch = Self {
            threads: Vec::new(),
            list_lock,
        };
        let busy = threads.iter().filter(|&&thread| !watch.is_blocked(thread));
        // Processor time is counted when a thread is switched, so what is read here may be late,
        // but never early.
        let busy = busy.map(|&thread| (thread, run_time(thread))).collect();
        watch.threads = busy;
        watch
    }

    /// Waits until each thread has been seen elsewhere.
    pub fn wait(mut self) {
        let start = Instant::now();
        while !self.threads.is_empty() && start.elapsed() < TIME_LIMIT {
            std::thread::sleep(Duration::from_micros(50));
            let mut threads = std::mem::take(&mut self.threads);
            threads.retain(|&(thread, first)| {
                run_time(thread).saturating_sub(first) < RUN_TIME && !self.is_blocked(thread)
            });
            self.threads = threads;
        }
    }

    /// Whether the thread waits in a system call that is not for the lock of the thread lists. (A
    /// thread that waits for another lock of the loader's has not copied the template yet.)
    fn is_blocked(&self, thread: i32) -> bool {
        // "running", or "-1 ..." (blocked, but not in a system call), or the call's number, its six
        // arguments, the stack pointer and the program counter.
        let mut text = [0; TEXT_MAX];
        let Some(text) = read(thread, "syscall", &mut text) else {
            // It has ended.
            return true;
        };
        let mut words = text.split_ascii_whitespace();
        match words.next().and_then(|word| word.parse::<i64>().ok()) {
            Some(libc::SYS_futex) => words
                .next()
                .and_then(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok())
                .is_some_and(|lock| !self.list_lock.contains(&lock)),
            Some(number) => number >= 0,
            None => false,
        }
    }
}

/// Processor time that the thread has used, in nanoseconds.
fn run_time(thread: i32) -> u64 {
    let mut text = [0; TEXT_MAX];
    let text = read(thread, "schedstat", &mut text);
    let first = text.and_then(|text| text.split(' ').next()?.parse().ok());
    first.unwrap_or(0)
}

/// Bytes that the files of a thread have at most: nine numbers.
const TEXT_MAX: usize = 256;

/// Reads a small file of a thread. There may be many threads, so this does no more than it must.
fn read<'a>(thread: i32, name: &str, text: &'a mut [u8; TEXT_MAX]) -> Option<&'a str> {
    let mut path = [0; 64];
    write!(&mut path[..], "/proc/self/task/{thread}/{name}").ok()?;
    let mut file = File::open(CStr::from_bytes_until_nul(&path).ok()?.to_str().ok()?).ok()?;
    let length = file.read(text).ok()?;
    std::str::from_utf8(text.get(..length)?).ok()
}
