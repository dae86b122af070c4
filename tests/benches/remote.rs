//! What another process costs: calls, the start of a program, and links, in this process and in
//! others.
//!
//! `cargo bench -p tests --bench remote`. As in `main.rs`, contenders run in turn, round by round.

#[path = "measure.rs"]
#[allow(
    dead_code,
    reason = "the figures of GNU time are for the other benchmark"
)]
mod measure;
#[path = "workloads.rs"]
#[allow(dead_code, reason = "one workload of many is linked here")]
mod workloads;

use std::path::Path;
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use orc_jit::{Executor, Jit};
use tests::compare::orc_jit;
use tests::listener::Listener;
use tests::toolchain::find_program;

use measure::{median, timed};
use workloads::{Inputs, compile, workloads};

/// Rounds of a measurement. The first is not counted.
const ROUNDS: usize = 15;

/// The secret of the executor behind a TCP port.
const TOKEN: &str = "a secret of the benchmarks";

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let listener = Listener::start(
        command().as_ref(),
        &["--listen", "tcp:127.0.0.1:0"],
        Some(TOKEN),
    );
    calls(directory.path(), &listener.place);
    first_instruction(directory.path());
    let Some(sqlite) = sqlite(directory.path()) else {
        return println!("sqlite: left out, its library is not installed");
    };
    links(directory.path(), &sqlite, &listener.place);
    programs(directory.path(), &sqlite, &listener.place);
}

fn command() -> String {
    let command = orc_jit().expect("the benchmarks need orc-jit");
    command.to_string_lossy().into_owned()
}

