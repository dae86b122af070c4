//! Whatever ends an executor, at whatever moment: its controller gets an error within a bounded time,
//! keeps nothing of it, and its other executors go on. And no executor outlives its controller.
//!
//! `ORC_FAULT_RUNS` sets the number of sessions that each test breaks; `cargo run -p xtask -- faults
//! 1000` does.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use orc_jit::{Error, Executor, Jit};
use rustix::process::{Pid, Signal, kill_process};
use tests::compare::orc_jit;
use tests::processes::{Holdings, share_one_heap, wait_until_gone};
use tests::scratch::Scratch;

/// Sessions per test, unless the environment says otherwise.
const RUNS: u64 = 40;

/// One session in so many meets an executor that keeps silent: the last but one, so that a short test has
/// one, too.
const SILENT_EVERY: u64 = RUNS;
const SILENT_AT: u64 = RUNS - 2;

/// How long an executor may keep silent.
const SILENCE: Duration = Duration::from_secs(2);

/// How long a session may take, its end included, on a busy machine.
const BOUND: Duration = Duration::from_secs(30);

/// How long what has been let go may take to be gone.
const GOODBYE: Duration = Duration::from_secs(10);

/// What memory may grow by over all sessions, in KiB, when the allocator has given back what is free.
const GROWTH_MAX_KIB: u64 = 48 << 10;

/// How many threads more than before may wait for work at the end, and end soon.
const WAITING_MAX: usize = 2;

/// How many mappings there may be more than before, stacks aside: a thread that waits has a stack for signals,
/// with a guard page, and the allocator grows.
const MAPPINGS_MAX: usize = 2 * WAITING_MAX + 4;

/// Descriptors and children are counted for the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    share_one_heap();
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn runs() -> u64 {
    let set = std::env::var("ORC_FAULT_RUNS").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(RUNS)
}

/// Numbers without a pattern, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Objects of a session: a function to call, and a program.
struct Objects {
    unit: Vec<u8>,
    program: Vec<u8>,
}

fn objects() -> &'static Objects {
    static OBJECTS: OnceLock<Objects> = OnceLock::new();
    OBJECTS.get_or_init(|| {
        let scratch = Scratch::new();
        // A wrapper function's result: up to eight bytes, and their number.
        let unit = "struct result { long bytes, size; };
            static __thread int here = 40; static int ready;
            __attribute__((constructor)) static void begin(void) { ready = 2; }
            struct result answer(const char *args, long size) {
              struct result r = { here + ready, 4 }; return r; }";
        scratch.compile_with("unit.o", unit, &["-O1", "-fPIC"]);
        let program = "#include <math.h>
            #include <stdlib.h>
            static void last(void) {}
            int main(int argc, char **argv) { atexit(last); return (int)sqrt(argc * 49.0); }";
        scratch.compile_with("program.o", program, &["-O1", "-fno-builtin"]);
        Objects {
            unit: scratch.read("unit.o"),
            program: scratch.read("program.o"),
        }
    })
}

/// A JIT with a function in it.
fn start(executor: Executor) -> Result<(Jit, orc_jit::Tracker, orc_jit::Symbol), Error> {
    let jit = Jit::builder().executor(executor).build()?;
    let app = jit.dylib("app")?;
    let tracker = app.tracker();
    tracker.add_object_bytes("unit.o", objects().unit.clone())?;
    let answer = app.symbol("answer")?;
    Ok((jit, tracker, answer))
}

fn ask(jit: &Jit, answer: &orc_jit::Symbol) -> Result<(), Error> {
    let result = jit.executor().control().call_wrapper(answer.addr(), &[])?;
    assert_eq!(
        result,
        42i32.to_le_bytes(),
        "an answer is right if there is one"
    );
    Ok(())
}

/// All that a session does but its end: links, calls, removes, runs a program.
fn work(executor: Executor) -> Result<Jit, Error> {
    let (jit, tracker, answer) = start(executor)?;
    ask(&jit, &answer)?;
    drop(answer);
    tracker.remove()?;
    let program = jit.dylib("program")?;
    program.add_object_bytes("program.o", objects().program.clone())?;
    program.add_library("m")?;
    let status = program.run_main(["program"])?;
    assert_eq!(status, 7, "the program returns sqrt(49)");
    Ok(jit)
}

fn session(executor: Executor) -> Result<(), Error> {
    work(executor).map(drop)
}

fn options() -> orc_jit::ExecutorOptions {
    Executor::options().silence_limit(Some(SILENCE))
}

