//! Addresses of linked code get the names, files and lines that the compiler knew.

use std::ffi::c_void;
use std::path::Path;
use std::process::Command;

use orc_jit::{CrashReport, ExecutorAddr, Image, Jit, Location, Removal, SourceFrame};
use tests::scratch::Scratch;
use tests::toolchain::{Compiler, compilers};

/// Fills in the return addresses from an inlined function in a callback of the C library outwards.
const TRACE: &str = r#"#include <execinfo.h>
#include <stdlib.h>
namespace app {
struct Sink { void **out; int room; int count; };
static Sink sink;
static inline __attribute__((always_inline)) void record() {
    sink.count = backtrace(sink.out, sink.room);
}
static int compare(const void *a, const void *b) {
    record();
    return *(const int *)a - *(const int *)b;
}
__attribute__((noinline)) int sort_two(int seed) {
    int pair[2] = {seed, 1};
    qsort(pair, 2, sizeof *pair, compare);
    return sink.count + pair[0];
}
}
extern "C" int trace(void **out, int room) {
    app::sink = {out, room, 0};
    return app::sort_two(room) > 0 ? app::sink.count : 0;
}
"#;

/// Ways to compile that change what debug information looks like.
const DEBUG: &[&[&str]] = &[
    &["-g", "-O0"],
    &["-g", "-O2"],
    &["-g", "-O2", "-ffunction-sections"],
    &["-gdwarf-4", "-O1"],
    &[
        "-gdwarf-4",
        "-O2",
        "-ffunction-sections",
        "-fdebug-types-section",
    ],
    &["-g", "-O2", "-gz=zlib"],
    &["-g", "-O1", "-mcmodel=large"],
];

/// What a frame of the trace is expected to be: its function, and its line in the source.
const CALLS: &[(&str, u32)] = &[
    ("app::record()", 7),
    ("app::compare(void const*, void const*)", 10),
    ("app::sort_two(int)", 15),
    ("trace", 21),
];

fn compile(scratch: &Scratch, compiler: &Compiler, flags: &[&str]) {
    scratch.write("trace.cpp", TRACE);
    let mut command = Command::new(&compiler.cxx);
    command.args(["-c", "trace.cpp"]).args(flags);
    let status = command.current_dir(scratch.path()).status();
    assert!(status.expect("the compiler runs").success(), "{flags:?}");
}

/// The locations from `trace` in an archive, outwards.
fn run(jit: &Jit, archive: &Path) -> Vec<Location> {
    let app = jit.dylib("app").expect("a new dylib");
    app.add_archive(archive).expect("a good archive");
    // SAFETY: `trace` has this type, and writes no more addresses than it is told.
    let trace = unsafe { app.function::<extern "C" fn(*mut *mut c_void, i32) -> i32>("trace") };
    let trace = trace.expect("it links");
    let mut addresses = [std::ptr::null_mut::<c_void>(); 64];
    let count = trace.call(addresses.as_mut_ptr(), 64);
    let mut symbolizer = jit.symbolizer();
    let found = addresses[..count as usize].iter();
    found
        .filter_map(|addr| symbolizer.locate_caller(ExecutorAddr::new(addr.addr() as u64)))
        .collect()
}

/// Fails with everything that was found.
#[track_caller]
fn check(what: &str, locations: &[Location], condition: bool) {
    let lines: Vec<String> = locations.iter().map(ToString::to_string).collect();
    assert!(condition, "{what}\n{}", lines.join("\n"));
}

/// A function's name without namespace and parameters: gcc gives functions that are only inlined no
/// more than that.
fn plain(name: Option<&str>) -> &str {
    let name = name.unwrap_or("?");
    let name = name.split('(').next().unwrap_or(name);
    name.rsplit("::").next().unwrap_or(name)
}

fn for_each_compiler(test: impl Fn(&Scratch, &Compiler)) {
    for compiler in compilers() {
        test(&Scratch::new(), compiler);
    }
}

