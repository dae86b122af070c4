//! What lazy linking costs and saves: calls through stubs, first calls, and a large program.
//!
//! `cargo bench -p tests --bench lazy [-- FILTER]`, with one of `steady`, `first` and `llvm`. As in `main.rs`,
//! contenders run in turn, round by round.

#[path = "measure.rs"]
#[allow(
    dead_code,
    reason = "the figures of GNU time are for the other benchmark"
)]
mod measure;
#[path = "workloads.rs"]
#[allow(dead_code, reason = "one workload of many is linked here")]
mod workloads;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use tests::compare::orc_jit;
use tests::toolchain::find_program;

use measure::{median, timed};
use workloads::{compile, workloads};

/// Rounds of a measurement.
const ROUNDS: usize = 7;

/// Functions that are called first.
const FUNCTIONS: usize = 1000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filter = arguments.iter().find(|it| !it.starts_with("--"));
    let is_wanted = |name: &str| filter.is_none_or(|filter| name.contains(filter.as_str()));
    let directory = tempfile::tempdir().expect("a temporary directory");
    if is_wanted("steady") {
        steady(directory.path());
    }
    if is_wanted("first") {
        first(directory.path());
    }
    if is_wanted("llvm") {
        llvm(directory.path());
    }
}

/// A contender's name, and its command.
type Contender = (&'static str, Vec<String>);

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn ours() -> String {
    let command = orc_jit().expect("the benchmarks need orc-jit");
    command.to_string_lossy().into_owned()
}

/// `orc-jit run --lazy` with further options.
fn lazily(options: &[&str], inputs: &[String]) -> Vec<String> {
    let run = [&ours(), "run", "--lazy"];
    [&words(&run)[..], &words(options), inputs].concat()
}

/// LLVM's JIT linker with these objects lazy, if it is installed. (LLJIT has no command that takes objects.)
fn llvm_jitlink(eager: &[String], lazy: &[String]) -> Option<Contender> {
    let runtime = "/usr/lib/llvm-22/lib/clang/22/lib/linux/liborc_rt-x86_64.a";
    let command = find_program("llvm-jitlink-22").filter(|_| Path::new(runtime).exists())?;
    let runtime = format!("-orc-runtime={runtime}");
    let mut words = vec![command.to_string_lossy().into_owned(), runtime];
    words.extend_from_slice(eager);
    for object in lazy {
        words.extend(["-lazy".to_owned(), object.clone()]);
    }
    Some(("llvm-jitlink -lazy", words))
}

/// The figures of programs that print lines of a name and a number: medians, one line per contender.
fn figures(contenders: &[Contender], rounds: usize, directory: &Path) {
    for (name, command) in contenders {
        let mut lines: Vec<(String, Vec<f64>)> = Vec::new();
        for _ in 0..rounds {
            let run = match timed(command, directory) {
                Ok(run) => run,
                Err(message) => {
                    println!("  {name:<28} fails: {message}");
                    break;
                }
            };
            for line in run.stdout.lines() {
                let Some((what, number)) = line.rsplit_once(' ') else {
                    continue;
                };
                let Ok(number) = number.parse() else { continue };
                match lines.iter_mut().find(|(known, _)| known == what) {
                    Some((_, numbers)) => numbers.push(number),
                    None => lines.push((what.to_owned(), vec![number])),
                }
            }
        }
        if !lines.is_empty() {
            let mut text = format!("  {name:<28}");
            for (what, numbers) in lines {
                let _ = write!(text, " {what} {:.3}", median(numbers));
            }
            println!("{text}");
        }
    }
    println!();
}

/// Calls through a stub, beside calls through a pointer.
fn steady(directory: &Path) {
    compile(
        directory,
        "stub.c",
        include_str!("programs/stub.c"),
        &["-O2", "-fPIC"],
    );
    let there = "int there(int x) { return x + 1; }";
    compile(directory, "there.c", there, &["-O2", "-fPIC"]);
    let objects = words(&["stub.o", "there.o"]);
    let mut contenders = vec![
        ("here", lazily(&[], &objects)),
        ("spawned", lazily(&["--executor=spawn"], &objects)),
    ];
    contenders.extend(llvm_jitlink(&objects[..1], &objects[1..]));
    println!("a call, nanoseconds");
    figures(&contenders, ROUNDS, directory);
}

/// First calls of functions that are objects of their own. A round trip to the other process is measured by the
/// benchmark `remote`.
fn first(directory: &Path) {
    let mut main = "#include <stdio.h>\n#include <time.h>\n".to_owned();
    let mut table = String::new();
    let mut objects = vec!["first.o".to_owned()];
    for number in 0..FUNCTIONS {
        let text = format!("int f{number}(int x) {{ return x + {number}; }}");
        std::fs::write(directory.join(format!("f{number}.c")), text).expect("it is writable");
        let _ = writeln!(main, "int f{number}(int);");
        let _ = write!(table, "f{number}, ");
        objects.push(format!("f{number}.o"));
    }
    let _ = write!(
        main,
        "static int (*all[])(int) = {{{table}}};
         static double now(void) {{ struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t);
           return t.tv_sec * 1e6 + t.tv_nsec / 1e3; }}
         int main(void) {{ double each[{FUNCTIONS}], sum = 0; int wrong = 0;
           for (int i = 0; i < {FUNCTIONS}; i++) {{ double start = now(); wrong |= all[i](1) != i + 1;
             each[i] = now() - start; sum += each[i]; }}
           for (int i = 1; i < {FUNCTIONS}; i++) for (int j = i; j && each[j] < each[j - 1]; j--) {{
             double t = each[j]; each[j] = each[j - 1]; each[j - 1] = t; }}
           printf(\"median %.3f\\nmean %.3f\\n\", each[{FUNCTIONS} / 2], sum / {FUNCTIONS}); return wrong; }}"
    );
    compile(directory, "first.c", &main, &["-O2", "-fPIC"]);
    let mut compiler = Command::new("cc");
    compiler.args(["-c", "-O2", "-fPIC"]);
    compiler.args((0..FUNCTIONS).map(|number| format!("f{number}.c")));
    let compiled = compiler.current_dir(directory).status();
    assert!(compiled.is_ok_and(|status| status.success()), "it compiles");
    let mut contenders = vec![
        ("here", lazily(&[], &objects)),
        ("spawned", lazily(&["--executor=spawn"], &objects)),
    ];
    contenders.extend(llvm_jitlink(&objects[..1], &objects[1..]));
    println!("{FUNCTIONS} first calls, microseconds each");
    figures(&contenders, ROUNDS, directory);
}

/// A large program from the command to its end: eagerly, lazily, and with what an earlier run knows.
fn llvm(directory: &Path) {
    let all = workloads();
    let llvm = all.iter().find(|workload| workload.name == "llvm");
    let Some(inputs) = llvm.and_then(|llvm| (llvm.prepare)(directory)) else {
        return println!("llvm: left out, its libraries are not installed");
    };
    let inputs = &inputs.arguments;
    let record = lazily(&["--record-order", "order"], inputs);
    timed(&record, directory).unwrap_or_else(|error| panic!("the program fails: {error}"));
    let eagerly = [&words(&[&ours(), "run"])[..], inputs].concat();
    let spawn = "--executor=spawn";
    let eagerly_spawned = [&words(&[&ours(), "run", spawn])[..], inputs].concat();
    let contenders: [Contender; 6] = [
        ("eagerly", eagerly),
        ("lazily", lazily(&[], inputs)),
        ("lazily, known order", lazily(&["--order", "order"], inputs)),
        ("lazily, speculating", lazily(&["--speculate"], inputs)),
        ("spawned, eagerly", eagerly_spawned),
        ("spawned, lazily", lazily(&[spawn], inputs)),
    ];
    println!("llvm, from the command to its end");
    let mut costs = vec![Vec::new(); contenders.len()];
    for _ in 0..ROUNDS {
        for ((_, command), costs) in contenders.iter().zip(&mut costs) {
            match timed(command, directory) {
                Ok(run) => costs.push(run.cost),
                Err(message) => println!("  fails: {message}"),
            }
        }
    }
    for ((name, _), own) in contenders.iter().zip(&costs) {
        let of = |value: fn(&measure::Cost) -> f64| median(own.iter().map(value));
        let pairs = own.iter().zip(&costs[0]);
        let ratio = median(pairs.map(|(own, eager)| own.wall / eager.wall));
        let (wall, cpu, peak) = (of(|it| it.wall), of(|it| it.cpu), of(|it| it.peak));
        println!(
            "  {name:<28} {:>8.1} ms  x{ratio:.2}  {:>8.1} ms of processors  {peak:>6.1} MB",
            wall * 1e3,
            cpu * 1e3
        );
    }
}
