//! Stacks with linked code in them, as nongnu libunwind sees them.

use std::cell::RefCell;

use orc_shared::api::{FrameEntry, RangeId, SegmentKind};
use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use super::code::*;
use crate::executor::memory::{Config, Finalized, MemoryManager};
use crate::host::libunwind::{backtrace, backtrace_of};

thread_local! {
    static SEEN: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

extern "C-unwind" fn look_up() -> usize {
    SEEN.set(backtrace());
    11
}

/// Whether the walk goes through the call that returns to `pc`, and on to the test's own callers.
#[track_caller]
fn assert_walks(seen: &[u64], pc: u64) {
    let at = seen.iter().position(|&it| it == pc);
    let at = at.unwrap_or_else(|| panic!("{pc:#x} is not in {seen:x?}"));
    assert!(
        seen.len() > at + 3,
        "the walk ends in linked code: {seen:x?}"
    );
}

/// The same for a call that is made now.
#[track_caller]
fn assert_walks_now(start: u64) {
    assert_eq!(call(start), 11);
    assert_walks(&SEEN.take(), start + RETURN_OFFSET);
}

fn plain_config() -> Config {
    Config {
        loaded_ranges: false,
        ..small_config()
    }
}

#[test]
fn linked_code_is_walked_whether_the_loader_knows_it_or_not() {
    for config in [small_config(), plain_config()] {
        let (manager, range) = manager(config);
        let (code, starts) = Callers::new(&manager, range, 3, look_up).finalize();
        starts.iter().for_each(|&start| assert_walks_now(start));
        let expected = own_frames(starts[0]);
        // Without frames, libunwind would guess by the frame pointer, and leave this test's frame out.
        let (other, start) = link_caller_without_frame_pointer(&manager, range);
        assert_eq!(own_frames(start), expected);
        other.release().unwrap();
        code.release().unwrap();
    }
}

/// A caller without a frame pointer: its return address lies elsewhere, though its call returns to the
/// same place as that of [`caller`].
fn link_caller_without_frame_pointer(manager: &MemoryManager, range: RangeId) -> (Finalized, u64) {
    let size = eh_frame_size(1);
    let segments = [
        text(CALLER_SPACE),
        segment(SegmentKind::ReadOnly, size, size),
    ];
    let mut memory = allocate(manager, range, &segments);
    let [code, section] = *memory.addresses() else {
        panic!("two segments")
    };
    let mut bytes = caller(look_up);
    bytes[..4].copy_from_slice(&[0x48, 0x83, 0xec, 0x38]); // sub rsp, 56
    bytes[16..21].copy_from_slice(&[0x48, 0x83, 0xc4, 0x38, 0xc3]); // add rsp, 56; ret
    let [first, second] = &mut memory.working_memory()[..] else {
        panic!("two segments")
    };
    first.copy_from_slice(&bytes);
    let start = code.value();
    let frames: Vec<FrameEntry> = write_eh_frame(second, section.value(), &[start]);
    // After sub: DW_CFA_def_cfa_offset 64. Then nothing.
    let program = eh_frame_size(0) - 4 + 17;
    second[program..program + 12].copy_from_slice(&[0x44, 0x0e, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let section = ExecutorAddrRange::from_size(ExecutorAddr::new(section.value()), size as u64);
    (memory.finalize(frames, Some(section)).unwrap(), start)
}

#[test]
fn code_that_went_away_is_forgotten() {
    for config in [small_config(), plain_config()] {
        let (manager, range) = manager(config);
        let (code, starts) = Callers::new(&manager, range, 1, look_up).finalize();
        assert_walks_now(starts[0]);
        let own = own_frames(starts[0]);
        code.release().unwrap();
        let (other, start) = link_caller_without_frame_pointer(&manager, range);
        assert_eq!(start, starts[0], "released space is used again");
        assert_walks_now(start);
        assert_eq!(own_frames(start), own);
        other.release().unwrap();
    }
}

/// How many frames there are above linked code: as many, whatever the code.
fn own_frames(start: u64) -> usize {
    assert_eq!(call(start), 11);
    let seen = SEEN.take();
    let at = seen.iter().position(|&pc| pc == start + RETURN_OFFSET);
    seen.len() - at.expect("it is in the walk")
}

extern "C-unwind" fn stop() -> usize {
    // SAFETY: no precondition; the process that traces this one goes on with it.
    unsafe { libc::raise(libc::SIGSTOP) };
    0
}

#[test]
fn another_process_is_walked_through_ptrace() {
    isolated(|| {
        let (manager, range) = manager(small_config());
        let (_code, starts) = Callers::new(&manager, range, 2, stop).finalize();
        // SAFETY: the child runs code of this test and of the C library only, on its one thread.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: asks to be traced by the parent.
            unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
            call(starts[1]);
            // SAFETY: ends the child without anything of the test harness.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: waits for the child until it has stopped.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert!(libc::WIFSTOPPED(status), "{status:#x}");
        let seen = backtrace_of(child);
        // SAFETY: ends the child that was made above, and takes its status.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, &raw mut status, 0);
        }
        assert_walks(&seen.unwrap(), starts[1] + RETURN_OFFSET);
    });
}

#[test]
fn who_is_not_traced_cannot_be_walked() {
    assert!(backtrace_of(0x7fff_fff0).is_err());
}
