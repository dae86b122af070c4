//! Whatever arrives, and whenever it stops arriving: the executor ends in bounded time, with an exit
//! code of its own, and says why.

mod support;

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use orc_shared::ExecutorAddr;
use orc_shared::remote::llvm::LlvmService;
use orc_shared::remote::services::{
    Accept, Accepted, CrashReport, Notice, Service, Streams, VERSION,
};
use orc_shared::remote::{HEADER_SIZE, Opcode};
use orc_shared::sps::{self, SpsError};
use support::controller::{Spawned, message};
use support::{library, path};

/// Sends bytes to a new executor, which must end its connection with a reason.
#[track_caller]
fn refused(bytes: &[u8], expected: &str) {
    let mut it = Spawned::new();
    it.controller.send(bytes);
    let reason = it.controller.goodbye();
    assert!(reason.contains(expected), "{reason}");
    assert!(it.controller.is_closed());
    let (status, errors) = it.ended();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains(expected), "{errors}");
}

fn header(size: u64, opcode: u64, sequence: u64, tag: u64) -> Vec<u8> {
    [size, opcode, sequence, tag].map(u64::to_le_bytes).concat()
}

#[test]
fn hostile_headers_end_the_connection() {
    refused(&header(1 << 63, 3, 0, 0x110), "exceeds the limit");
    refused(&header(u64::MAX, 2, 0, 0), "exceeds the limit");
    refused(&header(31, 3, 0, 0x110), "smaller than its 32-byte header");
    refused(&header(32, 4, 0, 0), "unknown message opcode 4");
    refused(
        &header(32, 2, 0, 7),
        "unexpected sequence number 0 or tag 0x7",
    );
}

#[test]
fn messages_that_make_no_sense_end_the_connection() {
    let number = |tag| ExecutorAddr::new(tag);
    let call = |tag, body: &[u8]| message(Opcode::CallWrapper, 0, tag, body);
    refused(&call(number(77), b""), "call of number 77");
    refused(&call(number(4095), b""), "call of number 4095");
    refused(&call(number(0), b""), "call of number 0");
    refused(
        &message(Opcode::Result, 9, ExecutorAddr::NULL, b""),
        "call 9, which is not open",
    );
    refused(
        &message(Opcode::Setup, 0, ExecutorAddr::NULL, b""),
        "a setup message",
    );
    refused(
        &message(Opcode::Hangup, 0, ExecutorAddr::NULL, b"x"),
        "cannot be read",
    );
    refused(
        &call(LlvmService::MemoryManager.tag(), b""),
        "_Instance is no service",
    );
    refused(
        &call(
            LlvmService::ReadBuffers.tag(),
            &sps::encode(&vec![(number(8), u64::MAX)]),
        ),
        "which no message",
    );
}

#[test]
fn arguments_of_every_service_are_checked() {
    let ours = Service::ALL.iter().map(|it| (it.tag(), it.name()));
    let llvms = LlvmService::ALL.iter().map(|it| (it.tag(), it.name()));
    for (tag, name) in ours.chain(llvms) {
        // A count that nothing can hold, and nothing behind it.
        let body = [0xff; 9];
        let mut it = Spawned::new();
        it.controller
            .send(&message(Opcode::CallWrapper, 0, tag, &body));
        let reason = it.controller.goodbye();
        assert!(reason.contains(name), "{name}: {reason}");
        assert_eq!(it.ended().0.code(), Some(1), "{name}");
    }
}

#[test]
fn too_many_descriptors_end_the_connection() {
    let mut it = Spawned::new();
    let tag = Service::Ping.tag();
    it.controller.start_with(tag, b"", &[0; 9]);
    let reason = it.controller.goodbye();
    assert!(reason.contains("descriptors"), "{reason}");
    assert_eq!(it.ended().0.code(), Some(1));
}

#[test]
fn half_a_message_is_an_end() {
    let whole = message(
        Opcode::CallWrapper,
        0,
        Service::ReadFile.tag(),
        &sps::encode("/etc/passwd"),
    );
    for size in [1, HEADER_SIZE - 1, HEADER_SIZE, whole.len() - 1] {
        let mut it = Spawned::new();
        it.controller.send(&whole[..size]);
        let (status, errors) = it.close();
        assert_eq!(status.code(), Some(1), "{size}: {errors}");
        assert!(errors.contains("in the middle of a message"), "{errors}");
    }
}

#[test]
fn a_message_larger_than_the_limit_is_refused_before_it_arrives() {
    let mut it = Spawned::with(&["--max-message", "64K"]);
    it.controller
        .send(&header(65_537, 3, 0, Service::Ping.tag().value()));
    let reason = it.controller.goodbye();
    assert!(
        reason.contains("65537 bytes exceeds the limit of 65536"),
        "{reason}"
    );
    assert_eq!(it.ended().0.code(), Some(1));
}

#[test]
fn a_claimed_size_takes_no_memory() {
    let mut it = Spawned::new();
    it.controller
        .send(&header(1 << 30, 3, 0, Service::Ping.tag().value()));
    it.controller.send(&[0; 1000]);
    std::thread::sleep(Duration::from_millis(100));
    let status = std::fs::read_to_string(format!("/proc/{}/status", it.child.id()));
    let status = status.expect("is there");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|it| it.trim().trim_end_matches(" kB").parse::<u64>().ok());
    assert!(peak.expect("is told") < 64 << 10, "{status}");
    assert_eq!(it.close().0.code(), Some(1));
}

#[test]
fn a_goodbye_is_an_end() {
    let mut it = Spawned::accepted();
    let body = sps::encode(&SpsError(Ok(())));
    it.controller
        .send(&message(Opcode::Hangup, 0, ExecutorAddr::NULL, &body));
    let (status, errors) = it.ended();
    assert!(status.success(), "{errors}");
}

