//! The symbol state machine in many orders of events: `shuttle` decides who goes on whenever somebody takes a lock of
//! the session. A thread that would wait for ever fails the model.

use std::collections::HashSet;
use std::sync::Arc;

use shuttle::thread;

use super::mock::{FailAt, Fixture};
use crate::error::LinkError;
use crate::session::{InlineDispatcher, Materializer, Promise, Responsibility};
use crate::sync::in_many_orders;

/// Orders of events that are tried.
const ORDERS: usize = 1_500;

/// A session without threads of its own.
fn fixture() -> Arc<Fixture> {
    let inline = |config: &mut crate::session::SessionConfig| {
        config.dispatcher = Arc::new(InlineDispatcher::default());
    };
    Arc::new(Fixture::with(inline, false))
}

/// Runs something in a thread of the model.
fn spawn(f: &Arc<Fixture>, run: impl FnOnce(&Fixture) + Send + 'static) -> thread::JoinHandle<()> {
    let f = f.clone();
    thread::spawn(move || run(&f))
}

fn join(threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
    threads
        .into_iter()
        .for_each(|thread| thread.join().expect("right"));
}

#[test]
fn lookups_of_a_circle_end_and_link_each_object_once() {
    in_many_orders(ORDERS, || {
        let f = fixture();
        for at in 0..3 {
            let object = f.object(&format!("{at}.o")).strong(&format!("f{at}"));
            f.add(object.needs(&format!("f{}", (at + 1) % 3)).comdat("inline"));
        }
        let find = |name: &'static str| {
            spawn(&f, move |f| {
                f.find(name).expect("links");
            })
        };
        join([find("f0"), find("f1"), find("f2")]);
        let linked = f.linked().concat();
        let unique: HashSet<_> = linked.iter().collect();
        assert_eq!((linked.len(), unique.len()), (3, 3), "{linked:?}");
    });
}

#[test]
fn lookups_that_meet_a_failure_get_it_or_link_again() {
    in_many_orders(ORDERS, || {
        let f = fixture();
        f.add(f.object("a.o").strong("a").needs("b"));
        f.add(f.object("b.o").strong("b").needs("c"));
        f.add(f.object("c.o").strong("c"));
        *f.linker.fail_at.lock() = FailAt::AfterResolved;
        let find = |name: &'static str| {
            spawn(&f, move |f| match f.find(name) {
                Ok(_) | Err(LinkError::Internal(_)) => {}
                Err(error) => panic!("{error}"),
            })
        };
        let lookups = [find("a"), find("b")];
        let mended = spawn(&f, |f| *f.linker.fail_at.lock() = FailAt::Nowhere);
        join(lookups.into_iter().chain([mended]));
        f.find("a").expect("nothing fails any more");
        f.session.close().expect("releases");
        assert_eq!(f.live(), 0);
    });
}

#[test]
fn what_is_removed_while_others_link_against_it_is_there_or_missing() {
    in_many_orders(ORDERS, || {
        let f = fixture();
        let library = f.main.new_tracker();
        let object = f.object("library.o").strong("library").done();
        library.add_object(object).expect("no clash");
        f.add(f.object("user.o").strong("user").needs("library"));
        let user = spawn(&f, |f| match f.find("user") {
            Ok(_) | Err(LinkError::MissingSymbols(_) | LinkError::Removed { .. }) => {}
            Err(error) => panic!("{error}"),
        });
        let remover = thread::spawn(move || {
            let _ = library.remove().expect("releases");
        });
        join([user, remover]);
        assert!(f.find("library").is_err());
        f.session.close().expect("releases");
        assert_eq!(f.live(), 0);
    });
}

/// Produces a symbol after a lookup of another, if there is one.
struct After(Option<&'static str>, &'static str);

impl Materializer for After {
    fn name(&self) -> String {
        self.1.to_owned()
    }

    fn materialize(&self, responsibility: Responsibility) {
        let main = responsibility.dylib();
        if let Some(first) = self.0
            && let Err(error) = main.lookup_one(first)
        {
            return responsibility.fail(error);
        }
        let name = main.session().names().intern(self.1.as_bytes());
        let addr = orc_shared::ExecutorAddr::new(0x1000);
        responsibility.resolve(&[(name, addr)]).expect("is alive");
        responsibility.emit(Vec::new()).expect("is resolved");
    }
}

#[test]
fn materializers_that_wait_for_each_other_in_a_row_end() {
    in_many_orders(ORDERS, || {
        let f = fixture();
        for (first, name) in [(None, "one"), (Some("one"), "two"), (Some("two"), "three")] {
            let promise = Promise::function(f.name(name));
            f.main
                .add_materializer(Arc::new(After(first, name)), &[promise])
                .expect("no clash");
        }
        let find = |name: &'static str| {
            spawn(&f, move |f| {
                f.find(name).expect("is made");
            })
        };
        join([find("three"), find("two"), find("one")]);
    });
}
