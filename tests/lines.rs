//! Every row below `lines/`: the same arguments, given to the compiler driver and to `orc-jit run`,
//! must make programs that behave alike, or be refused by both.
//!
//! `cargo test -p tests --test lines -- as_needed` runs those with `as_needed` in their name. The
//! format of the rows stands in `support/lines.rs`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Failed, Trial};
use tests::command::Behaviour;
use tests::compare::orc_jit;
use tests::lines::{Row, Topic, read_all};
use tests::needs::Tests;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let lines = Path::new(env!("CARGO_MANIFEST_DIR")).join("lines");
    let topics = read_all(&lines).unwrap_or_else(|error| panic!("{error}"));
    if !arguments.list {
        // Built before the first trial, so that no trial waits for it.
        orc_jit();
    }
    let place = tempfile::tempdir().expect("a temporary directory");
    let mut tests = Tests::default();
    for topic in topics {
        add_trials(topic, place.path(), &mut tests);
    }
    tests.run(&arguments)
}

/// One trial per row and executor. Trials of one topic wait for each other: programs write files
/// where they run.
fn add_trials(topic: Topic, parent: &Path, tests: &mut Tests) {
    let prepared = Arc::new(Mutex::new(None));
    let topic = Arc::new(topic);
    for row in &topic.rows {
        let native = Arc::new(Mutex::new(None));
        for executor in &row.executors {
            let name = format!("{}::{}::{}", topic.name, row.name, executor.name);
            let needs = topic.needs.iter().map(String::as_str).chain(row.need());
            if !tests.can_run(&name, needs) {
                continue;
            }
            let (topic, row, executor) = (topic.clone(), row.clone(), *executor);
            let (prepared, native) = (prepared.clone(), native.clone());
            let parent = parent.to_path_buf();
            tests.add(Trial::test(name, move || {
                let mut prepared = prepared.lock().unwrap_or_else(PoisonError::into_inner);
                let place = prepared.get_or_insert_with(|| topic.prepare_in(&parent));
                let place = place.as_ref().map_err(Failed::from)?;
                let native = linked(&row, &native, place)?;
                row.compare(native.as_ref(), executor, place)?;
                Ok(())
            }));
        }
    }
}

type Linked = Option<Result<Option<Behaviour>, String>>;

/// What the linked program of `row` does, found out once.
fn linked(row: &Row, native: &Mutex<Linked>, place: &Path) -> Result<Option<Behaviour>, String> {
    let mut native = native.lock().unwrap_or_else(PoisonError::into_inner);
    native
        .get_or_insert_with(|| row.link_and_run(place))
        .clone()
}
