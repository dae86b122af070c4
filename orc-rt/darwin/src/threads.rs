//! Threads. A mutex or the like that a program initializes without a call has macOS's mark in its first word, where the
//! C library expects zero. The mark is taken out when the object is first used; what is left is what the C library's
//! own initializers make.

use core::ffi::{c_int, c_long, c_uint, c_void};
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

/// Marks of objects that are initialized without a call.
const MUTEX: u64 = 0x32aa_aba7;
const ERROR_CHECKING_MUTEX: u64 = 0x32aa_aba1;
const RECURSIVE_MUTEX: u64 = 0x32aa_aba2;
const CONDITION: u64 = 0x3cb0_b1bb;
const READ_WRITE_LOCK: u64 = 0x2da8_b3b4;
const ONCE: u64 = 0x30b1_bcba;

/// Where glibc's mutexes have their kind, and the kinds.
const KIND_AT: usize = 16;
const KIND_RECURSIVE: i32 = 1;
const KIND_ERROR_CHECKING: i32 = 2;

/// `ETIMEDOUT` of macOS.
const TIMED_OUT: c_int = 60;

/// Makes the C library's object of one with `mark`. Any number of threads may do that at once.
///
/// # Safety
/// `object` is aligned for a word and has room for one.
unsafe fn unmark(object: *mut c_void, mark: u64) {
    // SAFETY: the caller's; everybody changes the word atomically, as long as it is a mark.
    let word = unsafe { AtomicU64::from_ptr(object.cast()) };
    if word.load(Ordering::Acquire) == mark {
        // Another thread may have been faster.
        let _ = word.compare_exchange(mark, 0, Ordering::AcqRel, Ordering::Acquire);
    }
}

/// As [`unmark`] for a mutex, whose mark says its kind.
///
/// # Safety
/// `mutex` is one.
unsafe fn unmark_mutex(mutex: *mut c_void) {
    // SAFETY: the caller's mutex.
    let word = unsafe { AtomicU64::from_ptr(mutex.cast()) };
    let mark = word.load(Ordering::Acquire);
    let kind = match mark {
        MUTEX => 0,
        RECURSIVE_MUTEX => KIND_RECURSIVE,
        ERROR_CHECKING_MUTEX => KIND_ERROR_CHECKING,
        _ => return,
    };
    // SAFETY: the field lies in the mutex; all who see the mark write the same.
    unsafe { AtomicI32::from_ptr(mutex.byte_add(KIND_AT).cast()) }.store(kind, Ordering::Relaxed);
    let _ = word.compare_exchange(mark, 0, Ordering::AcqRel, Ordering::Acquire);
}

unsafe extern "C" {
    fn pthread_mutex_lock(mutex: *mut c_void) -> c_int;
    fn pthread_mutex_trylock(mutex: *mut c_void) -> c_int;
    fn pthread_mutex_unlock(mutex: *mut c_void) -> c_int;
    fn pthread_mutex_destroy(mutex: *mut c_void) -> c_int;
    fn pthread_cond_wait(condition: *mut c_void, mutex: *mut c_void) -> c_int;
    fn pthread_cond_timedwait(
        condition: *mut c_void,
        mutex: *mut c_void,
        until: *const libc::timespec,
    ) -> c_int;
    fn pthread_cond_signal(condition: *mut c_void) -> c_int;
    fn pthread_cond_broadcast(condition: *mut c_void) -> c_int;
    fn pthread_cond_destroy(condition: *mut c_void) -> c_int;
    fn pthread_rwlock_rdlock(lock: *mut c_void) -> c_int;
    fn pthread_rwlock_tryrdlock(lock: *mut c_void) -> c_int;
    fn pthread_rwlock_wrlock(lock: *mut c_void) -> c_int;
    fn pthread_rwlock_trywrlock(lock: *mut c_void) -> c_int;
    fn pthread_rwlock_unlock(lock: *mut c_void) -> c_int;
    fn pthread_rwlock_destroy(lock: *mut c_void) -> c_int;
    fn pthread_once(once: *mut c_void, run: extern "C" fn()) -> c_int;
    fn pthread_mutexattr_settype(attributes: *mut c_void, kind: c_int) -> c_int;
    fn pthread_attr_setdetachstate(attributes: *mut c_void, state: c_int) -> c_int;
    fn pthread_setname_np(thread: libc::pthread_t, name: *const core::ffi::c_char) -> c_int;
}

