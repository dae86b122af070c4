use std::os::fd::RawFd;
use std::ptr::{null, null_mut, with_exposed_provenance};

use orc_shared::ExecutorAddr;
use orc_shared::remote::services::{CrashReport, Notice};
use orc_shared::remote::{HEADER_SIZE, MessageHeader, Opcode};
use orc_shared::sps;

use super::*;
use crate::host::arch::test_code::{self, COUNTER_AND_STACK, FRAME_SIZE_MAX};

const COUNTER: &str = COUNTER_AND_STACK[0];
const STACK: &str = COUNTER_AND_STACK[1];

/// Writes reports to a pipe.
struct Pipe(RawFd);

impl Sink for Pipe {
    fn send(&self, message: &[u8]) -> bool {
        // SAFETY: the bytes are there.
        let written = unsafe { libc::write(self.0, message.as_ptr().cast(), message.len()) };
        usize::try_from(written) == Ok(message.len())
    }
}

/// How a child ended, and what it said before.
struct Outcome {
    report: Option<CrashReport>,
    status: c_int,
}

impl Outcome {
    /// The report of a child that `signal` ended.
    #[track_caller]
    fn report(self, signal: c_int) -> CrashReport {
        assert!(libc::WIFSIGNALED(self.status), "status {:#x}", self.status);
        assert_eq!(libc::WTERMSIG(self.status), signal);
        let report = self.report.expect("it was reported");
        assert_eq!(report.signal, signal);
        report
    }
}

/// Runs `body` in a child that reports its crashes.
#[inline(never)]
fn in_child(body: fn()) -> Outcome {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    let made = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    assert_eq!(made, 0);
    // SAFETY: the child runs the body and ends. Other threads' locks do not matter to what it does.
    let child = unsafe { libc::fork() };
    if child == 0 {
        start(ends[1]);
        body();
        // SAFETY: no precondition.
        unsafe { libc::_exit(0) };
    }
    // SAFETY: descriptors of this test; the buffers are as large as is said.
    let (bytes, status) = unsafe {
        libc::close(ends[1]);
        let mut bytes = Vec::new();
        let mut piece = [0u8; 4096];
        while let Ok(count @ 1..) =
            usize::try_from(libc::read(ends[0], piece.as_mut_ptr().cast(), piece.len()))
        {
            bytes.extend_from_slice(&piece[..count]);
        }
        libc::close(ends[0]);
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        (bytes, status)
    };
    let report = (!bytes.is_empty()).then(|| decode(&bytes));
    Outcome { report, status }
}

/// What an executor does when it starts, after what Rust's runtime and the test harness did.
fn start(pipe: RawFd) {
    for signal in SIGNALS {
        // SAFETY: the default action.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let stack = libc::stack_t {
        ss_sp: null_mut(),
        ss_flags: libc::SS_DISABLE,
        ss_size: 0,
    };
    // SAFETY: no core files of tests; no alternate stack.
    unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0);
        libc::sigaltstack(&raw const stack, null_mut());
    }
    std::mem::forget(AlternateStack::of_this_thread());
    let sink: &'static Pipe = Box::leak(Box::new(Pipe(pipe)));
    report_to(sink).expect("handlers can be installed");
}

fn decode(message: &[u8]) -> CrashReport {
    let (header, body) = message.split_at(HEADER_SIZE);
    let header: [u8; HEADER_SIZE] = header.try_into().expect("a whole header");
    let header = MessageHeader::decode(&header, 1 << 20).expect("a good header");
    assert_eq!(header.opcode, Opcode::CallWrapper);
    assert_eq!(header.tag, Notice::Crashed.tag());
    assert_eq!(header.body_size, body.len() as u64);
    sps::decode(body).expect("a whole report")
}

/// Whether a code address lies in a function, which is a small one.
fn is_in(addr: ExecutorAddr, function: *const ()) -> bool {
    let start = function.addr() as u64;
    (start..start + 400).contains(&addr.value())
}

/// Whether a report's calls lead back to the test.
fn comes_from_test(report: &CrashReport) -> bool {
    let start = (in_child as *const ()).addr() as u64;
    let here = start..start + 4000;
    report
        .backtrace
        .iter()
        .any(|addr| here.contains(&addr.value()))
}

fn register(report: &CrashReport, name: &str) -> u64 {
    let found = report.registers.iter().find(|(n, _)| n == name);
    found.expect("it has that register").1
}

#[inline(never)]
fn read_from(addr: usize) -> u8 {
    // SAFETY: none: this is what the tests are about, in a child.
    unsafe { with_exposed_provenance::<u8>(addr).read_volatile() }
}

fn read_null() {
    std::hint::black_box(read_from(0x10));
}

#[test]
fn a_bad_access_is_reported_with_its_calls() {
    let report = in_child(read_null).report(libc::SIGSEGV);
    assert_eq!(report.code, 1, "SEGV_MAPERR");
    assert_eq!(report.fault_address.value(), 0x10);
    let trace = &report.backtrace;
    assert!(is_in(trace[0], read_from as *const ()), "{report:?}");
    assert!(comes_from_test(&report), "{report:?}");
    assert_eq!(register(&report, COUNTER), trace[0].value());
    let mappings = String::from_utf8(report.mappings).expect("a plain path");
    let executable = std::env::current_exe().expect("a test is a program");
    assert!(
        mappings.contains(executable.to_str().expect("a plain path")),
        "{mappings}"
    );
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX {
        return 0;
    }
    let room = std::hint::black_box([depth; 64]);
    recurse(depth + 1) + room[depth as usize % 64]
}