/// Runs a session that may fail, and checks how it does.
#[track_caller]
fn break_one(what: &str, executor: impl FnOnce() -> Result<Executor, Error>) -> bool {
    let start = Instant::now();
    let outcome = executor().and_then(session);
    let took = start.elapsed();
    assert!(took < BOUND, "{what}: took {took:?}");
    if let Err(error) = &outcome {
        let text = error.to_string();
        assert!(text.contains("executor"), "{what}: {text}");
    }
    outcome.is_ok()
}

/// Breaks sessions one after the other, beside one that lives on, and checks that nothing of them is
/// left.
fn break_all(each: impl Fn(u64)) {
    let (healthy, _tracker, answer) =
        start(options().spawn().expect("it starts")).expect("it links");
    ask(&healthy, &answer).expect("it answers");
    // What is made once and kept: threads of pools, buffers.
    break_one("first", || options().spawn());
    let before = settled();
    for run in 0..runs() {
        each(run);
        if run % 16 == 0 {
            ask(&healthy, &answer).expect("other executors go on");
        }
    }
    ask(&healthy, &answer).expect("other executors go on");
    let begun = Instant::now();
    let mut after = Holdings::now();
    // Threads that wait for more work end when there is none for a while.
    let is_back = |after: &Holdings| {
        (after.descriptors, after.children) == (before.descriptors, before.children)
            && after.threads <= before.threads + WAITING_MAX
    };
    while begun.elapsed() < GOODBYE && !is_back(&after) {
        thread::sleep(Duration::from_millis(20));
        after = Holdings::now();
    }
    let text = format!("before: {before:?}\nafter: {after:?}");
    assert_eq!(after.descriptors, before.descriptors, "{text}");
    assert_eq!(after.children, before.children, "{text}");
    assert!(after.threads <= before.threads + WAITING_MAX, "{text}");
    assert!(after.mappings <= before.mappings + MAPPINGS_MAX, "{text}");
    assert!(
        after.resident_kib <= before.resident_kib + GROWTH_MAX_KIB,
        "{text}"
    );
    println!("{text}");
}

/// What this process holds once nothing changes for a while.
fn settled() -> Holdings {
    let begun = Instant::now();
    let mut last = Holdings::now();
    loop {
        thread::sleep(Duration::from_millis(200));
        let now = Holdings::now();
        let same = (now.descriptors, now.children, now.threads)
            == (last.descriptors, last.children, last.threads);
        if same || begun.elapsed() > GOODBYE {
            return now;
        }
        last = now;
    }
}

/// Executors behind a program that breaks their connection.
struct FaultyExecutors {
    scratch: Scratch,
    command: PathBuf,
    /// A variable by which their processes are found.
    mark: String,
}

impl FaultyExecutors {
    /// `None` where there is no command to test.
    fn new(test: &str) -> Option<Self> {
        Some(Self {
            scratch: Scratch::new(),
            command: orc_jit()?,
            mark: format!("ORC_FAULT_MARK={test}-{}", std::process::id()),
        })
    }

    /// Connects to one whose connection breaks at a message.
    fn connect(&self, fault: &str, number: u64) -> Result<Executor, Error> {
        self.connect_with(&options(), fault, number)
    }

    /// Connects to one that only counts. It may be silent for ever, so that nobody asks whether it is still there:
    /// on a busy machine these questions would be counted, too.
    fn connect_to_count(&self) -> Result<Executor, Error> {
        let patient = Executor::options().silence_limit(None);
        self.connect_with(&patient, "kill", u64::MAX)
    }

    fn connect_with(
        &self,
        options: &orc_jit::ExecutorOptions,
        fault: &str,
        number: u64,
    ) -> Result<Executor, Error> {
        options.connect(&format!(
            "stdio:{} FAULTY_COUNT={} {} {fault} {number} {} executor --stdio",
            self.mark,
            self.scratch.file("count").display(),
            env!("CARGO_BIN_EXE_faulty-executor"),
            self.command.display()
        ))
    }

    /// How many messages the last one has had.
    fn counted(&self) -> u64 {
        // The count is written when the message has arrived.
        thread::sleep(Duration::from_millis(100));
        let text = String::from_utf8(self.scratch.read("count")).expect("a number");
        text.parse().expect("a number")
    }

    #[track_caller]
    fn assert_gone(&self) {
        let left = wait_until_gone(&self.mark, GOODBYE);
        assert!(
            left.is_empty(),
            "executors {left:?} have outlived their controller"
        );
    }
}

