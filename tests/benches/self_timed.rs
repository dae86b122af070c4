//! Programs that time themselves: what code costs that runs here instead of in an executable.

use std::fs;
use std::path::Path;

use tests::compare::orc_jit;

use crate::contenders::contenders;
use crate::measure::{median, timed};
use crate::workloads::{compile, rungs};

/// A program that prints lines of a name and nanoseconds.
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// Its two sources.
    sources: [(&'static str, &'static str); 2],
    /// Objects that are loaded besides, for what depends on how much there is.
    others: usize,
}

/// All of them.
pub const PROGRAMS: &[Program] = &[
    Program {
        name: "tls",
        sources: TLS,
        others: 0,
    },
    Program {
        name: "throw",
        sources: THROW,
        others: 0,
    },
    Program {
        name: "throw-among-10000",
        sources: THROW,
        others: 10_000,
    },
];

const TLS: [(&str, &str); 2] = [
    ("tls.cpp", include_str!("programs/tls.cpp")),
    ("tls_there.cpp", include_str!("programs/tls_there.cpp")),
];
const THROW: [(&str, &str); 2] = [
    ("throw.cpp", include_str!("programs/throw.cpp")),
    ("throw_there.cpp", include_str!("programs/throw_there.cpp")),
];

/// Compares the program linked by the system's linker with the program run here, with default
/// flags and with `-fPIC`.
pub fn run(program: &Program, rounds: usize, directory: &Path) {
    for mode in ["", "-fPIC"] {
        fs::create_dir_all(directory).expect("a fresh directory");
        let mut objects = Vec::new();
        for (name, text) in program.sources {
            let flags: Vec<&str> = ["-O2", mode]
                .into_iter()
                .filter(|flag| !flag.is_empty())
                .collect();
            compile(directory, name, text, &flags);
            objects.push(name.replace(".cpp", ".o"));
        }
        if program.others > 0 {
            compile(directory, "counter.c", "int counter;", &[]);
            objects.push("counter.o".to_owned());
            objects.extend(rungs(directory, program.others));
        }
        fs::write(directory.join("objects"), objects.join("\n")).expect("a writable directory");
        let arguments = ["@objects".to_owned()];
        println!(
            "{} {}",
            program.name,
            if mode.is_empty() { "default" } else { mode }
        );
        compare(&arguments, rounds, directory);
    }
    println!();
}

fn compare(arguments: &[String], rounds: usize, directory: &Path) {
    // Everything stays: a linker would, too, without --gc-sections.
    let ours = orc_jit()
        .expect("the benchmarks need orc-jit")
        .to_string_lossy()
        .into_owned();
    let jit = [
        &[ours, "run".to_owned(), "--no-gc-sections".to_owned()],
        arguments,
    ]
    .concat();
    let all = contenders();
    let linker = all
        .iter()
        .find(|contender| contender.name == "ld")
        .expect("a system's linker");
    let native = linker.commands(arguments, directory);
    timed(&native[0], directory)
        .unwrap_or_else(|error| panic!("the program does not link: {error}"));
    let (mut theirs, mut mine) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        for (command, results) in [(&native[1], &mut theirs), (&jit, &mut mine)] {
            match timed(command, directory) {
                Ok(run) => results.push(figures(&run.stdout)),
                Err(message) => return println!("  fails: {message}"),
            }
        }
    }
    for (index, (name, _)) in theirs[0].iter().enumerate() {
        // A program's own figures are its best rounds, so the best of several runs is comparable
        // however busy the machine is.
        let best = |runs: &[Vec<(String, f64)>]| {
            let figures = runs.iter().map(|run| run[index].1);
            figures.min_by(f64::total_cmp).unwrap_or(f64::NAN)
        };
        let pairs = theirs.iter().zip(&mine);
        let paired = median(pairs.map(|(linked, here)| here[index].1 / linked[index].1));
        let (native, jit) = (best(&theirs), best(&mine));
        println!(
            "  {name:<16} linked {native:>9.2} ns   here {jit:>9.2} ns   x{:.2} (x{paired:.2} in pairs)",
            jit / native
        );
    }
}

fn figures(stdout: &str) -> Vec<(String, f64)> {
    let figure = |line: &str| {
        let (name, number) = line.rsplit_once(' ')?;
        Some((name.to_owned(), number.parse().ok()?))
    };
    stdout.lines().filter_map(figure).collect()
}
