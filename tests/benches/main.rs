//! How fast programs are linked and run, beside every linker that is installed.
//!
//! `cargo bench -p tests --bench link [-- FILTER]`. All contenders of a workload run in turn, round
//! by round, so that a busy moment of the machine hits them all; what is shown are medians.

mod contenders;
mod measure;
mod self_timed;
mod workloads;

use std::path::Path;

use contenders::{Contender, contenders};
use measure::{median, peak_memory, timed};
use workloads::{Workload, workloads};

/// Rounds of a workload. The first is not counted: it fills the page cache.
const ROUNDS: usize = 11;

fn main() {
    // Cargo passes `--bench`; what else there is filters workloads by name.
    let filter = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with("--"));
    let wanted = |name: &str| filter.as_deref().is_none_or(|filter| name.contains(filter));
    let directory = tempfile::tempdir().expect("a temporary directory");
    for workload in workloads() {
        if wanted(workload.name) {
            run(&workload, &directory.path().join(workload.name));
        }
    }
    for program in self_timed::PROGRAMS {
        if wanted(program.name) {
            self_timed::run(program, &directory.path().join(program.name));
        }
    }
}

/// Builds a workload's objects, and prints a line per contender.
fn run(workload: &Workload, directory: &Path) {
    std::fs::create_dir_all(directory).expect("a fresh directory");
    let Some(inputs) = (workload.prepare)(directory) else {
        println!(
            "{}: left out, its libraries are not installed\n",
            workload.name
        );
        return;
    };
    println!("{}: {}", workload.name, inputs.describe());
    let mut results: Vec<_> = contenders()
        .into_iter()
        .filter(|contender| contender.can_run(workload))
        .map(|contender| (contender, Vec::new(), None))
        .collect();
    for round in 0..ROUNDS {
        for (contender, times, failure) in &mut results {
            if failure.is_some() {
                continue;
            }
            match time_once(contender, &inputs.arguments, directory) {
                Ok(seconds) if round > 0 => times.push(seconds),
                Ok(_) => {}
                Err(message) => *failure = Some(message),
            }
        }
    }
    let ours = results
        .first()
        .map_or(f64::NAN, |(_, times, _)| median(times));
    for (contender, times, failure) in &results {
        match failure {
            Some(message) => println!("  {:<14} fails: {message}", contender.name),
            None => {
                let seconds = median(times);
                let peak = peak_memory(
                    &contender.commands(&inputs.arguments, directory)[0],
                    directory,
                );
                println!(
                    "  {:<14} {:>9.1} ms   x{:<6.2} peak {peak} {}",
                    contender.name,
                    seconds * 1e3,
                    seconds / ours,
                    inputs.rates(seconds),
                );
            }
        }
    }
    println!();
}

/// Seconds that all commands of a contender take.
fn time_once(contender: &Contender, arguments: &[String], directory: &Path) -> Result<f64, String> {
    let commands = contender.commands(arguments, directory);
    commands
        .iter()
        .map(|command| timed(command, directory).map(|run| run.seconds))
        .sum()
}
