//! Sessions, dylibs and objects that come and go: more than tests have time for.

use crate::command::{cargo, root, run_in};

/// Makes and drops what `tests/soak.rs` says, all of it or so many percent.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let percent = match arguments {
        [] => "100",
        [percent] if percent.parse::<u64>().is_ok() => percent,
        _ => return Err("how many percent? One number is expected".to_owned()),
    };
    let cargo = cargo().to_string_lossy().into_owned();
    let variable = format!("ORC_SOAK_PERCENT={percent}");
    let test = ["test", "--package", "tests", "--test", "soak", "--"];
    let words = [&variable, cargo.as_str()].into_iter().chain(test);
    let words: Vec<&str> = words.chain(["--nocapture", "--test-threads=1"]).collect();
    run_in(&root(), "env", &words)
}

/// Lets 64 threads call 10,000 lazy functions, in this process and in another, so many times.
pub fn run_stress(arguments: &[String]) -> Result<(), String> {
    let rounds = match arguments {
        [] => "100",
        [rounds] if rounds.parse::<u32>().is_ok() => rounds,
        _ => return Err("how many rounds? One number is expected".to_owned()),
    };
    let cargo = cargo().to_string_lossy().into_owned();
    let variable = format!("ORC_STRESS_ROUNDS={rounds}");
    let test = ["test", "--package", "orc-jit", "--test", "lazy", "--"];
    let words = [&variable, cargo.as_str()].into_iter().chain(test);
    let words: Vec<&str> = words.chain(["many::", "--nocapture"]).collect();
    run_in(&root(), "env", &words)
}