/// Functions of one object that may have its mark.
macro_rules! unmarked {
    ($($symbol:ident = $name:ident, $unmark:expr;)*) => {$(
        /// The C library's function, for an object that may have its mark.
        ///
        /// # Safety
        /// As for the function.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $symbol(object: *mut c_void) -> c_int {
            // SAFETY: the caller's object is of the function's type.
            unsafe {
                $unmark(object);
                $name(object)
            }
        }
    )*};
}

/// # Safety
/// `object` is a condition variable.
unsafe fn unmark_condition(object: *mut c_void) {
    // SAFETY: the caller's.
    unsafe { unmark(object, CONDITION) };
}

/// # Safety
/// `object` is a lock.
unsafe fn unmark_lock(object: *mut c_void) {
    // SAFETY: the caller's.
    unsafe { unmark(object, READ_WRITE_LOCK) };
}

unmarked! {
    __orc_rt_ext_darwin_pthread_mutex_lock = pthread_mutex_lock, unmark_mutex;
    __orc_rt_ext_darwin_pthread_mutex_trylock = pthread_mutex_trylock, unmark_mutex;
    __orc_rt_ext_darwin_pthread_mutex_unlock = pthread_mutex_unlock, unmark_mutex;
    __orc_rt_ext_darwin_pthread_mutex_destroy = pthread_mutex_destroy, unmark_mutex;
    __orc_rt_ext_darwin_pthread_cond_signal = pthread_cond_signal, unmark_condition;
    __orc_rt_ext_darwin_pthread_cond_broadcast = pthread_cond_broadcast, unmark_condition;
    __orc_rt_ext_darwin_pthread_cond_destroy = pthread_cond_destroy, unmark_condition;
    __orc_rt_ext_darwin_pthread_rwlock_rdlock = pthread_rwlock_rdlock, unmark_lock;
    __orc_rt_ext_darwin_pthread_rwlock_tryrdlock = pthread_rwlock_tryrdlock, unmark_lock;
    __orc_rt_ext_darwin_pthread_rwlock_wrlock = pthread_rwlock_wrlock, unmark_lock;
    __orc_rt_ext_darwin_pthread_rwlock_trywrlock = pthread_rwlock_trywrlock, unmark_lock;
    __orc_rt_ext_darwin_pthread_rwlock_unlock = pthread_rwlock_unlock, unmark_lock;
    __orc_rt_ext_darwin_pthread_rwlock_destroy = pthread_rwlock_destroy, unmark_lock;
}

/// `pthread_cond_wait`.
///
/// # Safety
/// As for the function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_pthread_cond_wait(
    condition: *mut c_void,
    mutex: *mut c_void,
) -> c_int {
    // SAFETY: the caller's objects.
    unsafe {
        unmark(condition, CONDITION);
        unmark_mutex(mutex);
        pthread_cond_wait(condition, mutex)
    }
}

/// `pthread_cond_timedwait`.
///
/// # Safety
/// As for the function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_pthread_cond_timedwait(
    condition: *mut c_void,
    mutex: *mut c_void,
    until: *const libc::timespec,
) -> c_int {
    // SAFETY: the caller's objects.
    let status = unsafe {
        unmark(condition, CONDITION);
        unmark_mutex(mutex);
        pthread_cond_timedwait(condition, mutex, until)
    };
    match status {
        libc::ETIMEDOUT => TIMED_OUT,
        other => other,
    }
}

/// `pthread_once`.
///
/// # Safety
/// As for the function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_pthread_once(
    once: *mut c_void,
    run: extern "C" fn(),
) -> c_int {
    // SAFETY: the caller's.
    unsafe {
        unmark(once, ONCE);
        pthread_once(once, run)
    }
}

/// `pthread_mutexattr_settype`: 1 is error checking, 2 is recursive.
///
/// # Safety
/// As for the function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_pthread_mutexattr_settype(
    attributes: *mut c_void,
    kind: c_int,
) -> c_int {
    let kind = match kind {
        1 => KIND_ERROR_CHECKING,
        2 => KIND_RECURSIVE,
        other => other,
    };
    // SAFETY: the caller's.
    unsafe { pthread_mutexattr_settype(attributes, kind) }
}

