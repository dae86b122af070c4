//! Memory, libraries and calls of this process, through the executor's interface.

use orc_shared::{CWrapperFunctionData, CWrapperFunctionResult};

use super::*;
use crate::executor::api::{ImportKind, SegmentKind, SegmentRequest};

extern "C" fn one_byte(_: *const std::ffi::c_char, _: usize) -> CWrapperFunctionResult {
    let data = CWrapperFunctionData { inline: [7; 8] };
    CWrapperFunctionResult { data, size: 1 }
}

fn allocate(executor: &InProcessExecutor) -> Box<dyn InFlight> {
    let (range, _) = executor
        .open_range(Placement::NearLibraries, 0)
        .expect("there is address space");
    let request = AllocationRequest {
        range,
        segments: vec![SegmentRequest {
            kind: SegmentKind::Text,
            content_size: 16,
            size: 100,
            align: 16,
        }],
        tls: None,
        frames: Some(0),
    };
    let memory = executor.allocate(&[request]).expect("allocates").remove(0);
    memory.expect("an empty range has room")
}

#[test]
fn memory_goes_back_to_the_executor_that_made_it() {
    let (executor, other) = (InProcessExecutor::new(), InProcessExecutor::new());
    let mut memory = allocate(&executor);
    memory.working_memory()[0].fill(0xc3);
    let places = memory.addresses().to_vec();
    let finalized = executor.finalize(vec![(memory, FinalizeRequest::default())]);
    let finalized = finalized.expect("finalizes").remove(0);
    assert_eq!(finalized.ranges()[0].start, places[0]);
    finalized.release().expect("releases");
    drop(allocate(&other));
    assert_eq!(executor.memory().stats().total.segments, 0);
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
fn wrapper_calls_lead_to_linked_code_only() {
    let executor = InProcessExecutor::new();
    let function = ExecutorAddr::new((one_byte as *const ()).addr() as u64);
    let error = executor
        .call_wrapper(function, &[])
        .expect_err("is refused");
    assert!(error.to_string().contains("no linked code"), "{error}");
    let error = executor.call_wrapper(ExecutorAddr::NULL, &[]);
    assert!(error.is_err());
}
