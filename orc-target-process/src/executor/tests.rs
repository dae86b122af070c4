//! Memory and actions of this process, in batches.

use std::cell::RefCell;
use std::ffi::c_char;

use orc_shared::api::{FrameEntry, SegmentKind, SegmentRequest, TlsPlace, TlsRequest, TlsRoom};
use orc_shared::{CWrapperFunctionData, CWrapperFunctionResult};

use super::*;
use crate::host::arch::test_code::wrapper_returning;

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

fn action(function: Wrapper) -> AllocAction {
    AllocAction {
        function: ExecutorAddr::new((function as *const ()).addr() as u64),
        args: Vec::new(),
    }
}

fn pair(finalize: Wrapper, dealloc: Wrapper) -> AllocActionPair {
    AllocActionPair {
        finalize: action(finalize),
        dealloc: action(dealloc),
    }
}

fn with_actions(actions: Vec<AllocActionPair>) -> FinalizeRequest {
    FinalizeRequest {
        actions,
        ..FinalizeRequest::default()
    }
}

fn executor() -> LocalExecutor {
    // SAFETY: the tests name functions and memory of their own.
    let trust = unsafe { Trust::in_requests() };
    LocalExecutor::trusting(memory::Config::default(), trust)
}

fn request(executor: &LocalExecutor) -> AllocationRequest {
    let (range, _) = executor
        .open_range(Placement::NearLibraries, 0)
        .expect("there is address space");
    let segment = |kind| SegmentRequest {
        kind,
        content_size: 16,
        size: 100,
        align: 16,
    };
    AllocationRequest {
        range,
        segments: vec![segment(SegmentKind::Text), segment(SegmentKind::ReadWrite)],
        tls: None,
        frames: None,
    }
}

fn allocate(executor: &LocalExecutor, request: &AllocationRequest) -> InFlight {
    let memory = executor.allocate(std::slice::from_ref(request));
    let memory = memory.expect("allocates").remove(0);
    let mut memory = memory.expect("an empty range has room");
    for bytes in memory.working_memory() {
        assert_eq!(bytes.len(), 16);
        bytes.fill(0xc3);
    }
    memory
}

fn segments_in_use(executor: &LocalExecutor) -> u64 {
    executor.memory().stats().total.segments as u64
}

fn run() -> Vec<&'static str> {
    RUN.with_borrow(Clone::clone)
}

#[test]
fn actions_run_in_order_and_are_undone_in_reverse() {
    let executor = executor();
    let memory = allocate(&executor, &request(&executor));
    let places = memory.addresses().to_vec();
    let actions = with_actions(vec![pair(first, undo_first), pair(second, undo_second)]);
    let mut finalized = executor
        .finalize(vec![(memory, actions)])
        .expect("finalizes");
    let finalized = finalized.remove(0);
    let starts: Vec<_> = finalized.ranges().iter().map(|range| range.start).collect();
    assert_eq!(starts, places);
    assert_eq!(finalized.release(), Ok(Released::Freed));
    assert_eq!(run(), ["first", "second", "undo_second", "undo_first"]);
}

#[test]
fn the_linker_of_this_process_calls_only_what_it_linked() {
    let executor = LocalExecutor::new(memory::Config::default());
    let request = request(&executor);
    let mut memory = allocate(&executor, &request);
    let seven = wrapper_returning(7);
    memory.working_memory()[0][..seven.len()].copy_from_slice(&seven);
    let [code, data] = memory.addresses()[..] else {
        panic!("two segments");
    };
    assert_eq!(
        executor.call_wrapper(code, &[]),
        Err(CallError::NotOwn(code))
    );
    let finalized = executor.finalize(vec![(memory, FinalizeRequest::default())]);
    let finalized = finalized.expect("finalizes").remove(0);
    assert_eq!(executor.call_wrapper(code, &[]), Ok(vec![7]));
    let foreign = ExecutorAddr::new((first as *const ()).addr() as u64);
    for other in [data, code + 100, foreign] {
        let called = executor.call_wrapper(other, &[]);
        assert_eq!(called, Err(CallError::NotOwn(other)));
    }
    let memory = allocate(&executor, &request);
    let actions = with_actions(vec![pair(first, undo_first)]);
    let failure = executor.finalize(vec![(memory, actions)]).err();
    assert!(failure.is_some_and(|it| it.0.contains("no linked code")));
    assert!(run().is_empty());
    assert_eq!(finalized.release(), Ok(Released::Freed));
    assert_eq!(
        executor.call_wrapper(code, &[]),
        Err(CallError::NotOwn(code))
    );
}

#[test]
fn a_failed_action_undoes_the_whole_batch() {
    let executor = executor();
    let request = request(&executor);
    let batch = vec![
        (
            allocate(&executor, &request),
            with_actions(vec![pair(first, undo_first)]),
        ),
        (
            allocate(&executor, &request),
            with_actions(vec![
                pair(second, undo_second),
                pair(broken, undo_second),
                pair(first, undo_first),
            ]),
        ),
    ];
    assert_eq!(segments_in_use(&executor), 4);
    let failure = executor.finalize(batch).err().expect("fails").to_string();
    assert!(failure.contains("returned no SPS error"), "{failure}");
    assert_eq!(
        run(),
        ["first", "second", "broken", "undo_second", "undo_first"]
    );
    assert_eq!(segments_in_use(&executor), 0);
}

