//! Functions whose code asks for better versions of itself, here and in another process.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use orc_jit::{Executor, Jit, ObjectFile, ObjectReader, Symbol, TierCompiler};

/// Calls after which the first tier asks for the second, and the second for the third.
const OFTEN: u32 = 10;

/// A compiler for a language of sums of powers, in two tiers: the first one counts calls, and multiplies step by step;
/// the second one is optimized and asks no more.
struct TwoTiers {
    objects: ObjectReader,
    scratch: PathBuf,
    compiled: Arc<Mutex<Vec<u32>>>,
    /// What becomes of the second tier.
    second: Second,
}

#[derive(Clone, Copy)]
enum Second {
    Works,
    IsNone,
    Fails,
    DoesNotLink,
    Panics,
}

impl TwoTiers {
    fn object(&self, version: u32, flags: &[&str], source: &str) -> Arc<dyn ObjectFile> {
        let file = self.scratch.join(format!("sum{version}.c"));
        std::fs::write(&file, source).unwrap();
        let object = file.with_extension("o");
        let mut cc = Command::new("cc");
        let cc = cc.args(flags).args(["-fdata-sections", "-c", "-o"]);
        assert!(cc.arg(&object).arg(&file).status().unwrap().success());
        let bytes = std::fs::read(object).unwrap();
        self.objects.read("sum.c", bytes).unwrap()
    }
}

impl TierCompiler for TwoTiers {
    fn name(&self) -> String {
        "sums".to_owned()
    }

    fn compile(&self, unit: u64, version: u32) -> Result<Option<Vec<Arc<dyn ObjectFile>>>, String> {
        self.compiled.lock().unwrap().push(version);
        // A wrapper function, so that it can be called in another process, and `sum` for this one.
        const SUM: &str = "struct result { long value; unsigned long size; }; int tier(void); int sum(int x); \
             long total; struct result call(const char *data, unsigned long size) \
             { return (struct result){ sum(data[0]) * 10 + tier(), 8 }; }";
        if version == 0 {
            let source = format!(
                "{SUM} void __orc_rt_reoptimize(unsigned long unit, unsigned version); static unsigned calls; \
                 int tier(void) {{ return 0; }} \
                 int sum(int x) {{ if (__atomic_add_fetch(&calls, 1, 0) >= {OFTEN}) __orc_rt_reoptimize({unit}, 0); \
                   total++; int s = 0; for (int n = 0; n < x; n++) s += x; return s; }}"
            );
            return Ok(Some(vec![self.object(version, &["-O0"], &source)]));
        }
        let missing = match self.second {
            Second::IsNone => return Ok(None),
            Second::Fails => return Err("no idea".to_owned()),
            Second::Panics => panic!("on purpose"),
            Second::DoesNotLink => "int missing(int); ",
            Second::Works => "static int missing(int x) { return x; } ",
        };
        let source = format!(
            "{SUM} {missing} int tier(void) {{ return {version}; }} \
             int sum(int x) {{ total++; return missing(x) * x; }}"
        );
        Ok(Some(vec![self.object(version, &["-O2"], &source)]))
    }
}

struct Fixture {
    scratch: tempfile::TempDir,
    jit: Jit,
    compiled: Arc<Mutex<Vec<u32>>>,
}

impl Fixture {
    fn on(executor: Executor) -> Self {
        Self {
            scratch: tempfile::tempdir().unwrap(),
            jit: Jit::builder().executor(executor).build().unwrap(),
            compiled: Arc::default(),
        }
    }

    fn compiler(&self, second: Second) -> Arc<TwoTiers> {
        Arc::new(TwoTiers {
            objects: self.jit.objects(),
            scratch: self.scratch.path().to_owned(),
            compiled: self.compiled.clone(),
            second,
        })
    }

    /// Calls a wrapper function with a number. What it returns: a sum, and the tier that was called after it.
    fn call(&self, function: &Symbol, x: u8) -> (u64, u64) {
        // SAFETY: the sources above.
        let answer = unsafe { self.jit.call_wrapper(function, &[x]) }.unwrap();
        let answer = u64::from_le_bytes(answer.try_into().unwrap());
        (answer / 10, answer % 10)
    }

    fn compiled(&self) -> Vec<u32> {
        self.compiled.lock().unwrap().clone()
    }
}

