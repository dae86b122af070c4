//! Making values on all threads, and using them on one, in order.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::threads;

/// Calls `make` for each of `items`, on the threads that share work ([`crate::threads`]), and `take` with the
/// values, on the calling thread and in the order of the items.
///
/// Values are taken while later ones are made, so that what has to be done in order costs time of one
/// thread alone, and the others do not wait for it. The calling thread makes values, too, when the next
/// one is not there yet.
pub fn in_order<I: Sync, T: Send>(
    items: &[I],
    make: impl Fn(&I) -> T + Sync,
    mut take: impl FnMut(&I, T),
) {
    if let [item] = items {
        return take(item, make(item));
    }
    let making = Making {
        items,
        make,
        next: AtomicUsize::new(0),
        made: items.iter().map(|_| Mutex::new(None)).collect(),
        is_broken: AtomicBool::new(false),
    };
    let helpers = threads::count().min(items.len()).saturating_sub(1);
    threads::share_from_here(|scope| {
        for _ in 0..helpers {
            scope.spawn(|_| while making.make_one() {});
        }
        for (item, made) in items.iter().zip(&making.made) {
            loop {
                if let Some(value) = made.lock().take() {
                    take(item, value);
                    break;
                }
                if making.is_broken.load(Ordering::Acquire) {
                    // The scope passes the panic on.
                    return;
                }
                if !making.make_one() && rayon::yield_now() != Some(rayon::Yield::Executed) {
                    // Another thread is at it.
                    std::thread::yield_now();
                }
            }
        }
    });
}

struct Making<'a, I, T, F> {
    items: &'a [I],
    make: F,
    /// The first item that nobody is at.
    next: AtomicUsize,
    made: Vec<Mutex<Option<T>>>,
    /// Whether a value will never come, because making it panicked.
    is_broken: AtomicBool,
}

impl<I, T, F: Fn(&I) -> T> Making<'_, I, T, F> {
    /// Makes the next value. False if there is none.
    fn make_one(&self) -> bool {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(item) = self.items.get(at) else {
            return false;
        };
        let broken = Broken(&self.is_broken);
        let value = (self.make)(item);
        std::mem::forget(broken);
        *self.made[at].lock() = Some(value);
        true
    }
}

/// Says that something is broken, unless it is forgotten.
struct Broken<'a>(&'a AtomicBool);

impl Drop for Broken<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_in_the_order_of_their_items() {
        let items: Vec<u64> = (0..1000).collect();
        let mut taken = Vec::new();
        let slow_at_first = |item: &u64| {
            std::thread::sleep(std::time::Duration::from_micros(200 / (item + 1)));
            item * 2
        };
        in_order(&items, slow_at_first, |item, value| {
            taken.push((*item, value))
        });
        assert!(taken.into_iter().eq((0..1000).map(|item| (item, item * 2))));
        in_order(&[], |(): &()| (), |(), ()| unreachable!("there is no item"));
    }

    #[test]
    fn a_panic_comes_out_and_nobody_waits() {
        let items: Vec<u32> = (0..100).collect();
        let make = |item: &u32| assert_ne!(*item, 7, "seven");
        let outcome = std::panic::catch_unwind(|| in_order(&items, make, |_, ()| {}));
        assert!(outcome.is_err());
    }
}