#[test]
fn no_action_runs_before_all_of_the_batch_is_in_place() {
    let executor = executor();
    let request = request(&executor);
    let foreign = FinalizeRequest {
        frames: vec![FrameEntry {
            pc: ExecutorAddr::new(0x10),
            fde: ExecutorAddr::new(0x20),
        }],
        ..FinalizeRequest::default()
    };
    let batch = vec![
        (
            allocate(&executor, &request),
            with_actions(vec![pair(first, undo_first)]),
        ),
        (allocate(&executor, &request), foreign),
    ];
    assert!(executor.finalize(batch).is_err());
    assert!(run().is_empty());
    assert_eq!(segments_in_use(&executor), 0);
}

fn fixed(size: u64, align: u64) -> TlsRequest {
    TlsRequest {
        size,
        align,
        room: TlsRoom::Fixed,
    }
}

#[test]
fn thread_local_storage_lives_with_its_allocation() {
    let executor = executor();
    let request = AllocationRequest {
        tls: Some(fixed(24, 16)),
        ..request(&executor)
    };
    let image = |bytes: &[u8]| FinalizeRequest {
        tls_image: bytes.to_vec(),
        ..FinalizeRequest::default()
    };
    let memory = allocate(&executor, &request);
    let block = memory.tls().expect("was asked for");
    assert_eq!(block.size, 24);
    assert!(matches!(block.place, TlsPlace::Fixed(offset) if offset % 16 == 0));
    let finalized = executor.finalize(vec![(memory, image(&[1, 2, 3]))]);
    let finalized = finalized.expect("finalizes").remove(0);
    assert_eq!(finalized.release(), Ok(Released::Freed));

    // What is given back can be had again, whether it was final or not.
    for _ in 0..5000 {
        drop(allocate(&executor, &request));
    }
    let without = AllocationRequest {
        tls: None,
        ..request
    };
    let memory = allocate(&executor, &without);
    assert!(executor.finalize(vec![(memory, image(&[1]))]).is_err());
    assert_eq!(segments_in_use(&executor), 0);
}

#[test]
fn thread_local_storage_may_be_missing_or_in_a_module() {
    let executor = executor();
    let room = |room| AllocationRequest {
        tls: Some(TlsRequest {
            room,
            ..fixed(1 << 20, 16)
        }),
        ..request(&executor)
    };
    let memory = allocate(&executor, &room(TlsRoom::FixedIfFree));
    assert_eq!(memory.tls(), None);
    let memory = allocate(&executor, &room(TlsRoom::Module));
    let block = memory.tls().expect("was asked for");
    assert!(matches!(block.place, TlsPlace::Module { offset: 0, .. }));
    let finalized = executor.finalize(vec![(memory, FinalizeRequest::default())]);
    let finalized = finalized.expect("finalizes").remove(0);
    assert_eq!(finalized.release(), Ok(Released::Freed));
}

#[test]
fn a_batch_is_allocated_whole_or_not_at_all() {
    let executor = executor();
    let good = request(&executor);
    let bad = AllocationRequest {
        tls: Some(fixed(1 << 40, 8)),
        ..good.clone()
    };
    assert!(executor.allocate(&[good.clone(), bad]).is_err());
    assert_eq!(segments_in_use(&executor), 0);
    let unknown = AllocationRequest {
        range: RangeId(77),
        ..good.clone()
    };
    assert!(executor.allocate(&[good, unknown]).is_err());
    assert_eq!(segments_in_use(&executor), 0);
}

#[test]
fn a_stub_near_the_libraries_leads_anywhere() {
    extern "C" fn here(value: u64) -> u64 {
        value + 1
    }
    let executor = LocalExecutor::new(memory::Config::default());
    let target = ExecutorAddr::new((here as *const ()).addr() as u64);
    let stub = executor
        .memory
        .stub_near_libraries(target)
        .expect("has a place");
    assert_eq!(executor.memory.stub_near_libraries(target), Some(stub));
    // What reaches the libraries reaches it.
    let library = crate::host::pages::an_address_in_a_library();
    assert!(
        stub.value().abs_diff(library) < 1 << 28,
        "{stub}, {library:#x}"
    );
    // It belongs to the process.
    drop(executor);
    // SAFETY: the stub leads to a function of this type, and stays.
    let stub: extern "C" fn(u64) -> u64 =
        unsafe { std::mem::transmute(stub.value() as usize as *const ()) };
    assert_eq!(stub(41), 42);
}

#[test]
fn the_exit_thunk_leads_where_its_argument_says() {
    #[repr(C)]
    struct Record {
        run: extern "C" fn(*mut Record),
        value: u64,
    }
    extern "C" fn run(record: *mut Record) {
        // SAFETY: the record that is passed below.
        unsafe { (*record).value += 1 };
    }
    let services = LocalExecutor::exit_services();
    assert!(!services.is_null());
    assert_eq!(
        LocalExecutor::exit_services(),
        services,
        "one for the process"
    );
    // SAFETY: a runtime is told of this type.
    let services = unsafe { &*(services.value() as usize as *const orc_shared::ExitServices) };
    let mut record = Record { run, value: 41 };
    // SAFETY: the first word of the argument is a function that takes the argument.
    unsafe { (services.thunk)((&raw mut record).cast()) };
    assert_eq!(record.value, 42);
}
