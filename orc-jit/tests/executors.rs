//! Which executor, and which JIT, something belongs to; executors that do not start.

use std::time::{Duration, Instant};

use orc_jit::{Error, Executor, Jit};

fn spawned() -> Jit {
    let executor = Executor::spawn().unwrap();
    Jit::builder().executor(executor).build().unwrap()
}

#[test]
fn dylibs_of_another_jit_cannot_be_linked_with() {
    let [one, other] = [Jit::new().unwrap(), Jit::new().unwrap()];
    let (app, library) = (one.dylib("app").unwrap(), other.dylib("library").unwrap());
    let error = app.link_with(&library).unwrap_err().to_string();
    assert_eq!(
        error,
        "link order of dylib \"app\": dylib \"library\" belongs to another session: its code cannot \
         be linked to"
    );
}

#[test]
fn a_wrapper_function_is_called_through_its_own_executor() {
    let [one, other] = [spawned(), spawned()];
    // Of a library, and so without code that a session keeps.
    let symbol = one.dylib("app").unwrap().symbol("malloc").unwrap();
    // SAFETY: the call is refused.
    let refused = unsafe { other.call_wrapper(&symbol, &[]) };
    assert!(matches!(refused, Err(Error::OtherExecutor { addr }) if addr == symbol.addr()));
    // SAFETY: as above.
    let refused = unsafe { Jit::new().unwrap().call_wrapper(&symbol, &[]) };
    assert!(matches!(refused, Err(Error::OtherExecutor { .. })));
    drop(one);
    // SAFETY: as above.
    let refused = unsafe { other.call_wrapper(&symbol, &[]) };
    assert!(matches!(refused, Err(Error::OtherExecutor { .. })));
}

extern "C" fn host_function(number: f64) -> f64 {
    number
}

#[test]
fn functions_of_this_program_are_not_defined_in_another_process() {
    let function: extern "C" fn(f64) -> f64 = host_function;
    let app = spawned().dylib("app").unwrap();
    // SAFETY: nothing calls it.
    let error = unsafe { app.define_function("show", function) }.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`show` cannot be a function of this program: the code that would call it runs in another \
         process; add an object or a library that defines it"
    );
    assert!(app.symbol("show").is_err(), "it was defined all the same");
}

#[test]
fn what_is_no_executor_is_named() {
    let error = Executor::connect("spawn:/bin/true").err().unwrap();
    assert_eq!(
        error.to_string(),
        "the executor spawn:/bin/true did not start: it exited with code 0; is it an orc-executor?"
    );
}

#[test]
fn the_limit_on_silence_bounds_the_start_too() {
    let start = Instant::now();
    let options = Executor::options().silence_limit(Some(Duration::from_millis(300)));
    let error = options.connect("stdio:sleep 60").err().unwrap().to_string();
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(
        error,
        "the executor stdio:sleep 60 did not start: nothing was heard of it for 300ms"
    );
}

/// It introduces itself as something that this controller cannot use, and then waits for ever.
#[test]
fn an_executor_that_is_refused_does_not_stay() {
    let scratch = tempfile::tempdir().unwrap();
    let setup = scratch.path().join("setup");
    // A setup message of LLVM's protocol: no triple, pages of 4096 bytes, no values, no symbols.
    let body = [0, 4096, 0, 0u64];
    let words = [32 + 8 * body.len() as u64, 0, 0, 0]
        .into_iter()
        .chain(body);
    let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    std::fs::write(&setup, bytes).unwrap();
    let mark = format!("60.{}", std::process::id());
    let place = format!("stdio:cat {}; sleep {mark}", setup.display());
    let start = Instant::now();
    let error = Executor::connect(&place).err().unwrap().to_string();
    assert!(error.contains("is no orc-executor"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(20));
    // What a signal ends takes a moment to be gone.
    let command = format!("sleep\0{mark}");
    let is_left = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let mut lines = processes.filter_map(|it| std::fs::read(it.path().join("cmdline")).ok());
        lines.any(|line| line.starts_with(command.as_bytes()))
    };
    let killed = Instant::now();
    while is_left() {
        assert!(killed.elapsed() < Duration::from_secs(5), "it is left");
        std::thread::sleep(Duration::from_millis(10));
    }
}
