//! Many threads at once: every lookup ends, every object is linked once, nothing leaks.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use orc_shared::ExecutorAddr;

use super::mock::{FailAt, Fixture};
use crate::error::LinkError;
use crate::session::{Materializer, Promise, Responsibility, ThreadPool};

/// A web of objects in which everything reaches everything.
fn web(f: &Fixture, count: usize) {
    for at in 0..count {
        let mut object = f
            .object(&format!("{at}.o"))
            .strong(&format!("f{at}"))
            .comdat(&format!("inl{}", at % 7));
        for step in [1, 3, 17] {
            object = object.needs(&format!("f{}", (at * step + step) % count));
        }
        f.add(object);
    }
}

#[test]
fn lookups_of_one_web_from_many_threads() {
    for in_threads in [false, true] {
        let f = Fixture::with(|_| {}, in_threads);
        web(&f, 400);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let f = &f;
                scope.spawn(move || {
                    for at in 0..400 {
                        let name = format!("f{}", (at * 7 + thread * 50) % 400);
                        f.find(&name).expect("links");
                    }
                });
            }
        });
        let linked = f.linked().concat();
        let unique: HashSet<_> = linked.iter().collect();
        assert_eq!(linked.len(), 400);
        assert_eq!(unique.len(), 400);
    }
}

/// Produces one symbol after a lookup of another.
struct Link {
    at: usize,
    made: Arc<AtomicUsize>,
}

impl Materializer for Link {
    fn name(&self) -> String {
        format!("link {}", self.at)
    }

    fn materialize(&self, responsibility: Responsibility) {
        let main = responsibility.dylib();
        let session = main.session();
        if let Some(next) = self.at.checked_sub(1)
            && let Err(error) = main.lookup_one(&format!("m{next}"))
        {
            return responsibility.fail(error);
        }
        let name = session.names().intern(format!("m{}", self.at).as_bytes());
        let addr = ExecutorAddr::new(0x1000 + self.at as u64);
        responsibility.resolve(&[(name, addr)]).expect("is alive");
        self.made.fetch_add(1, Ordering::Relaxed);
        responsibility.emit(Vec::new()).expect("is resolved");
    }
}

#[test]
fn materializers_that_look_each_other_up() {
    let dispatchers: [fn() -> Arc<dyn crate::session::Dispatcher>; 2] = [
        || Arc::new(ThreadPool::new(3)),
        || Arc::new(crate::session::InlineDispatcher::default()),
    ];
    for dispatcher in dispatchers {
        let f = Fixture::with(|config| config.dispatcher = dispatcher(), true);
        let made = Arc::new(AtomicUsize::new(0));
        for at in 0..60 {
            let made = made.clone();
            let promise = Promise::function(f.name(&format!("m{at}")));
            f.main
                .add_materializer(Arc::new(Link { at, made }), &[promise])
                .expect("no clash");
        }
        std::thread::scope(|scope| {
            for thread in 0..6 {
                let f = &f;
                scope.spawn(move || {
                    let at = 59 - thread * 9;
                    let addr = f.find(&format!("m{at}")).expect("links");
                    assert_eq!(addr, 0x1000 + at as u64);
                });
            }
        });
        assert_eq!(made.load(Ordering::Relaxed), 60);
    }
}

/// Produces an object that refers to the next one, so that a lookup starts a long chain of units.
struct Chained {
    object: Arc<dyn crate::object::ObjectFile>,
}

impl Materializer for Chained {
    fn name(&self) -> String {
        "chained".to_owned()
    }

    fn materialize(&self, responsibility: Responsibility) {
        responsibility.link(self.object.clone());
    }
}

#[test]
fn a_long_chain_of_units_does_not_grow_the_stack() {
    let f = Fixture::new();
    let count = 3_000;
    for at in 0..count {
        let mut object = f.object(&format!("c{at}.o")).strong(&format!("c{at}"));
        // The last refers back to the first: all are ready together.
        object = object.needs(&format!("c{}", (at + 1) % count));
        let unit = Chained {
            object: object.done(),
        };
        let promise = Promise::function(f.name(&format!("c{at}")));
        f.main
            .add_materializer(Arc::new(unit), &[promise])
            .expect("no clash");
    }
    f.find("c0").expect("links");
    assert_eq!(f.linked().len(), count);
}

#[test]
fn failures_removals_and_lookups_race() {
    let f = Fixture::with(
        |config| config.dispatcher = Arc::new(ThreadPool::new(2)),
        true,
    );
    web(&f, 60);
    std::thread::scope(|scope| {
        let f = &f;
        scope.spawn(move || {
            for round in 0..300 {
                *f.linker.fail_at.lock() = match round % 4 {
                    0 => FailAt::AfterResolved,
                    1 => FailAt::AfterDependencies,
                    _ => FailAt::Nowhere,
                };
                std::thread::yield_now();
            }
            *f.linker.fail_at.lock() = FailAt::Nowhere;
        });
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..60 {
                    let name = format!("own{thread}_{round}");
                    let tracker = f.main.new_tracker();
                    let object = f
                        .object(&name)
                        .strong(&name)
                        .needs(&format!("f{}", round % 60))
                        .comdat("shared");
                    tracker.add_object(object.done()).expect("no clash");
                    match f.find(&name) {
                        Ok(_) | Err(LinkError::Internal(_) | LinkError::Removed { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                    tracker.remove().expect("releases");
                }
            });
        }
    });
    f.find("f0").expect("links in the end");
    f.session.close().expect("releases");
    assert_eq!(f.live(), 0);
}
