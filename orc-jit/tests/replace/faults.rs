//! Replacements, lazy links and removals in which an executor fails, at each of its steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jit_core::cpu::Architecture;
use jit_core::executor::api::{
    Import, ImportValue, LoadedLibrary, Placement, ProgramIdentity, ProgramImage, RangeId,
    TlsAccess,
};
use jit_core::executor::{
    AllocationRequest, DispatchHandler, ExecutorControl, ExecutorError, ExecutorResult,
    FinalizeRequest, Finalized, InFlight,
};
use jit_core::session::LazyOptions;
use orc_jit::{Executor, ExecutorAddr};
use orc_shared::ExecutorAddrRange;

use super::{Call, Fixture};

/// An executor of this process of which a step fails.
struct Failing {
    executor: Arc<dyn ExecutorControl>,
    /// Steps until the one that fails; none does when this is negative.
    steps: Arc<AtomicI64>,
}

impl Failing {
    fn step(&self) -> ExecutorResult<()> {
        match self.steps.fetch_sub(1, Ordering::SeqCst) {
            0 => Err(ExecutorError::failed("this step was told to fail")),
            _ => Ok(()),
        }
    }
}

impl ExecutorControl for Failing {
    fn architecture(&self) -> Architecture {
        self.executor.architecture()
    }

    fn capabilities(&self) -> [u64; 2] {
        self.executor.capabilities()
    }

    fn page_size(&self) -> u64 {
        self.executor.page_size()
    }

    fn open_range(
        &self,
        placement: Placement,
        size: u64,
    ) -> ExecutorResult<(RangeId, ExecutorAddrRange)> {
        self.step()?;
        self.executor.open_range(placement, size)
    }

    fn close_range(&self, range: RangeId) {
        self.executor.close_range(range);
    }

    fn exit_services(&self) -> ExecutorAddr {
        self.executor.exit_services()
    }

    fn allocate(
        &self,
        requests: &[AllocationRequest],
    ) -> ExecutorResult<Vec<Option<Box<dyn InFlight>>>> {
        self.step()?;
        self.executor.allocate(requests)
    }

    fn finalize(
        &self,
        batch: Vec<(Box<dyn InFlight>, FinalizeRequest)>,
    ) -> ExecutorResult<Vec<Box<dyn Finalized>>> {
        self.step()?;
        self.executor.finalize(batch)
    }

    fn loaded_libraries(&self) -> ExecutorResult<Vec<LoadedLibrary>> {
        self.executor.loaded_libraries()
    }

    fn open_library(&self, path: &str) -> ExecutorResult<()> {
        self.step()?;
        self.executor.open_library(path)
    }

    fn bind_imports(&self, imports: &[Import]) -> ExecutorResult<Vec<Option<ImportValue>>> {
        self.step()?;
        self.executor.bind_imports(imports)
    }

    fn open_program(
        &self,
        image: &ProgramImage,
        relocate: &mut dyn FnMut(&[ImportValue]) -> ExecutorResult<()>,
    ) -> ExecutorResult<()> {
        self.executor.open_program(image, relocate)
    }

    fn call_wrapper(&self, function: ExecutorAddr, args: &[u8]) -> ExecutorResult<Vec<u8>> {
        self.step()?;
        self.executor.call_wrapper(function, args)
    }

    fn register_handler(&self, tag: ExecutorAddr, handler: DispatchHandler) {
        self.executor.register_handler(tag, handler);
    }

    fn dispatch_function(&self) -> (ExecutorAddr, ExecutorAddr) {
        self.executor.dispatch_function()
    }

    fn set_program(&self, program: &ProgramIdentity) {
        self.executor.set_program(program);
    }

    fn write_pointers(&self, pointers: &[(ExecutorAddr, ExecutorAddr)]) -> ExecutorResult<()> {
        self.step()?;
        self.executor.write_pointers(pointers)
    }

    fn tls_access(&self) -> ExecutorResult<TlsAccess> {
        self.executor.tls_access()
    }

    fn is_this_process(&self) -> bool {
        self.executor.is_this_process()
    }
}

