//! Starting the program's file.

use std::ffi::{CStr, c_char, c_int};
use std::ptr::null;

use super::is_own;
use crate::host::arch::stand_ins;
use crate::host::identity::OwnFile;

type Words = *const *const c_char;

/// The stand-in for a function of this name.
pub(super) fn stand_in(name: &[u8]) -> Option<*const ()> {
    Some(match name {
        b"execve" => execve as *const (),
        b"execv" => execv as *const (),
        b"execvp" => execvp as *const (),
        b"execvpe" => execvpe as *const (),
        b"posix_spawn" => posix_spawn as *const (),
        b"posix_spawnp" => posix_spawnp as *const (),
        _ => return stand_ins::start_of_listed(name),
    })
}

/// Calls `start` with the file to start and its arguments in place of the program's file. `None` if that is
/// not what `path` is.
///
/// # Safety
/// The path is a C string or null, the arguments are C strings and a null.
unsafe fn instead<R>(
    path: *const c_char,
    argv: Words,
    start: impl FnOnce(*const c_char, Words) -> R,
) -> Option<R> {
    // SAFETY: the caller's promise.
    let own = unsafe { is_own(path) }?;
    let Some(command) = own.again.iter().next() else {
        return Some(start(own.path.as_ptr(), argv));
    };
    // SAFETY: the caller's promise.
    let words = unsafe { command_line(own, argv) };
    Some(start(command.as_ptr(), words.as_ptr()))
}

/// The command line that runs the program again with these arguments.
///
/// # Safety
/// The arguments are C strings and a null, or there is null instead.
unsafe fn command_line(own: &OwnFile, argv: Words) -> Vec<*const c_char> {
    let mut words: Vec<*const c_char> = own.again.iter().map(CStr::as_ptr).collect();
    let mut at = argv;
    // SAFETY: the caller's promise: what is read lies before the null, or is it.
    let mut next = || unsafe {
        let word = if at.is_null() { null() } else { at.read() };
        at = at.wrapping_add(usize::from(!word.is_null()));
        word
    };
    let name = next();
    if !name.is_null() {
        words.extend([c"--argv0".as_ptr(), name]);
    }
    words.push(c"--".as_ptr());
    loop {
        let word = next();
        words.push(word);
        if word.is_null() {
            return words;
        }
    }
}

/// As the C library's.
///
/// # Safety
/// As the C library's.
unsafe extern "C" fn execve(path: *const c_char, argv: Words, environment: Words) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        instead(path, argv, |path, argv| {
            libc::execve(path, argv, environment)
        })
        .unwrap_or_else(|| libc::execve(path, argv, environment))
    }
}

/// As the C library's.
///
/// # Safety
/// As the C library's.
unsafe extern "C" fn execv(path: *const c_char, argv: Words) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        instead(path, argv, |path, argv| libc::execv(path, argv))
            .unwrap_or_else(|| libc::execv(path, argv))
    }
}

/// As the C library's.
///
/// # Safety
/// As the C library's.
unsafe extern "C" fn execvp(path: *const c_char, argv: Words) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        instead(path, argv, |path, argv| libc::execv(path, argv))
            .unwrap_or_else(|| libc::execvp(path, argv))
    }
}

/// As the C library's.
///
/// # Safety
/// As the C library's.
unsafe extern "C" fn execvpe(path: *const c_char, argv: Words, environment: Words) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        instead(path, argv, |path, argv| {
            libc::execve(path, argv, environment)
        })
        .unwrap_or_else(|| libc::execvpe(path, argv, environment))
    }
}

type Process = *mut libc::pid_t;
type Actions = *const libc::posix_spawn_file_actions_t;
type Attributes = *const libc::posix_spawnattr_t;

/// `posix_spawn` and its like.
macro_rules! spawn {
    ($name:ident) => {
        /// As the C library's.
        ///
        /// # Safety
        /// As the C library's.
        unsafe extern "C" fn $name(
            process: Process,
            path: *const c_char,
            actions: Actions,
            attributes: Attributes,
            argv: Words,
            environment: Words,
        ) -> c_int {
            let start = |path, argv: Words| {
                let (argv, environment) = (argv.cast(), environment.cast());
                // SAFETY: the caller's promise.
                unsafe { libc::$name(process, path, actions, attributes, argv, environment) }
            };
            // SAFETY: the caller's promise.
            unsafe { instead(path, argv, start) }.unwrap_or_else(|| start(path, argv))
        }
    };
}

spawn!(posix_spawn);
spawn!(posix_spawnp);

/// Arguments in registers, behind the path.
const IN_REGISTERS: usize = stand_ins::LISTED_IN_REGISTERS;

/// Arguments up to the null that ends them, and the one behind that.
///
/// # Safety
/// They lie at these two places, and there is a null; with `one_more`, something follows.
unsafe fn listed(registers: Words, stack: Words, one_more: bool) -> (Vec<*const c_char>, Words) {
    let word = |at: usize| {
        let place = match at {
            0..IN_REGISTERS => registers.wrapping_add(at),
            _ => stack.wrapping_add(at - IN_REGISTERS),
        };
        // SAFETY: the caller's promise: up to the null, and one more.
        unsafe { place.read() }
    };
    let mut words = Vec::new();
    loop {
        words.push(word(words.len()));
        if words.last().is_none_or(|word| word.is_null()) {
            break;
        }
    }
    let more = if one_more {
        word(words.len()).cast()
    } else {
        null()
    };
    (words, more)
}

/// `execl`, whose arguments are in its call: the second and those that follow in registers and on the stack.
///
/// # Safety
/// They are there, and C strings up to a null.
pub(crate) unsafe extern "C" fn start_listed(
    path: *const c_char,
    registers: Words,
    stack: Words,
) -> c_int {
    // SAFETY: called by `execl`, whose arguments end with a null.
    unsafe {
        let (words, _) = listed(registers, stack, false);
        execv(path, words.as_ptr())
    }
}

/// `execlp`, whose arguments are in its call: the second and those that follow in registers and on the stack.
///
/// # Safety
/// They are there, and C strings up to a null.
pub(crate) unsafe extern "C" fn search_listed(
    path: *const c_char,
    registers: Words,
    stack: Words,
) -> c_int {
    // SAFETY: called by `execlp`, whose arguments end with a null.
    unsafe {
        let (words, _) = listed(registers, stack, false);
        execvp(path, words.as_ptr())
    }
}

/// `execle`, whose arguments are in its call: the second and those that follow in registers and on the stack.
///
/// # Safety
/// They are there, and C strings up to a null; the environment follows.
pub(crate) unsafe extern "C" fn start_listed_in(
    path: *const c_char,
    registers: Words,
    stack: Words,
) -> c_int {
    // SAFETY: called by `execle`, whose arguments end with a null, and the environment follows.
    unsafe {
        let (words, environment) = listed(registers, stack, true);
        execve(path, words.as_ptr(), environment)
    }
}