/// JITs over an executor of each kind.
fn jits(tcp: &str) -> [(&'static str, Jit); 3] {
    let options = Executor::options().token(TOKEN);
    let executors = [
        ("in process", Executor::in_process()),
        (
            "spawn, shared memory",
            Executor::spawn().expect("it starts"),
        ),
        ("tcp", options.connect(tcp).expect("it is there")),
    ];
    executors.map(|(name, executor)| {
        let jit = Jit::builder().executor(executor).build();
        (name, jit.expect("it starts"))
    })
}

/// The round trip of a call that does nothing.
fn calls(directory: &Path, tcp: &str) {
    const CALLS: u32 = 2000;
    let text = "#include <stddef.h>\nstruct result { char *pointer; size_t size; };
        struct result nothing(const char *data, size_t size) { struct result none = {0}; return none; }";
    compile(directory, "nothing.c", text, &["-O2"]);
    let object = directory.join("nothing.o");
    println!("a call that does nothing");
    for (name, jit) in jits(tcp) {
        let app = jit.dylib("app").expect("a new name");
        app.add_object_file(&object).expect("a good object");
        let nothing = app.symbol("nothing").expect("it links");
        let round = || {
            let start = Instant::now();
            for _ in 0..CALLS {
                // SAFETY: a wrapper function that looks at nothing.
                unsafe { jit.call_wrapper(&nothing, &[]) }.expect("it returns");
            }
            start.elapsed().as_secs_f64() / f64::from(CALLS)
        };
        let seconds = median((0..ROUNDS).map(|_| round()).skip(1));
        println!("  {name:<30} {:>9.2} us", seconds * 1e6);
    }
    println!();
}

/// LLVM's ways to run objects, in its process and in another one, if it is installed.
fn llvms(inputs: &[String]) -> Vec<(&'static str, Vec<String>)> {
    let runtime = "/usr/lib/llvm-22/lib/clang/22/lib/linux/liborc_rt-x86_64.a";
    let theirs = ["llvm-jitlink-22", "llvm-jitlink-executor-22"].map(find_program);
    let ([Some(jitlink), Some(executor)], true) = (&theirs, Path::new(runtime).exists()) else {
        return Vec::new();
    };
    let words = [
        jitlink.to_string_lossy().into_owned(),
        format!("-orc-runtime={runtime}"),
    ];
    let executor = format!("-oop-executor={}", executor.display());
    vec![
        ("llvm-jitlink", [&words[..], inputs].concat()),
        (
            "llvm-jitlink -oop-executor",
            [&words[..], &[executor], inputs].concat(),
        ),
    ]
}

/// Time from the start of a command to the first instruction of its program.
fn first_instruction(directory: &Path) {
    let text = "#include <stdio.h>\n#include <time.h>
        int main(void) { struct timespec now; clock_gettime(CLOCK_REALTIME, &now);
        printf(\"%lld\\n\", now.tv_sec * 1000000000LL + now.tv_nsec); return 0; }";
    compile(directory, "first.c", text, &["-O1", "-fPIC"]);
    let ours = command();
    let line = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let mut contenders = vec![
        ("in process", line(&[&ours, "run", "first.o"])),
        (
            "spawn",
            line(&[&ours, "run", "--executor=spawn", "first.o"]),
        ),
    ];
    contenders.extend(llvms(&["first.o".to_owned()]));
    println!("from the command to the first instruction of main");
    compare(&contenders, |words: &Vec<String>| {
        let start = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock");
        let output = Command::new(&words[0])
            .args(&words[1..])
            .current_dir(directory)
            .output();
        let output = output.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let there: f64 = text
            .trim()
            .parse()
            .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
        Ok(there / 1e9 - start.as_secs_f64())
    });
}

/// A program that uses sqlite's archive, if that is installed.
fn sqlite(directory: &Path) -> Option<Inputs> {
    let all = workloads();
    let sqlite = all.iter().find(|workload| workload.name == "sqlite");
    sqlite.and_then(|workload| (workload.prepare)(directory))
}

/// Links of such a program alone, in executors that are there: from its files to the address of `main`.
fn links(directory: &Path, inputs: &Inputs, tcp: &str) {
    println!("sqlite, linked: {}", inputs.describe());
    let jits = jits(tcp);
    let contenders: Vec<(&str, &Jit)> = jits.iter().map(|(name, jit)| (*name, jit)).collect();
    compare(&contenders, |jit| {
        let link = || -> Result<f64, orc_jit::Error> {
            let app = jit.dylib("app")?;
            for library in inputs
                .arguments
                .iter()
                .filter_map(|it| it.strip_prefix("-l"))
            {
                app.add_library(library)?;
            }
            let start = Instant::now();
            for file in inputs.files() {
                match file.ends_with(".a") {
                    true => app.add_archive(directory.join(file))?,
                    false => app.add_object_file(directory.join(file))?,
                }
            }
            app.symbol("main")?;
            let seconds = start.elapsed().as_secs_f64();
            app.remove()?;
            Ok(seconds)
        };
        link().map_err(|error| error.to_string())
    });
}

/// Whole runs of the program, with the start of everything.
fn programs(directory: &Path, inputs: &Inputs, tcp: &str) {
    let token = directory.join("token");
    std::fs::write(&token, TOKEN).expect("a writable directory");
    let token = format!("--executor-token-file={}", token.display());
    let tcp = format!("--executor={tcp}");
    let line = |options: &[&str]| {
        let mut words = vec![command(), "run".to_owned()];
        words.extend(options.iter().map(|option| (*option).to_owned()));
        words.extend(inputs.arguments.iter().cloned());
        words
    };
    let mut contenders = vec![
        ("in process", line(&[])),
        ("spawn, shared memory", line(&["--executor=spawn"])),
        ("tcp", line(&[&tcp, &token])),
    ];
    // Libraries are in its process already.
    let files: Vec<String> = inputs.files().map(str::to_owned).collect();
    contenders.extend(llvms(&files));
    println!("sqlite, linked and run: {}", inputs.describe());
    compare(&contenders, |words: &Vec<String>| {
        Ok(timed(words, directory)?.cost.wall)
    });
}

/// Prints the medians of what `measure` says of each contender, in seconds.
fn compare<C>(contenders: &[(&str, C)], measure: impl Fn(&C) -> Result<f64, String>) {
    let mut results: Vec<Result<Vec<f64>, String>> =
        contenders.iter().map(|_| Ok(Vec::new())).collect();
    for round in 0..ROUNDS {
        for ((_, contender), result) in contenders.iter().zip(&mut results) {
            let Ok(times) = result else { continue };
            match measure(contender) {
                Ok(seconds) if round > 0 => times.push(seconds),
                Ok(_) => {}
                Err(message) => *result = Err(message),
            }
        }
    }
    let medians = results.into_iter().map(|result| result.map(median));
    let medians: Vec<Result<f64, String>> = medians.collect();
    let first = medians
        .first()
        .and_then(|first| first.as_ref().ok())
        .copied();
    let first = first.unwrap_or(f64::NAN);
    for ((name, _), seconds) in contenders.iter().zip(&medians) {
        match seconds {
            Ok(seconds) => println!(
                "  {name:<30} {:>9.2} ms   x{:.2}",
                seconds * 1e3,
                seconds / first
            ),
            Err(message) => println!("  {name:<30} fails: {message}"),
        }
    }
    println!();
}