fn both() -> [Fixture; 2] {
    [Executor::in_process(), Executor::spawn().unwrap()].map(Fixture::on)
}

#[test]
fn code_that_is_called_often_gets_its_better_version() {
    for it in both() {
        let app = it.jit.dylib("app").unwrap();
        // SAFETY: versions of the same functions.
        let tiered = unsafe { app.add_tiered(it.compiler(Second::Works)) }.unwrap();
        let call = app.symbol("call").unwrap();
        for n in 1..OFTEN {
            assert_eq!(it.call(&call, 7), (49, 0), "call {n}");
        }
        assert_eq!((tiered.version(), it.compiled()), (0, vec![0]));
        // This call goes on in the first version, and what it calls is of the second.
        assert_eq!(it.call(&call, 7), (49, 1));
        assert_eq!((tiered.version(), it.compiled()), (1, vec![0, 1]));
        for _ in 0..3 * OFTEN {
            assert_eq!(it.call(&call, 9), (81, 1));
        }
        assert_eq!(it.compiled(), [0, 1]);
        // SAFETY: no call is under way.
        unsafe { tiered.retire_old() }.unwrap();
        assert_eq!(it.call(&call, 9), (81, 1));
        drop(call);
        tiered.remove().unwrap();
        assert!(app.symbol("call").is_err());
    }
}

#[test]
fn the_version_stays_if_there_is_no_better_one_and_nobody_asks_again() {
    for second in [
        Second::IsNone,
        Second::Fails,
        Second::DoesNotLink,
        Second::Panics,
    ] {
        let it = Fixture::on(Executor::in_process());
        let app = it.jit.dylib("app").unwrap();
        // SAFETY: versions of the same functions.
        let tiered = unsafe { app.add_tiered(it.compiler(second)) }.unwrap();
        let call = app.symbol("call").unwrap();
        for _ in 0..2 * OFTEN {
            assert_eq!(it.call(&call, 6), (36, 0));
        }
        assert_eq!((tiered.version(), it.compiled()), (0, vec![0, 1]));
        let failure = tiered.failure();
        let expected = match second {
            Second::Works | Second::IsNone => None,
            Second::Fails => Some("no idea"),
            Second::DoesNotLink => Some("missing"),
            Second::Panics => Some("panicked"),
        };
        match (failure, expected) {
            (None, None) => {}
            (Some(text), Some(expected)) => assert!(text.contains(expected), "{text}"),
            (failure, expected) => panic!("{failure:?} and not {expected:?}"),
        }
    }
}

#[test]
fn threads_that_ask_at_once_get_one_better_version() {
    const THREADS: u32 = 8;
    let it = Fixture::on(Executor::in_process());
    let app = it.jit.dylib("app").unwrap();
    // SAFETY: versions of the same functions.
    let tiered = unsafe { app.add_tiered(it.compiler(Second::Works)) }.unwrap();
    // SAFETY: the sources above.
    let sum = unsafe { app.function::<extern "C" fn(i32) -> i32>("sum") }.unwrap();
    let (start, calls) = (Barrier::new(THREADS as usize), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                for x in 0..1000 {
                    assert_eq!(sum.call(x % 100), (x % 100) * (x % 100));
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!((tiered.version(), it.compiled()), (1, vec![0, 1]));
    assert_eq!(calls.into_inner(), THREADS * 1000);
}

#[test]
fn a_jit_with_tiers_ends_and_a_first_version_that_fails_leaves_nothing() {
    struct Nothing;
    impl TierCompiler for Nothing {
        fn name(&self) -> String {
            "nothing".to_owned()
        }
        fn compile(&self, _: u64, _: u32) -> Result<Option<Vec<Arc<dyn ObjectFile>>>, String> {
            Err("no first version".to_owned())
        }
    }
    let it = Fixture::on(Executor::in_process());
    let weak = Arc::downgrade(&it.compiled);
    let app = it.jit.dylib("app").unwrap();
    // SAFETY: there is nothing.
    let error = unsafe { app.add_tiered(Arc::new(Nothing)) }.err().unwrap();
    assert_eq!(error.to_string(), "nothing: no first version");
    // SAFETY: versions of the same functions.
    let tiered = unsafe { app.add_tiered(it.compiler(Second::Works)) }.unwrap();
    drop((tiered, app, it));
    assert_eq!(weak.strong_count(), 0, "the compiler is gone with its JIT");
}
