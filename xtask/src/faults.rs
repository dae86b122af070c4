//! Many broken sessions: more than tests have time for.

use crate::command::{cargo, root, run_in};

/// Breaks this many sessions in each of the ways that the tests know.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let runs = match arguments {
        [] => "1000",
        [runs] if runs.parse::<u64>().is_ok() => runs,
        _ => return Err("how many sessions? One number is expected".to_owned()),
    };
    let cargo = cargo().to_string_lossy().into_owned();
    let variable = format!("ORC_FAULT_RUNS={runs}");
    let test = ["test", "--package", "tests", "--test", "faults", "--"];
    let words = [&variable, cargo.as_str()].into_iter().chain(test);
    let words: Vec<&str> = words.chain(["--nocapture"]).collect();
    run_in(&root(), "env", &words)
}
