//! The locks of a session and of its stubs.
//!
//! With the feature `models` they are those of `shuttle`, whose scheduler decides at each of them which thread
//! goes on: tests then go through many orders of events (`crate::models`).

#[cfg(not(feature = "models"))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(not(feature = "models"))]
pub(crate) use std::thread::ThreadId;

#[cfg(feature = "models")]
pub(crate) use modelled::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(feature = "models")]
pub(crate) use shuttle::thread::ThreadId;
#[cfg(feature = "models")]
pub(crate) use shuttle::thread_local;

/// Which thread this is.
pub(crate) fn this_thread() -> ThreadId {
    #[cfg(not(feature = "models"))]
    return std::thread::current().id();
    #[cfg(feature = "models")]
    return shuttle::thread::current().id();
}

/// Shuttle's locks in the manner of `parking_lot`: nobody is poisoned.
#[cfg(feature = "models")]
mod modelled {
    use std::ops::{Deref, DerefMut};
    use std::sync::PoisonError;
    use std::time::Duration;

    use shuttle::sync;

    #[derive(Default)]
    pub(crate) struct Mutex<T>(sync::Mutex<T>);

    pub(crate) struct MutexGuard<'a, T>(Option<sync::MutexGuard<'a, T>>);

    #[derive(Default)]
    pub(crate) struct Condvar(sync::Condvar);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            let guard = self.0.lock();
            MutexGuard(Some(guard.unwrap_or_else(PoisonError::into_inner)))
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok().map(|guard| MutexGuard(Some(guard)))
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            let value = self.0.get_mut();
            value.unwrap_or_else(PoisonError::into_inner)
        }
    }

    #[derive(Default)]
    pub(crate) struct RwLock<T>(sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn read(&self) -> sync::RwLockReadGuard<'_, T> {
            self.0.read().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn write(&self) -> sync::RwLockWriteGuard<'_, T> {
            self.0.write().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            self.0.as_ref().expect("held unless it waits")
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().expect("held unless it waits")
        }
    }

    impl Condvar {
        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let held = guard.0.take().expect("held unless it waits");
            let again = self.0.wait(held).unwrap_or_else(PoisonError::into_inner);
            guard.0 = Some(again);
        }

        pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, time: Duration) {
            let held = guard.0.take().expect("held unless it waits");
            let waited = self.0.wait_timeout(held, time);
            guard.0 = Some(waited.unwrap_or_else(PoisonError::into_inner).0);
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}

/// Tries so many orders of events at random, and as many in which the scheduler changes its mind a few times.
#[cfg(all(test, feature = "models"))]
pub(crate) fn in_many_orders(count: usize, model: impl Fn() + Send + Sync + 'static) {
    use shuttle::scheduler::{PctScheduler, RandomScheduler};
    use shuttle::{Config, Runner};

    /// Frames of builds without optimization are large.
    const STACK_SIZE: usize = 1 << 20;
    const CHANGES: usize = 3;
    let model = std::sync::Arc::new(model);
    let again = model.clone();
    let mut config = Config::new();
    config.stack_size = STACK_SIZE;
    Runner::new(RandomScheduler::new(count), config.clone()).run(move || model());
    Runner::new(PctScheduler::new(CHANGES, count), config).run(move || again());
}