/// A fixture whose executor can be told to fail.
fn failing() -> (Fixture, Arc<AtomicI64>) {
    let steps = Arc::new(AtomicI64::new(-1));
    let executor = Failing {
        executor: Executor::in_process().control().clone(),
        steps: steps.clone(),
    };
    let it = Fixture::on(Executor::from(
        Arc::new(executor) as Arc<dyn ExecutorControl>
    ));
    (it, steps)
}

/// Lets the step of this number fail, from now on. Returns what `act` gives, and whether it got so far.
fn with_failing_step<T>(steps: &AtomicI64, number: i64, act: impl FnOnce() -> T) -> (T, bool) {
    steps.store(number, Ordering::SeqCst);
    let outcome = act();
    let got_there = steps.swap(-1, Ordering::SeqCst) < 0;
    (outcome, got_there)
}

/// More steps than anything here takes.
const MANY: i64 = 64;

#[test]
fn a_replacement_that_fails_at_any_step_changes_nothing_and_the_next_one_works() {
    let (it, steps) = failing();
    let version = |n: i32| {
        [
            (
                "a.c",
                format!(
                    "int b(int); int n; int a(int x) {{ n++; return 100 * {n} + b(x); }} int count(int x) {{ return n; }}"
                ),
            ),
            (
                "b.c",
                format!(
                    "double floor(double); int b(int x) {{ return {n} + (int)floor(x + 0.5); }} int new{n}(int x) {{ return x; }}"
                ),
            ),
        ]
    };
    let borrowed = |version: &[(&'static str, String); 2]| {
        let [a, b] = version.clone();
        vec![it.object(a.0, &a.1), it.object(b.0, &b.1)]
    };
    it.app.add_library("m").unwrap();
    let app = it.app.tracker();
    let session_tracker = app.session_tracker();
    session_tracker.add_objects(borrowed(&version(0))).unwrap();
    // SAFETY: the sources above.
    let a = unsafe { it.app.function::<Call>("a") }.unwrap();
    let mut calls = 1;
    assert_eq!(a.call(3), 3);
    let mut now = 0;
    let mut failures = 0;
    for step in 0..MANY {
        let next = borrowed(&version(now + 1));
        let replace = || {
            // SAFETY: the functions have one type.
            unsafe { app.replace(&next, orc_jit::ReplaceOptions::default()) }
        };
        let (outcome, got_there) = with_failing_step(&steps, step, replace);
        assert_eq!(outcome.is_err(), got_there, "step {step}: {outcome:?}");
        if let Err(error) = outcome {
            failures += 1;
            assert!(error.to_string().contains("told to fail"), "{error}");
            assert_eq!(a.call(3), 101 * now + 3, "step {step}");
            assert!(it.app.symbol(&format!("new{}", now + 1)).is_err());
            assert!(it.app.symbol(&format!("new{now}")).is_ok());
            let _ = replace().unwrap().retire().unwrap();
            calls += 1;
        }
        now += 1;
        assert_eq!(a.call(3), 101 * now + 3, "after step {step}");
        calls += 1;
        assert_eq!(it.call("count", 0), calls);
        if !got_there {
            break;
        }
    }
    assert!((4..MANY).contains(&failures), "{failures} steps");
}

#[test]
fn a_first_call_that_fails_at_any_step_goes_to_its_handler_and_the_next_one_works() {
    let (it, steps) = failing();
    let bodies = it.jit.dylib("bodies").unwrap();
    bodies.add_library("m").unwrap();
    let plain = it.jit.dylib("plain").unwrap();
    let handler = plain.tracker();
    let refuse = it.object("refuse.c", "int refuse(int x) { return -1; }");
    handler.session_tracker().add_object(refuse).unwrap();
    let handler = plain.symbol("refuse").unwrap();
    let mut failures = 0;
    for step in 0..MANY {
        let name = format!("f{step}");
        let source = format!(
            "double floor(double); int {name}(int x) {{ return (int)floor(x + {step}.5); }}"
        );
        let tracker = bodies.tracker();
        let object = it.object(&format!("{name}.c"), &source);
        tracker.session_tracker().add_object(object).unwrap();
        let lazy = plain.tracker();
        let options = LazyOptions {
            on_failure: Some(handler.clone()),
        };
        let names = it.jit.session().names();
        let reexport = jit_core::session::Reexport {
            alias: names.intern(name.as_bytes()),
            dylib: bodies.session_dylib().clone(),
            name: names.intern(name.as_bytes()),
            linkage: jit_core::object::Linkage::Strong,
        };
        lazy.session_tracker()
            .add_lazy_reexports(&[reexport], &options)
            .unwrap();
        // SAFETY: the source above.
        let function = unsafe { plain.function::<Call>(&name) }.unwrap();
        let (answer, got_there) = with_failing_step(&steps, step, || function.call(1));
        failures += i64::from(got_there);
        assert_eq!(answer, if got_there { -1 } else { step as i32 + 1 });
        assert_eq!(function.call(2), step as i32 + 2);
        if !got_there {
            break;
        }
    }
    assert!((3..MANY).contains(&failures), "{failures} steps");
}

#[test]
fn a_first_call_in_a_lazy_dylib_that_fails_at_any_step_goes_to_its_handler_and_the_next_one_works()
{
    let (it, steps) = failing();
    let plain = it.jit.dylib("plain").unwrap();
    let refuse = it.object("refuse.c", "int refuse(int x) { return -1; }");
    plain.session_tracker().add_object(refuse).unwrap();
    let handler = plain.symbol("refuse").unwrap();
    let mut failures = 0;
    for step in 0..MANY {
        let lazy = it.jit.dylib("lazy").unwrap();
        lazy.add_library("m").unwrap();
        // SAFETY: it takes what the functions take.
        unsafe { lazy.link_lazily_or_call(&handler) }.unwrap();
        let source = format!(
            "double floor(double); int g(int); int n; int f(int x) {{ return (int)floor(g(x) + {step}.5); }}"
        );
        let f = it.object(&format!("f{step}.c"), &source);
        let g = it.object("g.c", "extern int n; int g(int x) { return x + n++; }");
        let tracker = lazy.tracker();
        tracker.session_tracker().add_objects([f, g]).unwrap();
        // SAFETY: the source above.
        let function = unsafe { lazy.function::<Call>("f") }.unwrap();
        let (answer, got_there) = with_failing_step(&steps, step, || function.call(1));
        failures += i64::from(got_there);
        let step = step as i32;
        // The one that fails may be the inner one, which then gives what the handler does.
        let expected = if got_there {
            [-1, step - 1]
        } else {
            [step + 1; 2]
        };
        assert!(expected.contains(&answer), "{answer} at step {step}");
        let before = i32::from(!got_there);
        assert_eq!(function.call(2), 2 + before + step);
        assert_eq!(function.call(2), 3 + before + step);
        drop(function);
        tracker.remove().unwrap();
        lazy.close().unwrap();
        if !got_there {
            break;
        }
    }
    assert!((4..MANY).contains(&failures), "{failures} steps");
}

#[test]
fn a_removal_that_fails_at_any_step_leaves_a_session_that_works() {
    let (it, steps) = failing();
    let mut failures = 0;
    for step in 0..MANY {
        let tracker = it.app.tracker();
        let source = "void *at; extern void *__dso_handle; int __cxa_atexit(void (*)(void *), void *, void *); \
                      int n; static void end(void *x) { n--; } \
                      int f(int x) { n++; __cxa_atexit(end, 0, &__dso_handle); return x + n; }";
        let object = it.object("f.c", source);
        tracker.session_tracker().add_object(object).unwrap();
        assert_eq!(it.call("f", 1), 2);
        let (_, got_there) = with_failing_step(&steps, step, || tracker.remove());
        assert!(it.app.symbol("f").is_err());
        failures += i64::from(got_there);
        if !got_there {
            break;
        }
    }
    assert!((1..MANY).contains(&failures), "{failures} steps");
}
