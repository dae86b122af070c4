//! Calls through stubs while these are led to other code, in many orders of events: `shuttle` decides who goes on
//! whenever somebody takes a lock or touches a pointer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use super::{Behind, Bound, LazyCalls, Redirection, Resolved, StubSet, redirect};
use crate::cpu::Architecture;
use crate::executor::api::{
    Import, ImportValue, LoadedLibrary, Placement, ProgramIdentity, ProgramImage, RangeId,
};
use crate::executor::{
    AllocationRequest, DispatchHandler, ExecutorControl, ExecutorError, ExecutorResult,
    FinalizeRequest, Finalized, InFlight,
};
use crate::ids::{DylibId, TrackerId};
use crate::name::NameTable;
use crate::sync::{Mutex, in_many_orders};

/// Orders of events that are tried.
const ORDERS: usize = 5_000;

/// Where code and tables are.
const FIRST_BODY: u64 = 0x1000;
const SECOND_BODY: u64 = 0x2000;
const STUBS: u64 = 0x10_0000;
const POINTERS: u64 = 0x20_0000;
const TRAMPOLINES: u64 = 0x30_0000;

/// The pointers of all stubs. A processor reads and writes one at a time.
#[derive(Default)]
struct Pointers {
    words: Mutex<HashMap<u64, u64>>,
    /// How many writes are done before one fails; none does if this is 0.
    fail_after: Mutex<usize>,
}

impl Pointers {
    fn read(&self, place: ExecutorAddr) -> ExecutorAddr {
        ExecutorAddr::new(self.words.lock()[&place.value()])
    }

    fn write(&self, place: ExecutorAddr, to: ExecutorAddr) {
        self.words.lock().insert(place.value(), to.value());
    }
}

fn unused<T>() -> ExecutorResult<T> {
    Err(ExecutorError::failed("not part of this model"))
}

impl ExecutorControl for Pointers {
    fn architecture(&self) -> Architecture {
        Architecture::X86_64
    }

    fn capabilities(&self) -> [u64; 2] {
        [0; 2]
    }

    fn page_size(&self) -> u64 {
        4096
    }

    fn close_range(&self, _: RangeId) {}

    fn open_range(&self, _: Placement, _: u64) -> ExecutorResult<(RangeId, ExecutorAddrRange)> {
        unused()
    }

    fn allocate(&self, _: &[AllocationRequest]) -> ExecutorResult<Vec<Option<Box<dyn InFlight>>>> {
        unused()
    }

    fn finalize(
        &self,
        _: Vec<(Box<dyn InFlight>, FinalizeRequest)>,
    ) -> ExecutorResult<Vec<Box<dyn Finalized>>> {
        unused()
    }

    fn loaded_libraries(&self) -> ExecutorResult<Vec<LoadedLibrary>> {
        unused()
    }

    fn open_library(&self, _: &str) -> ExecutorResult<()> {
        unused()
    }

    fn bind_imports(&self, _: &[Import]) -> ExecutorResult<Vec<Option<ImportValue>>> {
        unused()
    }

    fn open_program(
        &self,
        _: &ProgramImage,
        _: &mut dyn FnMut(&[ImportValue]) -> ExecutorResult<()>,
    ) -> ExecutorResult<()> {
        unused()
    }

    fn call_wrapper(&self, _: ExecutorAddr, _: &[u8]) -> ExecutorResult<Vec<u8>> {
        unused()
    }

    fn register_handler(&self, _: ExecutorAddr, _: DispatchHandler) {}

    fn dispatch_function(&self) -> (ExecutorAddr, ExecutorAddr) {
        (ExecutorAddr::NULL, ExecutorAddr::NULL)
    }

    fn set_program(&self, _: &ProgramIdentity) {}

    fn write_pointers(&self, pointers: &[(ExecutorAddr, ExecutorAddr)]) -> ExecutorResult<()> {
        {
            let mut fail_after = self.fail_after.lock();
            match *fail_after {
                0 => {}
                1 => {
                    *fail_after = 0;
                    return Err(ExecutorError::failed("told to fail"));
                }
                _ => *fail_after -= 1,
            }
        }
        for (place, to) in pointers {
            self.write(*place, *to);
        }
        Ok(())
    }
}

/// Functions with stubs, each in a set of its own.
struct Model {
    pointers: Pointers,
    calls: LazyCalls,
    sets: Vec<Arc<StubSet>>,
    /// How often each function's stub was led to what its name stands for.
    led: Vec<AtomicUsize>,
}

/// What a number of a function stands for, in one of its versions.
fn body(function: usize, base: u64) -> Bound {
    Bound {
        addr: ExecutorAddr::new(base + function as u64),
        tracker: Some(TrackerId(1)),
    }
}

