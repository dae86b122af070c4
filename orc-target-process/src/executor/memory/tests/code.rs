//! Functions with frame descriptions, and a client that links them.

use std::ffi::c_void;

use orc_shared::api::{FrameEntry, Placement, RangeId, SegmentKind, SegmentRequest};
use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use crate::executor::memory::{Config, Finalized, InFlight, MemoryManager};
use crate::host::arch::test_code::{self, CALLER_FRAME, CALLERS_CIE as CIE};

pub(super) use test_code::{
    CALLER_SIZE, CALLER_SPACE, CONSTANT_SIZE, RETURN, RETURN_OFFSET, constant,
};

/// A function that calls `target` from a frame of its own and returns what it returns.
pub(super) fn caller(target: extern "C-unwind" fn() -> usize) -> [u8; CALLER_SPACE] {
    test_code::caller(target as usize as u64)
}

const FDE_SIZE: usize = 32;

/// Bytes of an `.eh_frame` for `functions` callers.
pub(super) fn eh_frame_size(functions: usize) -> usize {
    CIE.len() + functions * FDE_SIZE + 4
}

/// Writes the `.eh_frame` of callers at `starts` into `out`, which will be at `at`; returns their
/// frame entries.
pub(super) fn write_eh_frame(out: &mut [u8], at: u64, starts: &[u64]) -> Vec<FrameEntry> {
    out[..CIE.len()].copy_from_slice(&CIE);
    let mut frames = Vec::new();
    for (index, &start) in starts.iter().enumerate() {
        let offset = CIE.len() + index * FDE_SIZE;
        let fde = &mut out[offset..offset + FDE_SIZE];
        let field = at + offset as u64 + 8;
        fde[0..4].copy_from_slice(&28_u32.to_le_bytes());
        fde[4..8].copy_from_slice(&(offset as u32 + 4).to_le_bytes());
        fde[8..12].copy_from_slice(&(start.wrapping_sub(field) as u32).to_le_bytes());
        fde[12..16].copy_from_slice(&(CALLER_SIZE as u32).to_le_bytes());
        fde[16] = 0; // augmentation length
        fde[17..17 + CALLER_FRAME.len()].copy_from_slice(&CALLER_FRAME);
        frames.push(FrameEntry {
            pc: ExecutorAddr::new(start),
            fde: ExecutorAddr::new(at + offset as u64),
        });
    }
    frames
}

/// A text segment of `size` bytes.
pub(super) fn text(size: usize) -> SegmentRequest {
    segment(SegmentKind::Text, size, size)
}

pub(super) fn segment(kind: SegmentKind, content: usize, size: usize) -> SegmentRequest {
    SegmentRequest {
        kind,
        content_size: content as u64,
        size: size as u64,
        align: 16,
    }
}

/// A manager with one range.
pub(super) fn manager(config: Config) -> (MemoryManager, RangeId) {
    let manager = MemoryManager::new(config);
    let (range, _) = manager.open_range(Placement::NearLibraries, 0).unwrap();
    (manager, range)
}

/// A small range with everything else as usual.
pub(super) fn small_config() -> Config {
    Config {
        range_size: 64 << 20,
        ..Config::default()
    }
}

pub(super) fn allocate(
    manager: &MemoryManager,
    range: RangeId,
    segments: &[SegmentRequest],
) -> InFlight {
    manager
        .allocate(range, segments)
        .unwrap()
        .expect("room in the range")
}

/// Callers of `target` with their frames, still in flight.
pub(super) struct Callers {
    pub(super) in_flight: InFlight,
    frames: Vec<FrameEntry>,
    eh_frame: ExecutorAddrRange,
    pub(super) starts: Vec<u64>,
}

impl Callers {
    pub(super) fn new(
        manager: &MemoryManager,
        range: RangeId,
        count: usize,
        target: extern "C-unwind" fn() -> usize,
    ) -> Self {
        Self::with_space(manager, range, (count, 0), target)
    }