#[test]
fn a_stack_overflow_is_reported_from_another_stack() {
    let report = in_child(|| {
        std::hint::black_box(recurse(0));
    });
    let report = report.report(libc::SIGSEGV);
    let distance = report
        .fault_address
        .value()
        .abs_diff(register(&report, STACK));
    assert!(distance < FRAME_SIZE_MAX, "{report:?}");
    assert_eq!(report.backtrace.len(), frames::FRAMES_MAX);
    assert!(
        report
            .backtrace
            .iter()
            .all(|addr| is_in(*addr, recurse as *const ()))
    );
}

#[test]
fn other_signals_end_a_process_as_they_do() {
    let sent: [(fn(), c_int, bool); 2] = [
        (|| std::process::abort(), libc::SIGABRT, false),
        (
            // SAFETY: a signal to itself, in a child.
            || unsafe {
                libc::kill(libc::getpid(), libc::SIGBUS);
            },
            libc::SIGBUS,
            false,
        ),
    ];
    for (body, signal, has_address) in sent.into_iter().chain(test_code::RAISING) {
        let report = in_child(body).report(signal);
        assert!(comes_from_test(&report), "{report:?}");
        let sent = signal == libc::SIGABRT || signal == libc::SIGBUS;
        assert_eq!(report.code <= 0, sent, "{report:?}");
        assert_eq!(!report.fault_address.is_null(), has_address, "{report:?}");
    }
}

#[inline(never)]
fn call(addr: usize) {
    // SAFETY: none: nothing is there.
    let function = unsafe { std::mem::transmute::<usize, extern "C" fn() -> u8>(addr) };
    std::hint::black_box(function());
}

/// An address where nobody can map anything (`vm.mmap_min_addr`). Further up, another test may have memory.
const NOWHERE: u64 = 0x5000;

#[test]
fn a_call_to_nowhere_is_reported_with_its_caller() {
    for addr in [0, NOWHERE] {
        let body: fn() = if addr == 0 {
            || call(0)
        } else {
            || call(NOWHERE as usize)
        };
        let report = in_child(body).report(libc::SIGSEGV);
        let trace = &report.backtrace;
        assert_eq!(
            (trace[0].value(), report.fault_address.value()),
            (addr, addr)
        );
        assert!(is_in(trace[1], call as *const ()), "{report:?}");
        assert!(comes_from_test(&report), "{report:?}");
        assert_eq!(register(&report, COUNTER), addr);
    }
}

#[test]
fn frames_that_lead_nowhere_end_the_list() {
    // A return address that is none, above a jump to nowhere.
    let body: fn() = || {
        let mut stack = [0x5a5a_5a5a_u64; 64];
        let top = (&raw mut stack[32]).expose_provenance();
        // SAFETY: none: the thread ends there.
        unsafe { test_code::go(0x77_0000, top as u64) };
    };
    let report = in_child(body).report(libc::SIGSEGV);
    assert_eq!(report.backtrace[0].value(), 0x77_0000);
    assert!(report.backtrace.len() <= 2, "{report:?}");
    // And a stack pointer that leads to no memory at all.
    let body: fn() = || {
        // SAFETY: none: the thread ends there.
        unsafe { test_code::go(0x77_0000, 0x1000) };
    };
    let report = in_child(body).report(libc::SIGSEGV);
    assert_eq!(report.backtrace.len(), 1, "{report:?}");
}

#[test]
fn a_thread_that_crashes_is_named() {
    let report = in_child(|| {
        let thread = std::thread::Builder::new().name("worker\u{e9}".to_owned());
        let thread = thread.spawn(read_null).expect("a thread");
        let _ = thread.join();
    });
    let report = report.report(libc::SIGSEGV);
    assert_eq!(report.thread.1, "worker??");
    assert!(report.thread.0 > 0);
}

#[test]
fn children_of_the_process_are_not_reported() {
    let outcome = in_child(|| {
        // SAFETY: the child crashes, the parent hands its end on.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                read_null();
            }
            let mut status = 0;
            libc::waitpid(child, &raw mut status, 0);
            libc::_exit(libc::WTERMSIG(status));
        }
    });
    assert!(outcome.report.is_none());
    assert_eq!(libc::WEXITSTATUS(outcome.status), libc::SIGSEGV);
}

extern "C" fn exit_with_seven(_signal: c_int) {
    // SAFETY: no precondition.
    unsafe { libc::_exit(7) };
}

#[test]
fn a_handler_of_the_program_is_called_in_our_place() {
    let outcome = in_child(|| {
        // SAFETY: a handler of the right type.
        let old = unsafe { disguise::signal(libc::SIGSEGV, exit_with_seven as *const () as usize) };
        assert_eq!(old, libc::SIG_DFL);
        read_null();
    });
    assert!(outcome.report.is_none());
    assert_eq!(libc::WEXITSTATUS(outcome.status), 7);
}

#[test]
fn the_default_looks_and_works_as_such() {
    let report = in_child(|| {
        // SAFETY: asks, and sets actions that exist.
        unsafe {
            let mut old: libc::sigaction = std::mem::zeroed();
            old.sa_flags = -1;
            assert_eq!(disguise::sigaction(libc::SIGSEGV, null(), &raw mut old), 0);
            assert_eq!((old.sa_sigaction, old.sa_flags), (libc::SIG_DFL, 0));
            let handler = exit_with_seven as *const () as usize;
            assert_eq!(disguise::sysv_signal(libc::SIGSEGV, handler), libc::SIG_DFL);
            assert_eq!(disguise::signal(libc::SIGSEGV, libc::SIG_DFL), handler);
            assert_eq!(disguise::signal(libc::SIGUSR1, handler), libc::SIG_DFL);
            assert_eq!(disguise::signal(libc::SIGKILL, handler), libc::SIG_ERR);
        }
        read_null();
    });
    assert_eq!(report.report(libc::SIGSEGV).fault_address.value(), 0x10);
}