#[test]
fn an_answer_that_the_controller_cannot_take_is_an_end() {
    let mut it = Spawned::new();
    let accept = Accept {
        version: VERSION,
        max_message: 100,
        silence_max_ms: 0,
        streams: Streams::Inherited,
    };
    let accepted = it.controller.expected::<Accepted>(Service::Accept, &accept);
    accepted.expect("accepts");
    it.controller.start(Service::Libraries.tag(), b"");
    let (status, errors) = it.ended();
    assert_eq!(status.code(), Some(1));
    assert!(
        errors.contains("larger than the 100 that the controller takes"),
        "{errors}"
    );
}

/// An executor whose program runs for ever, or calls the controller.
fn running(test: &str, source: &str) -> Spawned {
    let library = library(test, "runs.c", source, &["-w"]);
    let mut it = Spawned::accepted();
    let opened = it
        .controller
        .order(Service::OpenLibrary, path(&library).as_str());
    opened.expect("opens");
    let function = it.controller.function("run");
    it.controller.start(function, b"");
    it
}

#[test]
fn no_program_outlives_its_controller() {
    let mut it = running(
        "hostile_outlives",
        "#include <unistd.h>\nvoid run(void) { for (;;) pause(); }",
    );
    // It has begun, and other calls are still served.
    let sequence = it.controller.start(Service::Ping.tag(), b"");
    let answer = it.controller.receive().expect("an answer");
    assert_eq!(answer.sequence, sequence);
    let start = Instant::now();
    let (status, _) = it.close();
    assert_eq!(status.code(), Some(1));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_silent_controller_is_given_up() {
    let mut it = Spawned::new();
    let accept = Accept {
        version: VERSION,
        max_message: 1 << 20,
        silence_max_ms: 300,
        streams: Streams::Inherited,
    };
    let accepted = it.controller.expected::<Accepted>(Service::Accept, &accept);
    accepted.expect("accepts");
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(150));
        assert_eq!(it.controller.call(Service::Ping.tag(), b""), b"");
    }
    let reason = it.controller.goodbye();
    assert!(
        reason.contains("nothing was heard of the controller for 300ms"),
        "{reason}"
    );
    assert_eq!(it.ended().0.code(), Some(1));
}

/// An executor, and a function in it that never returns.
fn with_a_function_that_waits(name: &str, options: &[&str]) -> (Spawned, ExecutorAddr) {
    let source = "#include <unistd.h>\nvoid run(void) { for (;;) pause(); }";
    let library = library(name, "waits.c", source, &["-w"]);
    let mut it = Spawned::with(options);
    it.controller.accept(Streams::Inherited);
    let opened = it
        .controller
        .order(Service::OpenLibrary, path(&library).as_str());
    opened.expect("opens");
    let function = it.controller.function("run");
    (it, function)
}

#[test]
fn too_many_calls_end_the_connection() {
    let (mut it, function) = with_a_function_that_waits("hostile_calls", &["--max-calls", "10"]);
    for _ in 0..11 {
        it.controller.start(function, b"");
    }
    let reason = it.controller.goodbye();
    assert!(reason.contains("more than 10 calls at a time"), "{reason}");
    assert_eq!(it.ended().0.code(), Some(1));
}

#[test]
fn a_call_that_comes_twice_ends_the_connection() {
    let (mut it, function) = with_a_function_that_waits("hostile_twice", &[]);
    let number = it.controller.start(function, b"");
    it.controller
        .send(&message(Opcode::CallWrapper, number, function, b""));
    let reason = it.controller.goodbye();
    let expected = format!("a second call of number {number}, which is open");
    assert!(reason.contains(&expected), "{reason}");
    assert_eq!(it.ended().0.code(), Some(1));
}

#[test]
fn a_program_may_close_every_descriptor() {
    let source = "#define _GNU_SOURCE\n#include <unistd.h>\n#include <stdlib.h>\n\
                  void run(void) { closefrom(3); usleep(200000); exit(23); }";
    let it = running("hostile_closes", source);
    assert_eq!(it.ended().0.code(), Some(23));
}

#[test]
fn a_crash_is_reported_and_is_a_signal() {
    let mut it = running(
        "hostile_crash",
        "void run(void) { *(volatile int *)16 = 1; }",
    );
    let crashed = it.controller.receive().expect("a report");
    assert_eq!(crashed.tag, Notice::Crashed.tag());
    let report: CrashReport = sps::decode(&crashed.body).expect("a report");
    assert_eq!(report.signal, libc::SIGSEGV);
    assert_eq!(report.fault_address, ExecutorAddr::new(16));
    assert!(it.controller.is_closed());
    assert_eq!(it.ended().0.signal(), Some(libc::SIGSEGV));
}

#[test]
fn random_bytes_never_hang_or_crash_it() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..60 {
        let mut bytes = Vec::new();
        for _ in 0..round % 7 + 1 {
            // Mostly well-formed headers of services, with bodies of noise.
            let mut word = || {
                seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                seed >> 20
            };
            let (size, opcode) = (word() % 200, [3, 3, 3, 2, 1][word() as usize % 5]);
            // Calls by address are calls, and memory of the controller's choice is memory: not these.
            let tag = 0x100 + word() % Service::ALL.len() as u64;
            let tag = if opcode == 3 { tag } else { 0 };
            bytes.extend(header(size + 32, opcode, word() % 2 * (opcode - 1), tag));
            bytes.extend((0..size).map(|_| (word() % 3) as u8));
        }
        let mut it = Spawned::new();
        it.controller.send(&bytes);
        let (status, errors) = it.close();
        assert!(status.code().is_some(), "round {round}: {status} {errors}");
        assert!(!errors.contains("panicked"), "round {round}: {errors}");
    }
}