    /// `count` callers, and `space` bytes of text without frames before them.
    pub(super) fn with_space(
        manager: &MemoryManager,
        range: RangeId,
        (count, space): (usize, usize),
        target: extern "C-unwind" fn() -> usize,
    ) -> Self {
        let size = eh_frame_size(count);
        let segments = [
            text(count * CALLER_SPACE + space),
            segment(SegmentKind::ReadOnly, size, size),
        ];
        let in_flight = manager
            .allocate_with_frames(range, &segments, Some(count))
            .unwrap()
            .expect("room");
        Self::fill(in_flight, count, target)
    }

    pub(super) fn fill(
        mut in_flight: InFlight,
        count: usize,
        target: extern "C-unwind" fn() -> usize,
    ) -> Self {
        let [code, section] = *in_flight.addresses() else {
            panic!("two segments")
        };
        let mut memory = in_flight.working_memory();
        let space = memory[0].len() - count * CALLER_SPACE;
        let starts: Vec<u64> = (0..count)
            .map(|index| code.value() + (space + index * CALLER_SPACE) as u64)
            .collect();
        for place in memory[0][space..].chunks_exact_mut(CALLER_SPACE) {
            place.copy_from_slice(&caller(target));
        }
        let frames = write_eh_frame(memory[1], section.value(), &starts);
        let eh_frame = ExecutorAddrRange::from_size(section, eh_frame_size(count) as u64);
        Self {
            in_flight,
            frames,
            eh_frame,
            starts,
        }
    }

    pub(super) fn finalize(mut self) -> (Finalized, Vec<u64>) {
        self.frames.reverse(); // Any order will do.
        let finalized = self
            .in_flight
            .finalize(self.frames, Some(self.eh_frame))
            .unwrap();
        (finalized, self.starts)
    }
}

/// Calls a function of no arguments at `addr`.
pub(super) fn call(addr: u64) -> usize {
    // SAFETY: tests pass the start of a function they have linked.
    let function = unsafe {
        std::mem::transmute::<*const c_void, extern "C-unwind" fn() -> usize>(addr as *const c_void)
    };
    function()
}

/// Throws 7 through the callers.
pub(super) extern "C-unwind" fn thrower() -> usize {
    std::panic::resume_unwind(Box::new(7_usize))
}

/// Calls the code at `addr`, which is expected to throw, and returns what it threw.
pub(super) fn catch(addr: u64) -> usize {
    let payload = std::panic::catch_unwind(|| call(addr)).unwrap_err();
    *payload.downcast::<usize>().unwrap()
}

/// Return addresses of the frames above, as the unwinder sees them.
pub(super) fn backtrace() -> Vec<usize> {
    let mut frames = [std::ptr::null_mut(); 64];
    unsafe extern "C" {
        fn backtrace(buffer: *mut *mut c_void, size: i32) -> i32;
    }
    // SAFETY: the buffer has room for as many entries as it says.
    let count = unsafe { backtrace(frames.as_mut_ptr(), 64) };
    frames[..count as usize]
        .iter()
        .map(|&frame| frame as usize)
        .collect()
}

/// Runs the calling test's `body` in a process of its own: for what other tests of this process
/// would disturb, or be disturbed by.
pub(super) fn isolated<F: FnOnce()>(body: F) {
    const RUNNING: &str = "ORC_ISOLATED_TEST";
    // As in "orc_target_process::memory::tests::frames::name_of_test::{{closure}}".
    let path = std::any::type_name::<F>();
    let test = path
        .strip_suffix("::{{closure}}")
        .unwrap()
        .split_once("::")
        .unwrap()
        .1;
    if std::env::var_os(RUNNING).is_some_and(|name| name == test) {
        return body();
    }
    let output = this_program()
        .args([test, "--exact", "--test-threads=1", "--nocapture"])
        .env(RUNNING, test)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}\n{text}\n{errors}",
        output.status
    );
    assert!(text.contains("1 passed"), "{text}");
}

/// What starts this program again: itself, or the emulator that is in the environment.
fn this_program() -> std::process::Command {
    let path = std::env::current_exe().unwrap();
    let runner = std::env::var("ORC_TEST_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    let Some(emulator) = words.next() else {
        return std::process::Command::new(path);
    };
    let mut command = std::process::Command::new(emulator);
    command.args(words).arg(path);
    command
}
