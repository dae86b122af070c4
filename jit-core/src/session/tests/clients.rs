//! Clients' own units: what they promise, how they keep it or fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use orc_shared::ExecutorAddr;
use parking_lot::Mutex;

use super::mock::{FakeMemory, Fixture};
use crate::batch::Resolution;
use crate::error::LinkError;
use crate::object::{Linkage, ObjectFile};
use crate::session::{Materializer, Promise, Responsibility, ThreadPool};

type Act = Box<dyn Fn(Responsibility) + Send + Sync>;

/// A materializer made of a closure.
struct Acting {
    act: Act,
    runs: AtomicUsize,
}

impl Materializer for Acting {
    fn name(&self) -> String {
        "compiler".to_owned()
    }

    fn materialize(&self, responsibility: Responsibility) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        (self.act)(responsibility);
    }
}

fn add(
    f: &Fixture,
    names: &[&str],
    act: impl Fn(Responsibility) + Send + Sync + 'static,
) -> Arc<Acting> {
    let unit = Arc::new(Acting {
        act: Box::new(act),
        runs: AtomicUsize::new(0),
    });
    let promises: Vec<_> = names.iter().map(|n| Promise::function(f.name(n))).collect();
    f.main
        .add_materializer(unit.clone(), &promises)
        .expect("no clash");
    unit
}

#[test]
fn addresses_and_memory_of_a_client() {
    let f = Fixture::new();
    let (x, y) = (f.name("x"), f.name("y"));
    let memory = f.linker.memory.clone();
    let unit = add(&f, &["x", "y"], move |responsibility| {
        assert_eq!(responsibility.requested(), [y]);
        assert_eq!(responsibility.names(), [x, y]);
        let half = responsibility.resolve(&[(x, ExecutorAddr::new(0x10))]);
        assert_eq!(
            half.expect_err("y is missing").to_string(),
            "compiler: no address given for y"
        );
        let all = [(x, ExecutorAddr::new(0x10)), (y, ExecutorAddr::new(0x20))];
        responsibility.resolve(&all).expect("is alive");
        let tracker = responsibility.tracker();
        responsibility
            .emit(vec![FakeMemory::boxed(&memory, tracker)])
            .expect("is resolved");
    });
    f.add(f.object("a.o").strong("a").needs("y"));
    f.find("a").expect("links");
    assert!(matches!(f.meaning("y"), Resolution::Pending { .. }));
    assert_eq!(f.find("x").expect("is ready"), 0x10);
    assert_eq!(unit.runs.load(Ordering::Relaxed), 1);
    assert_eq!(f.live(), 2);
    f.session.close().expect("releases");
    assert_eq!(f.live(), 0);
}

#[test]
fn an_object_keeps_the_promise_and_brings_more() {
    let f = Fixture::new();
    let object = f
        .object("made.o")
        .strong("helper")
        .strong("x")
        .needs("a")
        .done();
    add(&f, &["x"], move |responsibility| {
        responsibility.link(object.clone())
    });
    f.add(f.object("a.o").strong("a").needs("x"));
    let a = f.find("a").expect("links");
    let x = f.find("x").expect("is ready");
    let helper = f.find("helper").expect("is ready");
    assert!(a != x && x != helper);
    let linked = f.linked();
    assert_eq!(linked.len(), 2);
    assert!(linked.contains(&vec!["made.o".to_owned()]), "{linked:?}");
}

#[test]
fn an_object_without_the_promised_name_is_an_error() {
    let f = Fixture::new();
    let wrong = f.object("made.o").strong("y").done();
    let unit = add(&f, &["x"], move |responsibility| {
        responsibility.link(wrong.clone())
    });
    for runs in 1..3 {
        let error = f.find("x").expect_err("fails");
        assert_eq!(error.to_string(), "compiler: made.o does not define x");
        assert_eq!(unit.runs.load(Ordering::Relaxed), runs);
    }
    assert!(matches!(f.find("y"), Err(LinkError::MissingSymbols(_))));
}

#[test]
fn after_a_failed_link_the_promise_stands() {
    let f = Fixture::new();
    let object: Arc<dyn ObjectFile> = f
        .object("made.o")
        .strong("x")
        .strong("helper")
        .needs("late")
        .done();
    add(&f, &["x"], move |responsibility| {
        responsibility.link(object.clone())
    });
    assert!(matches!(f.find("x"), Err(LinkError::MissingSymbols(_))));
    assert!(matches!(
        f.find("helper"),
        Err(LinkError::MissingSymbols(_))
    ));
    f.add(f.object("late.o").strong("late"));
    f.find("x").expect("links now");
    f.find("helper").expect("is ready");
    assert_eq!(f.live(), 1);
}

#[test]
fn a_clash_of_the_produced_object_is_an_error() {
    let f = Fixture::new();
    f.add(f.object("a.o").strong("helper"));
    let object = f.object("made.o").strong("x").strong("helper").done();
    add(&f, &["x"], move |responsibility| {
        responsibility.link(object.clone())
    });
    let error = f.find("x").expect_err("clashes");
    assert_eq!(
        error.to_string(),
        "duplicate definition of helper: in a.o and in made.o"
    );
    f.find("helper").expect("links");
    assert!(f.find("x").is_err());
}