/// `pthread_attr_setdetachstate`: 1 is joinable, 2 is detached.
///
/// # Safety
/// As for the function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_pthread_attr_setdetachstate(
    attributes: *mut c_void,
    state: c_int,
) -> c_int {
    // SAFETY: the caller's.
    unsafe { pthread_attr_setdetachstate(attributes, state - 1) }
}

/// `pthread_setname_np`: the calling thread's name.
///
/// # Safety
/// `name` is a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_pthread_setname_np(
    name: *const core::ffi::c_char,
) -> c_int {
    // SAFETY: the caller's name.
    unsafe { pthread_setname_np(libc::pthread_self(), name) }
}

/// `pthread_mach_thread_np`: a number for a thread.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_pthread_mach_thread_np(thread: libc::pthread_t) -> c_uint {
    // Threads' blocks are aligned to 64 bytes at least, and lie in 256 GiB mostly.
    (thread >> 6) as c_uint
}

/// `pthread_main_np`: whether this is the first thread.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_pthread_main_np() -> c_int {
    // SAFETY: these may be asked anywhere.
    unsafe { c_int::from(libc::syscall(libc::SYS_gettid) == c_long::from(libc::getpid())) }
}

/// What `__ulock_wake` is to wake: all.
const WAKE_ALL: c_uint = 0x100;

/// `__ulock_wait`: waits while a word has a value. Of a word of 8 bytes, the low half is looked at: who changes it
/// wakes whoever waits.
///
/// # Safety
/// `word` is an aligned word of the size that `operation` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_ulock_wait(
    _operation: c_uint,
    word: *const AtomicU32,
    value: u64,
    microseconds: c_uint,
) -> c_int {
    let limit = libc::timespec {
        tv_sec: (microseconds / 1_000_000).into(),
        tv_nsec: (microseconds % 1_000_000 * 1000).into(),
    };
    let limit = if microseconds == 0 {
        core::ptr::null()
    } else {
        &raw const limit
    };
    // SAFETY: the caller's word; the limit lives as long as the call.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word,
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            value as u32,
            limit,
        ) as c_int
    }
}

/// `__ulock_wake`.
///
/// # Safety
/// `word` is an aligned word.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_ulock_wake(
    operation: c_uint,
    word: *const AtomicU32,
    _value: u64,
) -> c_int {
    let count = if operation & WAKE_ALL != 0 {
        c_int::MAX
    } else {
        1
    };
    // SAFETY: the kernel only takes the address.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word,
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            count,
        ) as c_int
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_objects_are_the_c_librarys_after_the_first_use() {
        for (mark, again) in [
            (MUTEX, libc::EBUSY),
            (RECURSIVE_MUTEX, 0),
            (ERROR_CHECKING_MUTEX, libc::EBUSY),
        ] {
            // A mutex of macOS: the mark, and zeros.
            let mut mutex = [mark, 0, 0, 0, 0, 0, 0, 0];
            let mutex = (&raw mut mutex).cast();
            // SAFETY: it is a mutex of macOS.
            unsafe {
                assert_eq!(__orc_rt_ext_darwin_pthread_mutex_lock(mutex), 0);
                assert_eq!(__orc_rt_ext_darwin_pthread_mutex_trylock(mutex), again);
                assert_eq!(__orc_rt_ext_darwin_pthread_mutex_unlock(mutex), 0);
            }
        }
    }

    #[test]
    fn waiting_for_a_condition_ends_with_the_number_of_macos() {
        let (mut condition, mut mutex) = ([CONDITION, 0, 0, 0, 0, 0], [MUTEX, 0, 0, 0, 0, 0, 0, 0]);
        let (condition, mutex) = ((&raw mut condition).cast(), (&raw mut mutex).cast());
        let past = libc::timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        // SAFETY: they are objects of macOS.
        unsafe {
            assert_eq!(__orc_rt_ext_darwin_pthread_mutex_lock(mutex), 0);
            let status =
                __orc_rt_ext_darwin_pthread_cond_timedwait(condition, mutex, &raw const past);
            assert_eq!(status, TIMED_OUT);
        }
    }
}
