//! Uses a thread pool, regular expressions, and code that a procedural macro made.

use rayon::prelude::*;
use regex::Regex;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Debug, PartialEq)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Event {
    KeyPress { code: u32, modifiers: Vec<String> },
    Resize { width: u32, height: u32 },
}

fn main() {
    let text = r#"[{"kind":"key-press","code":65,"modifiers":["shift"]},{"kind":"resize","width":80,"height":24}]"#;
    let events: Vec<Event> = serde_json::from_str(text).unwrap();
    println!("{events:?}");
    println!("{}", serde_json::to_string(&events).unwrap() == text);
    println!(
        "{}",
        serde_json::from_str::<Vec<Event>>("[{}]").unwrap_err()
    );

    let pattern = Regex::new(r"(?P<name>\w+)@(?P<host>[\w.]+)").unwrap();
    for found in pattern.captures_iter("ann@example.com and bob@site.org") {
        println!("{} at {}", &found["name"], &found["host"]);
    }

    let sum: u64 = (0..100_000u64).into_par_iter().map(|n| n * n % 7).sum();
    let mut words: Vec<String> = (0..1000)
        .map(|n| format!("{:04}", n * 7919 % 1000))
        .collect();
    words.par_sort();
    println!("{sum} {} {}", words[0], words[999]);
    let caught = std::panic::catch_unwind(|| {
        (0..100)
            .into_par_iter()
            .for_each(|n| assert!(n != 50, "stopped at {n}"));
    });
    println!("{:?}", caught.unwrap_err().downcast_ref::<String>());
    std::process::exit(7);
}