#[test]
fn a_session_breaks_at_any_message() {
    let _alone = alone();
    let Some(executors) = FaultyExecutors::new("message") else {
        return;
    };
    let executor = executors.connect_to_count().expect("it starts");
    let jit = work(executor).expect("nothing is broken");
    let worked = executors.counted();
    drop(jit);
    let messages = executors.counted();
    assert!(20 < worked && worked < messages, "{worked} of {messages}");
    let faults = ["kill", "close", "half", "huge", "stray"];
    break_all(|run| {
        // All messages if there are so many runs, with another fault each time.
        let step = (messages * faults.len() as u64).div_ceil(runs()).max(1);
        let place = run * step;
        let number = place % messages;
        let fault = match run % SILENT_EVERY {
            // Each costs as long as an executor may keep silent.
            SILENT_AT => "silence",
            _ => faults[(place / messages + run) as usize % faults.len()],
        };
        let ok = break_one(&format!("{fault} at {number}"), || {
            executors.connect(fault, number)
        });
        // Nobody is told what fails when a session has done all it wanted, and gives back what it has.
        assert!(
            !ok || number >= worked,
            "{fault} at {number} was not noticed, with {worked} of {messages} messages for work"
        );
    });
    executors.assert_gone();
}

/// What comes twice is found out, or does no harm: notices of output are not numbered.
#[test]
fn every_message_comes_twice() {
    let _alone = alone();
    let Some(executors) = FaultyExecutors::new("twice") else {
        return;
    };
    let executor = executors.connect_to_count().expect("it starts");
    drop(work(executor).expect("nothing is broken"));
    let messages = executors.counted();
    let mut noticed = 0;
    for number in 0..messages {
        let ok = break_one(&format!("twice at {number}"), || {
            executors.connect("twice", number)
        });
        noticed += u64::from(!ok);
    }
    assert!(noticed > messages / 2, "{noticed} of {messages}");
    executors.assert_gone();
}

#[test]
fn an_executor_falls_silent_before_it_is_in_use() {
    let _alone = alone();
    let Some(executors) = FaultyExecutors::new("early") else {
        return;
    };
    for number in 0..5 {
        let ok = break_one(&format!("silence at {number}"), || {
            executors.connect("silence", number)
        });
        assert!(!ok, "silence at {number} was not noticed");
    }
    executors.assert_gone();
}

#[test]
fn an_executor_is_killed_at_any_time() {
    let _alone = alone();
    let took = {
        let start = Instant::now();
        break_one("unbroken", || options().spawn());
        start.elapsed()
    };
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let plan: Vec<(Duration, Signal)> = (0..runs())
        .map(|run| {
            let micros = took.as_micros() as u64 * 6 / 5;
            let signal = match run % SILENT_EVERY {
                // It stops, and keeps silent.
                SILENT_AT => Signal::STOP,
                _ => [Signal::KILL, Signal::SEGV, Signal::TERM][run as usize % 3],
            };
            (Duration::from_micros(numbers.below(micros.max(1))), signal)
        })
        .collect();
    break_all(|run| {
        let (delay, signal) = plan[run as usize];
        break_one(&format!("{signal:?} after {delay:?}"), || {
            let executor = options().spawn()?;
            let pid = executor
                .pid()
                .and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
            let pid = pid.expect("a child has an id");
            // A child is not reaped before its connection is found to have ended, which is soon after
            // this; the number is not another's by then.
            thread::spawn(move || {
                thread::sleep(delay);
                let _ = kill_process(pid, signal);
            });
            Ok(executor)
        });
    });
}

#[test]
fn no_executor_outlives_its_controller() {
    let _alone = alone();
    let Some(command) = orc_jit() else { return };
    let scratch = Scratch::new();
    let text = "#include <unistd.h>
        int main(void) { for (;;) pause(); }";
    scratch.compile("wait.o", text);
    let mark = format!("ORC_FAULT_MARK=controller-{}", std::process::id());
    let (name, value) = mark.split_once('=').expect("a variable");
    let mut numbers = Numbers(0x0123_4567_89ab_cdef);
    for run in 0..runs() {
        let mut controller = Command::new(&command)
            .args(["run", "--executor=spawn", "wait.o"])
            .current_dir(scratch.path())
            .env(name, value)
            .stderr(Stdio::null())
            .spawn()
            .expect("orc-jit starts");
        thread::sleep(Duration::from_micros(numbers.below(300_000)));
        controller.kill().expect("it is a child");
        controller.wait().expect("it is a child");
        let left = wait_until_gone(&mark, GOODBYE);
        assert!(left.is_empty(), "run {run}: executors {left:?} are left");
    }
}
