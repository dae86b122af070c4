//! A mutex over the process's pthreads.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};

/// Identifies a thread while it lives. Forking keeps the forking thread's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ThreadId(libc::pthread_t);

impl ThreadId {
    /// The calling thread's.
    pub fn current() -> Self {
        // SAFETY: `pthread_self` may be called anywhere.
        Self(unsafe { libc::pthread_self() })
    }

    /// As a number: no two threads that live have the same.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Data behind a pthread mutex with a condition variable. It may be a `static`.
pub struct Monitor<T> {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    changed: UnsafeCell<libc::pthread_cond_t>,
    value: UnsafeCell<T>,
}

// SAFETY: the value is only reached through a guard, which one thread at a time has.
unsafe impl<T: Send> Sync for Monitor<T> {}

/// Access to a monitor's data; gives it back on drop.
pub struct Guard<'a, T> {
    monitor: &'a Monitor<T>,
}

impl<T> Monitor<T> {
    /// An unlocked monitor.
    pub const fn new(value: T) -> Self {
        Self {
            mutex: UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER),
            changed: UnsafeCell::new(libc::PTHREAD_COND_INITIALIZER),
            value: UnsafeCell::new(value),
        }
    }

    /// Waits for the data to be free and takes it.
    pub fn lock(&self) -> Guard<'_, T> {
        self.raw_lock();
        Guard { monitor: self }
    }

    /// Locks without a guard. Pairs with [`Self::raw_unlock`]; for `fork`, where the lock is taken in
    /// one handler and given back in another.
    pub fn raw_lock(&self) {
        // SAFETY: the mutex is initialized and never moves: a monitor is a `static`.
        unsafe { libc::pthread_mutex_lock(self.mutex.get()) };
    }

    /// Undoes [`Self::raw_lock`].
    ///
    /// # Safety
    /// The calling thread holds the lock and has no guard.
    pub unsafe fn raw_unlock(&self) {
        // SAFETY: this thread locked the mutex with `raw_lock`, by the `# Safety` above.
        unsafe { libc::pthread_mutex_unlock(self.mutex.get()) };
    }

    /// The data, for a thread that holds the lock through [`Self::raw_lock`].
    ///
    /// # Safety
    /// The calling thread holds the lock and has no guard and no other such reference.
    #[expect(clippy::mut_from_ref, reason = "the raw lock stands for the guard")]
    pub unsafe fn raw_value(&self) -> &mut T {
        // SAFETY: the caller holds the lock and no other reference.
        unsafe { &mut *self.value.get() }
    }

    /// Wakes every thread that waits for a change.
    pub fn notify_all(&self) {
        // SAFETY: the condition variable is initialized and never moves.
        unsafe { libc::pthread_cond_broadcast(self.changed.get()) };
    }
}

impl<'a, T> Guard<'a, T> {
    /// Gives the data back until another thread calls [`Monitor::notify_all`], then takes it again.
    /// It may return early; the caller checks what it waits for.
    #[must_use]
    pub fn wait(self) -> Guard<'a, T> {
        // SAFETY: both are initialized, and this guard holds the mutex.
        unsafe {
            libc::pthread_cond_wait(self.monitor.changed.get(), self.monitor.mutex.get());
        }
        self
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: a guard is made with the lock held and gives it back when dropped, so no other thread has the value.
        unsafe { &*self.monitor.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`; the guard is borrowed mutably, so this thread has no other reference.
        unsafe { &mut *self.monitor.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the guard holds the lock, and ends here.
        unsafe { self.monitor.raw_unlock() };
    }
}
