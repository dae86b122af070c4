//! Code that comes and goes, and very much code. The program that is debugged is this test itself, which links
//! code into its own process.

use std::env;
use std::io::Read as _;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use orc_jit::{Dylib, Jit};
use tests::needs::Tests;
use tests::scratch::Scratch;

use crate::session::{Running, gdb_with};

/// The variable that tells this program to be debugged, and how much code it links.
const COUNT: &str = "ORC_JIT_TESTS_LINK";

/// The file with the object that all others are made of.
const TEMPLATE: &str = "function_00000.o";

/// The name in it, which is another one in each of them.
const NAME: &str = "function_00000";

const SOURCE: &str = "\
struct point { int x, y; };
int function_00000(int by) {
  struct point here = {by, 1};
  return here.x + here.y;
}
";

/// How much longer gdb may take to be attached to 10,000 objects than to a few.
const LONGEST: Duration = Duration::from_secs(2);

/// The tests of this file.
pub fn add(tests: &mut Tests) {
    tests::add_tests!(
        tests,
        ["gdb"],
        what_is_removed_is_taken_from_the_debugger,
        a_debugger_is_attached_to_ten_thousand_objects,
        a_debugger_is_attached_to_code_of_many_links,
    );
}

/// The part of the program that is debugged, if this is its process.
pub fn be_debugged() -> Option<ExitCode> {
    let wanted = env::var(COUNT).ok()?;
    let jit = Jit::builder().debug().build().expect("a JIT");
    let dylib = jit.dylib("many").expect("a dylib");
    match wanted.split_once(' ') {
        None => come_and_go(&dylib),
        Some((how, count)) => {
            let count = count.parse().expect("a number");
            link_many(&dylib, count, how == "together");
            println!("ready");
            // Until whoever started it lets go of it.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
        }
    }
    Some(ExitCode::SUCCESS)
}

/// An object with a function that has this number.
fn object(template: &[u8], number: usize) -> Vec<u8> {
    let mut bytes = template.to_vec();
    let name = format!("function_{number:05}");
    let mut at = 0;
    while let Some(found) = memchr(&bytes[at..], NAME.as_bytes()) {
        at += found;
        bytes[at..at + name.len()].copy_from_slice(name.as_bytes());
        at += name.len();
    }
    bytes
}

fn memchr(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|it| it == wanted)
}

/// Links a function, calls it, removes it, and does the same with another.
fn come_and_go(dylib: &Dylib) {
    let template = std::fs::read(TEMPLATE).expect("the template");
    for number in [1, 2] {
        let tracker = dylib.tracker();
        let added = tracker.add_object_bytes(TEMPLATE, object(&template, number));
        added.expect("an object");
        let name = format!("function_{number:05}");
        // SAFETY: all functions of these objects have this type.
        let function = unsafe { dylib.function::<extern "C" fn(i32) -> i32>(&name) };
        let function = function.expect("is linked");
        assert_eq!(function.call(4), 5);
        drop(function);
        tracker.remove().expect("is removed");
    }
}

/// Links functions: all of them in one link, or each in one of its own.
fn link_many(dylib: &Dylib, count: usize, together: bool) {
    let template = std::fs::read(TEMPLATE).expect("the template");
    let names: Vec<String> = (0..count)
        .map(|number| format!("function_{number:05}"))
        .collect();
    for (number, name) in names.iter().enumerate() {
        let added = dylib.add_object_bytes(TEMPLATE, object(&template, number));
        added.expect("an object");
        if !together {
            dylib.symbols(&[name]).expect("is linked");
        }
    }
    if together {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        dylib.symbols(&names).expect("are linked");
    }
}

fn template() -> Scratch {
    let scratch = Scratch::new();
    scratch.compile_with(TEMPLATE, SOURCE, &["-g", "-O0"]);
    scratch
}

fn what_is_removed_is_taken_from_the_debugger() {
    let scratch = template();
    let program = env::current_exe().expect("this program").into_os_string();
    let variable = format!("set environment {COUNT} come");
    let script = [
        variable.as_str(),
        "break function_00001",
        "break function_00002",
        "run",
        "info functions function_0000",
        "finish",
        "continue",
        "echo then\\n",
        "info functions function_0000",
        "info breakpoints",
        "continue",
    ];
    let transcript = gdb_with(&scratch, &script, ["--args".into(), program]);
    transcript.has(&[
        "function_00001 (by=4)",
        "int function_00001(int);",
        "Value returned is $1 = 5",
        "function_00002 (by=4)",
        "then",
        "int function_00002(int);",
        "exited normally",
    ]);
    let text = transcript.to_string();
    let (_, after) = text.split_once("then\n").expect("the second half");
    assert!(!after.contains("int function_00001(int);"), "{transcript}");
}

/// Attaches gdb to so many functions, and tells how long that takes.
fn attach(how: &str) -> Duration {
    let scratch = template();
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.current_dir(scratch.path()).env(COUNT, how);
    let running = Running::of(command);
    let pid = running.pid().to_string();
    let start = Instant::now();
    let script = ["break function_00077", "info symbol function_00199"];
    gdb_with(&scratch, &script, ["-p".into(), pid.into()]).has(&[
        "Breakpoint 1 at",
        "function_00077.c, line 3",
        "function_00199 in section",
    ]);
    start.elapsed()
}

/// Some machines are busy: the shortest of several counts. What gdb does for this program itself does not.
fn check_attach(how: &str) {
    let mut times = Vec::new();
    for _ in 0..3 {
        let few = attach("together 200");
        let time = attach(how).saturating_sub(few);
        eprintln!("attached to {how} objects within {few:?} and {time:?} more");
        if time < LONGEST {
            return;
        }
        times.push(time);
    }
    panic!("gdb takes too long to be attached: {times:?}");
}

fn a_debugger_is_attached_to_ten_thousand_objects() {
    check_attach("together 10000");
}

fn a_debugger_is_attached_to_code_of_many_links() {
    check_attach("apart 200");
}