#[test]
fn giving_up_failing_and_panicking_are_errors_that_can_be_retried() {
    let f = Fixture::new();
    let step = Arc::new(AtomicUsize::new(0));
    let x = f.name("x");
    let count = step.clone();
    add(&f, &["x"], move |responsibility| {
        match count.fetch_add(1, Ordering::Relaxed) {
            0 => drop(responsibility),
            1 => responsibility.fail(LinkError::Internal("no code".to_owned())),
            2 => panic!("on purpose"),
            3 => {
                let error = responsibility.emit(Vec::new()).expect_err("not resolved");
                assert_eq!(
                    error.to_string(),
                    "compiler: emitted before it was resolved"
                );
            }
            _ => {
                let addr = ExecutorAddr::new(0x30);
                responsibility.resolve(&[(x, addr)]).expect("is alive");
                responsibility.emit(Vec::new()).expect("is resolved");
            }
        }
    });
    f.add(f.object("a.o").strong("a").needs("x"));
    let expected = [
        "compiler: gave up without saying why",
        "internal error: no code",
        "compiler: panicked: on purpose",
        "compiler: emitted before it was resolved",
    ];
    for message in expected {
        assert_eq!(f.find("a").expect_err("fails").to_string(), message);
        assert_eq!(f.live(), 0);
    }
    f.find("a").expect("links");
    assert_eq!(step.load(Ordering::Relaxed), 5);
}

#[test]
fn a_lookup_within_a_materializer() {
    let f = Fixture::new();
    let (x, dylib) = (f.name("x"), f.main.clone());
    let weak = dylib.session().downgrade();
    drop(dylib);
    add(&f, &["x"], move |responsibility| {
        let session = weak.upgrade().expect("lives");
        let main = session.find_dylib("main").expect("exists");
        let base = main.lookup_one("base").expect("links");
        let addr = base.addr() + 1;
        responsibility.resolve(&[(x, addr)]).expect("is alive");
        let name = session.names().intern(b"base");
        responsibility
            .depends_on(&main, &[name])
            .expect("is linked");
        responsibility.emit(Vec::new()).expect("is resolved");
    });
    f.add(f.object("base.o").strong("base"));
    let x = f.find("x").expect("links");
    assert_eq!(f.find("base").expect("ready") + 1, x);
}

#[test]
fn ready_means_everything_reached_is_emitted() {
    let f = Fixture::with(
        |config| config.dispatcher = Arc::new(ThreadPool::new(2)),
        false,
    );
    let held: Arc<Mutex<Option<Responsibility>>> = Arc::default();
    let (x, y) = (f.name("x"), f.name("y"));
    let hold = held.clone();
    add(&f, &["x"], move |responsibility| {
        responsibility
            .resolve(&[(x, ExecutorAddr::new(0x40))])
            .expect("is alive");
        *hold.lock() = Some(responsibility);
    });
    add(&f, &["y"], move |responsibility| {
        let addr = ExecutorAddr::new(0x50);
        responsibility.resolve(&[(y, addr)]).expect("is alive");
        let main = responsibility.dylib();
        responsibility.depends_on(&main, &[x]).expect("is searched");
        responsibility.emit(Vec::new()).expect("is resolved");
    });
    f.add(f.object("a.o").strong("a").needs("x").needs("y"));
    let (done, outcome) = std::sync::mpsc::channel();
    let a = f.name("a");
    f.main
        .lookup_async(&[a], &Default::default(), move |outcome| {
            done.send(outcome.map(|s| s.len())).expect("open");
        });
    let responsibility = loop {
        match held.lock().take() {
            Some(responsibility) => break responsibility,
            None => std::thread::yield_now(),
        }
    };
    let early = outcome.recv_timeout(std::time::Duration::from_millis(50));
    assert!(early.is_err(), "x is not emitted");
    responsibility.emit(Vec::new()).expect("is resolved");
    assert_eq!(outcome.recv().expect("answers").expect("links"), 1);
}

#[test]
fn weak_promises_lose_and_are_not_asked_for() {
    let f = Fixture::new();
    let y = f.name("y");
    let unit = Arc::new(Acting {
        act: Box::new(move |responsibility| {
            assert_eq!(responsibility.names(), [y]);
            let addr = ExecutorAddr::new(0x60);
            responsibility.resolve(&[(y, addr)]).expect("is alive");
            responsibility.emit(Vec::new()).expect("is resolved");
        }),
        runs: AtomicUsize::new(0),
    });
    let weak = Promise {
        linkage: Linkage::Weak,
        ..Promise::function(f.name("x"))
    };
    f.main
        .add_materializer(unit, &[weak, Promise::function(y)])
        .expect("no clash");
    f.add(f.object("a.o").strong("x"));
    f.find("x").expect("links");
    assert_eq!(f.find("y").expect("is made"), 0x60);
    assert_ne!(f.find("x").expect("is ready"), 0x60);
}