impl Model {
    fn new(functions: usize) -> Self {
        let names = Arc::new(NameTable::default());
        let pointers = Pointers::default();
        let calls = LazyCalls::default();
        let set = |function: usize| {
            let name = names.intern(format!("f{function}").as_bytes());
            let behind = vec![Behind::Name(DylibId(0), name)];
            let set = StubSet::new(&names, TrackerId(0), Architecture::X86_64, behind, None);
            let set = Arc::new(set);
            let [stub, pointer, trampoline] = [STUBS, POINTERS, TRAMPOLINES]
                .map(|base| ExecutorAddr::new(base + 64 * function as u64));
            pointers.write(pointer, trampoline);
            set.place(&[stub, pointer, trampoline]);
            calls.add(&set);
            set
        };
        let sets = (0..functions).map(set).collect();
        Self {
            pointers,
            calls,
            sets,
            led: (0..functions).map(|_| AtomicUsize::new(0)).collect(),
        }
    }

    /// Calls a function through its stub: says which version was entered.
    fn call(&self, function: usize) -> u64 {
        let place = ExecutorAddr::new(POINTERS + 64 * function as u64);
        let mut to = self.pointers.read(place);
        if to.value() >= TRAMPOLINES {
            // As the session answers the runtime.
            let (set, index) = self.calls.find(to).expect("it is a trampoline");
            let behind = set.behind(index, &self.pointers).expect("there is memory");
            to = match behind.expect("a function") {
                Behind::Code(code) => code.addr,
                Behind::Name(..) | Behind::InForce(..) => {
                    let code = body(function, FIRST_BODY);
                    let resolved = set.resolve(index, code, &self.pointers);
                    match resolved.expect("there is memory") {
                        Resolved::Now => {
                            self.led[function].fetch_add(1, Ordering::Relaxed);
                            code.addr
                        }
                        Resolved::Otherwise(addr) => addr,
                    }
                }
            };
        }
        to.value() - function as u64
    }

    /// Leads all functions to their second versions, in one step.
    fn replace(&self) -> Result<(), ExecutorError> {
        let redirection = |(function, set): (usize, &Arc<StubSet>)| Redirection {
            set: set.clone(),
            index: 0,
            behind: Behind::Code(body(function, SECOND_BODY)),
        };
        let all: Vec<Redirection> = self.sets.iter().enumerate().map(redirection).collect();
        redirect(&all, &self.pointers, || Ok::<(), ExecutorError>(())).map(|_| ())
    }
}

#[test]
fn whoever_has_entered_new_code_gets_into_no_old_code() {
    in_many_orders(ORDERS, || {
        let model = Arc::new(Model::new(2));
        let callers = [[0, 1], [1, 0]].map(|order| {
            let model = model.clone();
            shuttle::thread::spawn(move || {
                let seen = order.map(|function| model.call(function));
                assert!(seen[0] <= seen[1], "{seen:x?}");
            })
        });
        model.replace().expect("there is memory");
        callers
            .into_iter()
            .for_each(|caller| caller.join().expect("right"));
        assert_eq!(
            [0, 1].map(|function| model.call(function)),
            [SECOND_BODY; 2]
        );
    });
}

#[test]
fn first_calls_of_many_threads_lead_a_stub_once() {
    in_many_orders(ORDERS, || {
        let model = Arc::new(Model::new(1));
        let call = || {
            let model = model.clone();
            shuttle::thread::spawn(move || assert_eq!(model.call(0), FIRST_BODY))
        };
        let callers = [call(), call(), call()];
        callers
            .into_iter()
            .for_each(|caller| caller.join().expect("right"));
        assert_eq!(model.led[0].load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_replacement_that_fails_leaves_calls_in_old_code() {
    in_many_orders(ORDERS, || {
        for step in [1, 2] {
            let model = Arc::new(Model::new(2));
            // First calls would take the failure.
            assert_eq!([0, 1].map(|function| model.call(function)), [FIRST_BODY; 2]);
            *model.pointers.fail_after.lock() = step;
            let caller = {
                let model = model.clone();
                shuttle::thread::spawn(move || {
                    for function in [0, 1] {
                        let place = ExecutorAddr::new(POINTERS + 64 * function as u64);
                        let to = model.pointers.read(place).value();
                        let is_old = to == FIRST_BODY + function as u64;
                        assert!(is_old || to >= TRAMPOLINES, "{to:x}");
                    }
                })
            };
            assert!(model.replace().is_err(), "step {step}");
            caller.join().expect("right");
            assert_eq!([0, 1].map(|function| model.call(function)), [FIRST_BODY; 2]);
            model.replace().expect("nothing fails any more");
            assert_eq!(
                [0, 1].map(|function| model.call(function)),
                [SECOND_BODY; 2]
            );
        }
    });
}
