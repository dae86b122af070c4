//! Memory, actions and libraries of this process.

use std::cell::RefCell;
use std::ffi::c_char;

use orc_shared::{CWrapperFunctionData, CWrapperFunctionResult};

use super::*;
use crate::executor::api::{FrameEntry, ImportKind, SegmentKind};

thread_local! {
    /// Actions run on this thread, in order.
    static RUN: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

fn record(action: &'static str, bytes: [u8; 8], size: usize) -> CWrapperFunctionResult {
    RUN.with_borrow_mut(|run| run.push(action));
    let data = CWrapperFunctionData { inline: bytes };
    CWrapperFunctionResult { data, size }
}

macro_rules! actions {
    ($($name:ident: $bytes:expr, $size:expr;)*) => {$(
        extern "C" fn $name(_: *const c_char, _: usize) -> CWrapperFunctionResult {
            record(stringify!($name), $bytes, $size)
        }
    )*};
}

actions! {
    first: [0; 8], 1;
    undo_first: [0; 8], 1;
    second: [0; 8], 1;
    undo_second: [0; 8], 1;
    // Says that it failed, and leaves the message out.
    broken: [1; 8], 1;
}

type Wrapper = extern "C" fn(*const c_char, usize) -> CWrapperFunctionResult;

fn action(function: Wrapper) -> Option<AllocAction> {
    Some(AllocAction {
        function: ExecutorAddr::new((function as *const ()).addr() as u64),
        args: Vec::new(),
    })
}

fn pair(finalize: Wrapper, dealloc: Wrapper) -> AllocActionPair {
    AllocActionPair {
        finalize: action(finalize),
        dealloc: action(dealloc),
    }
}

fn allocate(executor: &InProcessExecutor) -> Box<dyn InFlight> {
    let (range, _) = executor
        .open_range(Placement::NearLibraries)
        .expect("there is address space");
    let segment = |kind| SegmentRequest {
        kind,
        content_size: 16,
        size: 100,
        align: 16,
    };
    let segments = [segment(SegmentKind::Text), segment(SegmentKind::ReadWrite)];
    let memory = executor.allocate(range, &segments).expect("allocates");
    let mut memory = memory.expect("an empty range has room");
    for bytes in memory.working_memory() {
        assert_eq!(bytes.len(), 16);
        bytes.fill(0xc3);
    }
    memory
}

fn segments_in_use(executor: &InProcessExecutor) -> u64 {
    executor.memory().stats().total.segments as u64
}

#[test]
fn actions_run_in_order_and_are_undone_in_reverse() {
    let executor = InProcessExecutor::new();
    let memory = allocate(&executor);
    let places = memory.addresses().to_vec();
    let request = FinalizeRequest {
        actions: vec![pair(first, undo_first), pair(second, undo_second)],
        ..FinalizeRequest::default()
    };
    let finalized = memory.finalize(request).expect("finalizes");
    let starts: Vec<_> = finalized.ranges().iter().map(|range| range.start).collect();
    assert_eq!(starts, places);
    finalized.release().expect("releases");
    let run = RUN.with_borrow(Clone::clone);
    assert_eq!(run, ["first", "second", "undo_second", "undo_first"]);
}

#[test]
fn a_failed_action_undoes_those_before_it() {
    let executor = InProcessExecutor::new();
    let memory = allocate(&executor);
    assert_eq!(segments_in_use(&executor), 2);
    let request = FinalizeRequest {
        actions: vec![
            pair(first, undo_first),
            pair(broken, undo_second),
            pair(second, undo_second),
        ],
        ..FinalizeRequest::default()
    };
    let error = memory.finalize(request).err().expect("fails").to_string();
    assert!(error.contains("returned no SPS error"), "{error}");
    let run = RUN.with_borrow(Clone::clone);
    assert_eq!(run, ["first", "broken", "undo_first"]);
    assert_eq!(segments_in_use(&executor), 0);
}

#[test]
fn a_frame_of_foreign_code_is_an_error_before_any_action() {
    let executor = InProcessExecutor::new();
    let memory = allocate(&executor);
    let request = FinalizeRequest {
        frames: vec![FrameEntry {
            pc: ExecutorAddr::new(0x10),
            fde: ExecutorAddr::new(0x20),
        }],
        actions: vec![pair(first, undo_first)],
        ..FinalizeRequest::default()
    };
    assert!(memory.finalize(request).is_err());
    assert!(RUN.with_borrow(Vec::is_empty));
}

#[test]
fn a_thread_local_block_that_nobody_reserved_is_an_error() {
    let executor = InProcessExecutor::new();
    let memory = allocate(&executor);
    let block = TlsBlock {
        id: u64::MAX,
        tp_offset: -64,
        size: 8,
    };
    let request = FinalizeRequest {
        tls: vec![(block, vec![1])],
        actions: vec![pair(first, undo_first)],
        ..FinalizeRequest::default()
    };
    assert!(memory.finalize(request).is_err());
    assert!(RUN.with_borrow(Vec::is_empty));
}

#[test]
fn names_are_bound_to_loaded_libraries() {
    let executor = InProcessExecutor::new();
    let import = |name: &str| Import {
        name: name.as_bytes().to_vec(),
        version: None,
        kind: ImportKind::Address,
        weak: false,
    };
    let imports = [import("strlen"), import("no_such_function_anywhere")];
    let values = executor.bind_imports(&imports).expect("asks the loader");
    assert!(values[0].is_some_and(|value| value.value != 0));
    assert_eq!(values[1], None);
    let libraries = executor.loaded_libraries().expect("knows");
    assert!(libraries.iter().any(|l| l.path.contains("libc.so")));
    assert!(executor.open_library("/no/such/library.so").is_err());
}

#[test]
fn wrapper_calls_return_bytes_and_null_is_no_function() {
    let executor = InProcessExecutor::new();
    let call = action(first).expect("is a function");
    let bytes = executor.call_wrapper(call.function, &call.args);
    assert_eq!(bytes.expect("returns"), [0]);
    let error = executor.call_wrapper(ExecutorAddr::NULL, &[]);
    assert!(error.is_err());
}