#[test]
fn frames_have_functions_files_and_lines() {
    for_each_compiler(|scratch, compiler| {
        for flags in DEBUG {
            compile(scratch, compiler, flags);
            scratch.archive("libtrace.a", &["trace.o"]);
            let jit = Jit::new().expect("it starts");
            let locations = run(&jit, &scratch.file("libtrace.a"));
            let what = format!("{} {flags:?}", compiler.name);
            let linked = |location: &&Location| {
                matches!(&location.image, Image::Linked { object, dylib, .. }
                    if object.ends_with("libtrace.a(trace.o)") && dylib == "app")
            };
            let frames: Vec<&SourceFrame> = locations
                .iter()
                .filter(linked)
                .flat_map(|l| &l.frames)
                .collect();
            let calls: Vec<(&str, u32)> = frames
                .iter()
                .map(|f| (plain(f.function.as_deref()), f.line.unwrap_or(0)))
                .collect();
            let expected: Vec<(&str, u32)> = CALLS
                .iter()
                .map(|(name, line)| (plain(Some(name)), *line))
                .collect();
            check(&what, &locations, calls == expected);
            let source = scratch.file("trace.cpp");
            let in_source = |f: &&SourceFrame| f.file.as_deref() == source.to_str();
            check(&what, &locations, frames.iter().all(in_source));
        }
    });
}

#[test]
fn without_debug_information_frames_have_functions() {
    for_each_compiler(|scratch, compiler| {
        compile(scratch, compiler, &["-O2"]);
        scratch.archive("libtrace.a", &["trace.o"]);
        let jit = Jit::new().expect("it starts");
        let locations = run(&jit, &scratch.file("libtrace.a"));
        let names: Vec<&str> = locations.iter().filter_map(Location::name).collect();
        let expected = CALLS[1..].iter().map(|(name, _)| *name);
        let mut rest = names.iter();
        let in_order = expected.into_iter().all(|name| rest.any(|n| *n == name));
        check(compiler.name, &locations, in_order);
        check(compiler.name, &locations, !names.contains(&"app::record()"));
    });
}

#[test]
fn libraries_and_the_process_itself_have_names() {
    let scratch = Scratch::new();
    compile(&scratch, &compilers()[0], &["-O2"]);
    scratch.archive("libtrace.a", &["trace.o"]);
    let jit = Jit::new().expect("it starts");
    let locations = run(&jit, &scratch.file("libtrace.a"));
    let native = |location: &Location, file: &str, name: &str| {
        let path = matches!(&location.image, Image::Native { path, .. } if path.contains(file));
        path && location.name().is_some_and(|n| n.contains(name))
    };
    let any = |file: &str, name: &str| locations.iter().any(|l| native(l, file, name));
    check("qsort", &locations, any("libc.so.6", "qsort"));
    check("this test", &locations, any("symbolize", "symbolize::run"));
    let here = locations
        .iter()
        .find(|l| native(l, "symbolize", "symbolize::run"));
    let file = here.and_then(|l| l.frames.last()?.file.clone());
    let own_file = file.is_some_and(|file| file.ends_with("tests/symbolize.rs"));
    check("this file", &locations, own_file);
}

#[test]
fn code_that_was_removed_has_no_name() {
    let scratch = Scratch::new();
    scratch.compile(
        "two.o",
        "int value = 1; int tentative; int get(void) { return value; }",
    );
    let jit = Jit::new().expect("it starts");
    let app = jit.dylib("app").expect("a new dylib");
    let tracker = app.tracker();
    tracker
        .add_object_file(scratch.file("two.o"))
        .expect("a good object");
    let place = |name: &str| app.symbol(name).expect("it links").addr();
    let (get, value, tentative) = (place("get"), place("value"), place("tentative"));
    let text = |addr| jit.symbolize(addr).map(|location| location.to_string());
    let object = scratch.file("two.o");
    let object = object.display();
    assert_eq!(text(get), Some(format!("get+0x0 in {object} (app)")));
    assert_eq!(
        text(value + 3),
        Some(format!("value+0x3 in {object} (app)"))
    );
    assert_eq!(
        text(tentative),
        Some(format!("tentative+0x0 in {object} (app)"))
    );
    assert_eq!(text(ExecutorAddr::NULL), None);
    assert_eq!(
        tracker.remove().expect("nothing uses it"),
        Removal::Released
    );
    for addr in [get, value, tentative] {
        assert_eq!(text(addr), None, "{addr}");
    }
}

