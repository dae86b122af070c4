//! How fast programs are linked and run, beside every linker that is installed.
//!
//! `cargo bench -p tests --bench link [-- FILTER] [--rounds=N]`. All contenders of a workload run in
//! turn, round by round, so that a busy moment of the machine hits them all; what is shown are medians. A
//! linker's figures are those of linking and of running what it made.

mod contenders;
mod measure;
mod self_timed;
mod workloads;

use std::path::Path;

use contenders::{Contender, contenders};
use measure::{Cost, median, timed};
use workloads::{Inputs, Workload, workloads};

/// Rounds of a workload, unless another number is asked for. One more, which fills the page cache,
/// is not counted.
const ROUNDS: usize = 10;

fn main() {
    // Cargo passes `--bench`; what else there is filters workloads by name.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filter = arguments
        .iter()
        .find(|argument| !argument.starts_with("--"));
    let rounds = arguments
        .iter()
        .find_map(|argument| argument.strip_prefix("--rounds="))
        .map_or(ROUNDS, |rounds| rounds.parse().expect("a number of rounds"));
    let wanted = |name: &str| filter.is_none_or(|filter| name.contains(filter.as_str()));
    let directory = tempfile::tempdir().expect("a temporary directory");
    for workload in workloads() {
        if wanted(workload.name) {
            run(&workload, rounds, &directory.path().join(workload.name));
        }
    }
    for program in self_timed::PROGRAMS {
        if wanted(program.name) {
            self_timed::run(program, rounds, &directory.path().join(program.name));
        }
    }
}

/// What a contender did on a workload.
struct Entry {
    contender: Contender,
    commands: Vec<Vec<String>>,
    /// One per round.
    costs: Vec<Cost>,
    failure: Option<String>,
}

/// Builds a workload's objects, and prints a line per contender.
fn run(workload: &Workload, rounds: usize, directory: &Path) {
    std::fs::create_dir_all(directory).expect("a fresh directory");
    let Some(inputs) = (workload.prepare)(directory) else {
        println!(
            "{}: left out, its libraries are not installed\n",
            workload.name
        );
        return;
    };
    println!("{}: {}", workload.name, inputs.describe());
    let contenders = contenders().into_iter();
    let able = contenders.filter(|contender| contender.can_run(workload));
    let mut entries: Vec<Entry> = able
        .map(|contender| Entry {
            commands: contender.commands(&inputs.arguments, directory),
            contender,
            costs: Vec::new(),
            failure: None,
        })
        .collect();
    for round in 0..=rounds {
        for entry in entries.iter_mut().filter(|entry| entry.failure.is_none()) {
            match run_once(&entry.commands, directory) {
                Ok(cost) if round > 0 => entry.costs.push(cost),
                Ok(_) => {}
                Err(message) => entry.failure = Some(message),
            }
        }
    }
    println!(
        "  {:<14} {:>12} {:>7} {:>12} {:>9}",
        "", "wall", "", "processor", "peak"
    );
    for entry in &entries {
        print(entry, &entries[0].costs, &inputs, directory);
    }
    println!();
}

/// Prints what a contender did, with its time as a multiple of ours: the median of the rounds'
/// ratios, since what slows a round down slows all of it.
fn print(entry: &Entry, ours: &[Cost], inputs: &Inputs, directory: &Path) {
    let name = entry.contender.name;
    if let Some(message) = &entry.failure {
        return println!("  {name:<14} fails: {message}");
    }
    let wall = median(entry.costs.iter().map(|cost| cost.wall));
    let cpu = median(entry.costs.iter().map(|cost| cost.cpu));
    let pairs = entry.costs.iter().zip(ours);
    let ratio = median(pairs.map(|(theirs, ours)| theirs.wall / ours.wall));
    let link = entry.contender.in_one_process(&entry.commands[0]);
    let peak = timed(&link, directory).map_or(f64::NAN, |run| run.cost.peak);
    println!(
        "  {name:<14} {:>9.1} ms  x{ratio:<5.2} {:>9.0} ms {peak:>6.0} MB {}",
        wall * 1e3,
        cpu * 1e3,
        inputs.rates(wall),
    );
}

/// What all commands of a contender cost, one after the other.
fn run_once(commands: &[Vec<String>], directory: &Path) -> Result<Cost, String> {
    let mut total = Cost::default();
    for command in commands {
        let cost = timed(command, directory)?.cost;
        total.wall += cost.wall;
        total.cpu += cost.cpu;
        total.peak = total.peak.max(cost.peak);
    }
    Ok(total)
}