#[test]
fn the_place_of_a_fault_is_told_exactly() {
    let scratch = Scratch::new();
    let text = "struct Node { int weight; };\nint weigh(struct Node *node) {\n\n  \
                return node->weight;\n}\n";
    scratch.compile_with("weigh.o", text, &["-g", "-O1"]);
    let jit = Jit::new().expect("it starts");
    let app = jit.dylib("app").expect("a new dylib");
    app.add_object_file(scratch.file("weigh.o"))
        .expect("a good object");
    let weigh = app.symbol("weigh").expect("it links").addr();
    let location = jit.symbolize(weigh).expect("it is there");
    let line = location.frames.last().and_then(|frame| frame.line);
    assert!(matches!(line, Some(2 | 4)), "{location}");
    let text = location.to_string();
    assert!(text.starts_with("weigh+0x0 in "), "{text}");
    assert!(
        text.contains(&format!("weigh.c:{}", line.unwrap_or(0))),
        "{text}"
    );
}

#[test]
fn a_crash_is_told_with_names_and_lines() {
    let scratch = Scratch::new();
    let text = "struct Node { long key, weight; };\nconst long limit = 7;\n\
                long weigh(struct Node *node) {\n  return node->weight;\n}\n";
    scratch.compile_with("weigh.o", text, &["-g", "-O1", "-gno-column-info"]);
    let jit = Jit::new().expect("it starts");
    let app = jit.dylib("app").expect("a new dylib");
    app.add_object_file(scratch.file("weigh.o"))
        .expect("a good object");
    let symbol = |name: &str| app.symbol(name).expect("it links").addr();
    let (weigh, limit) = (symbol("weigh"), symbol("limit"));
    let mut report = CrashReport {
        signal: 11,
        code: 1,
        fault_address: ExecutorAddr::new(8),
        thread: (7, "main".to_owned()),
        registers: vec![("rsp".to_owned(), 0x7fff_0000_1000)],
        backtrace: vec![weigh, weigh + 1, ExecutorAddr::new(0x1000)],
        mappings: std::fs::read("/proc/self/maps").expect("Linux has it"),
    };
    let object = scratch.file("weigh.o");
    let (object, source) = (object.display(), scratch.file("weigh.c"));
    let frames = format!(
        "\n  #0  {weigh} weigh+0x0 in {object} (app) at {source}:4\
         \n  #1  {} weigh+0x1 in {object} (app) at {source}:4\
         \n  #2  0x1000 where nothing is",
        weigh + 1,
        source = source.display(),
    );
    assert_eq!(
        jit.explain_crash(&report),
        format!("nothing is mapped there\n  the access was to 0x8, a null pointer{frames}")
    );
    (report.code, report.fault_address) = (2, limit);
    assert_eq!(
        jit.explain_crash(&report),
        format!(
            "the memory there does not allow it\n  the access was to {limit}, \
             limit+0x0 in {object} (app), which is mapped r--p{frames}"
        )
    );
    (report.code, report.fault_address) = (1, ExecutorAddr::new(0x7fff_0000_0ff8));
    let overflow = "the access was to 0x7fff00000ff8, next to the stack pointer: the stack has \
                    overflowed";
    let text = jit.explain_crash(&report);
    assert!(text.contains(overflow), "{text}");
    (report.signal, report.code) = (6, -6);
    let text = jit.explain_crash(&report);
    assert_eq!(text, format!("the program aborted itself{frames}"));
}

#[test]
fn damaged_debug_information_costs_names_and_no_more() {
    let scratch = Scratch::new();
    let text = "static int n; int count(int x) { n += x; return n; }";
    scratch.compile_with("count.o", text, &["-g", "-O1"]);
    let good = scratch.read("count.o");
    let names = b".debug_line_str";
    assert!(good.windows(names.len()).any(|window| window == names));
    // Debug sections make up most of such an object; where code or tables are hit, it is refused.
    let mut named = 0;
    for at in (64..good.len()).step_by(good.len() / 150) {
        let mut damaged = good.clone();
        damaged[at..good.len().min(at + 5)].fill(0xe5);
        let jit = Jit::new().expect("it starts");
        let app = jit.dylib("app").expect("a new dylib");
        if app.add_object_bytes("count.o", damaged).is_err() {
            continue;
        }
        let Ok(count) = app.symbol("count") else {
            continue;
        };
        let location = jit.symbolize(count.addr()).expect("it is in memory");
        named += u32::from(location.name() == Some("count"));
    }
    assert!(named > 20, "only {named} of the objects could be asked");
}
