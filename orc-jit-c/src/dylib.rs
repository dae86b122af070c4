//! Dylibs, and parts of them that can be removed.

use std::ffi::{c_char, c_int, c_void};

use orc_jit::{Dylib, ExecutorAddr, Jit, Tracker};

use super::error::{Failure, OrcJitError, answer, answer_with, free, handle};
use super::jit::OrcJit;
use super::text::{path, text};

/// A dylib: what is added to it can see each other, then the process's libraries.
pub struct OrcJitDylib {
    pub(crate) dylib: Dylib,
    pub(crate) jit: Jit,
}

/// A part of a dylib that can be removed as one.
pub struct OrcJitTracker(Tracker);

/// Makes a dylib. The name is for messages, and for `dlopen` within linked code.
///
/// # Safety
/// `jit` is a JIT of this interface that is not freed; `name` is a text; `dylib` can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_dylib_new(
    jit: *const OrcJit,
    name: *const c_char,
    dylib: *mut *mut OrcJitDylib,
) -> *mut OrcJitError {
    let make = || {
        // SAFETY: the caller's promise.
        let (jit, name) = unsafe { (handle(jit, "JIT")?, text(name, "name")?) };
        let dylib = jit.0.dylib(name)?;
        let jit = jit.0.clone();
        Ok(OrcJitDylib { dylib, jit })
    };
    // SAFETY: the caller's promise.
    unsafe { answer_with(dylib, make) }
}

/// Lets a dylib see another one's definitions, after all that it sees now. The other one's constructors run first.
///
/// # Safety
/// Both are dylibs of this interface that are not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_dylib_link_with(
    dylib: *const OrcJitDylib,
    other: *const OrcJitDylib,
) -> *mut OrcJitError {
    answer(|| {
        // SAFETY: the caller's promise.
        let (dylib, other) = unsafe { (handle(dylib, "dylib")?, handle(other, "other dylib")?) };
        Ok(dylib.dylib.link_with(&other.dylib)?)
    })
}

/// Links what was added and has initializers, and runs those that have not run. A lookup does that, too.
///
/// # Safety
/// `dylib` is a dylib of this interface that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_dylib_initialize(dylib: *const OrcJitDylib) -> *mut OrcJitError {
    // SAFETY: the caller's promise.
    answer(|| Ok(unsafe { handle(dylib, "dylib") }?.dylib.initialize()?))
}

/// Runs the dylib as a program: constructors, `main` with these arguments (the program's name is the first), exit handlers,
/// destructors. Stores what `main` returns. A process has one program.
///
/// # Safety
/// `dylib` is a dylib of this interface that is not freed; `argv` has `argc` texts; `status` can be written to. The
/// program is as safe as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_dylib_run_main(
    dylib: *const OrcJitDylib,
    argc: c_int,
    argv: *const *const c_char,
    status: *mut c_int,
) -> *mut OrcJitError {
    answer(|| {
        // SAFETY: the caller's promise.
        let dylib = unsafe { handle(dylib, "dylib") }?;
        if status.is_null() || (argv.is_null() && argc > 0) {
            return Err("the arguments, or the place for the result, are NULL".into());
        }
        // SAFETY: the caller's promise: there are so many.
        let argument = |at| unsafe { text(*argv.add(at), "argument") };
        let arguments = (0..usize::try_from(argc).unwrap_or(0)).map(argument);
        let arguments: Vec<&str> = arguments.collect::<Result<_, Failure>>()?;
        let result = dylib.dylib.run_main(arguments)?;
        // SAFETY: not null, and the caller vouches for the rest.
        unsafe { status.write(result) };
        Ok(())
    })
}

/// Closes the dylib: its exit handlers and destructors run, and its code goes when nobody uses it any more. Nothing
/// can be added to it or found in it then.
///
/// # Safety
/// `dylib` is a dylib of this interface that is not freed, and its code does not run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_dylib_close(dylib: *const OrcJitDylib) -> *mut OrcJitError {
    answer(|| {
        // SAFETY: the caller's promise.
        unsafe { handle(dylib, "dylib") }?.dylib.close()?;
        Ok(())
    })
}

/// Frees the handle. The dylib stays as long as its JIT, unless it is closed. NULL is allowed.
///
/// # Safety
/// `dylib` is NULL or a dylib of this interface, and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_dylib_free(dylib: *mut OrcJitDylib) {
    // SAFETY: the caller's promise.
    unsafe { free(dylib) }
}

/// Makes a tracker: what is added through it can be removed as one.
///
/// # Safety
/// `dylib` is a dylib of this interface that is not freed; `tracker` can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_tracker_new(
    dylib: *const OrcJitDylib,
    tracker: *mut *mut OrcJitTracker,
) -> *mut OrcJitError {
    let make = || {
        // SAFETY: the caller's promise.
        let dylib = unsafe { handle(dylib, "dylib") }?;
        Ok(OrcJitTracker(dylib.dylib.tracker()))
    };
    // SAFETY: the caller's promise.
    unsafe { answer_with(tracker, make) }
}

/// Removes what was added through the tracker. Its memory is given back when the last symbol of it is freed.
///
/// # Safety
/// `tracker` is a tracker of this interface that is not freed. Its code does not run, unless a symbol of it is kept.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_tracker_remove(tracker: *const OrcJitTracker) -> *mut OrcJitError {
    answer(|| {
        // SAFETY: the caller's promise.
        unsafe { handle(tracker, "tracker") }?.0.remove()?;
        Ok(())
    })
}

/// Frees the handle; removes nothing. NULL is allowed.
///
/// # Safety
/// `tracker` is NULL or a tracker of this interface, and is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_tracker_free(tracker: *mut OrcJitTracker) {
    // SAFETY: the caller's promise.
    unsafe { free(tracker) }
}

/// Adds to a tracker, or to the dylib itself if there is none.
///
/// # Safety
/// `dylib` is null or a dylib of this interface, `tracker` null or one of its trackers; neither is freed.
unsafe fn add(
    dylib: *const OrcJitDylib,
    tracker: *const OrcJitTracker,
    act: impl FnOnce(&Tracker) -> Result<(), Failure>,
) -> *mut OrcJitError {
    answer(|| {
        // SAFETY: the caller's promise.
        let (dylib, tracker) = unsafe { (handle(dylib, "dylib")?, tracker.as_ref()) };
        act(tracker.map_or(&dylib.dylib, |tracker| &tracker.0))
    })
}

/// Adds an object file. It is linked when something needs it. `tracker` may be NULL: then it stays as long as the dylib.
///
/// # Safety
/// `dylib` is a dylib of this interface, `tracker` NULL or one of its trackers, neither is freed; `file` is a path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_dylib_add_object_file(
    dylib: *const OrcJitDylib,
    tracker: *const OrcJitTracker,
    file: *const c_char,
) -> *mut OrcJitError {
    // SAFETY: the caller's promise.
    unsafe { add(dylib, tracker, |to| Ok(to.add_object_file(path(file)?)?)) }
}

/// Adds an object in memory, which is copied. The name is for messages. `tracker` may be NULL.
///
/// # Safety
/// `dylib` is a dylib of this interface, `tracker` NULL or one of its trackers, neither is freed; `name` is a text;
/// there are `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_dylib_add_object(
    dylib: *const OrcJitDylib,
    tracker: *const OrcJitTracker,
    name: *const c_char,
    bytes: *const c_void,
    size: usize,
) -> *mut OrcJitError {
    let act = |to: &Tracker| {
        if bytes.is_null() {
            return Err("the object is NULL".into());
        }
        // SAFETY: the caller's promise.
        let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), size) };
        // SAFETY: the caller's promise.
        Ok(to.add_object_bytes(unsafe { text(name, "name") }?, bytes)?)
    };
    // SAFETY: the caller's promise.
    unsafe { add(dylib, tracker, act) }
}

/// Adds a static archive: its members are linked by need. `tracker` may be NULL.
///
/// # Safety
/// `dylib` is a dylib of this interface, `tracker` NULL or one of its trackers, neither is freed; `file` is a path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_dylib_add_archive(
    dylib: *const OrcJitDylib,
    tracker: *const OrcJitTracker,
    file: *const c_char,
) -> *mut OrcJitError {
    // SAFETY: the caller's promise.
    unsafe { add(dylib, tracker, |to| Ok(to.add_archive(path(file)?)?)) }
}

/// Adds a static archive with all its members. `tracker` may be NULL.
///
/// # Safety
/// `dylib` is a dylib of this interface, `tracker` NULL or one of its trackers, neither is freed; `file` is a path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_dylib_add_whole_archive(
    dylib: *const OrcJitDylib,
    tracker: *const OrcJitTracker,
    file: *const c_char,
) -> *mut OrcJitError {
    // SAFETY: the caller's promise.
    unsafe { add(dylib, tracker, |to| Ok(to.add_whole_archive(path(file)?)?)) }
}

/// Adds a library by its name, as `-lNAME` does. `tracker` may be NULL.
///
/// # Safety
/// `dylib` is a dylib of this interface, `tracker` NULL or one of its trackers, neither is freed; `name` is a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_dylib_add_library(
    dylib: *const OrcJitDylib,
    tracker: *const OrcJitTracker,
    name: *const c_char,
) -> *mut OrcJitError {
    // SAFETY: the caller's promise.
    unsafe {
        add(
            dylib,
            tracker,
            |to| Ok(to.add_library(text(name, "name")?)?),
        )
    }
}

/// Adds a shared library, and loads it. `tracker` may be NULL.
///
/// # Safety
/// `dylib` is a dylib of this interface, `tracker` NULL or one of its trackers, neither is freed; `file` is a path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_dylib_add_shared_library(
    dylib: *const OrcJitDylib,
    tracker: *const OrcJitTracker,
    file: *const c_char,
) -> *mut OrcJitError {
    // SAFETY: the caller's promise.
    unsafe { add(dylib, tracker, |to| Ok(to.add_shared_library(path(file)?)?)) }
}

/// Defines a name as an address: of a function or a variable of this program that linked code may use. (If the code runs in
/// another process: an address there.) `tracker` may be NULL.
///
/// # Safety
/// `dylib` is a dylib of this interface, `tracker` NULL or one of its trackers, neither is freed; `name` is a text.
/// What linked code does with what is there is right.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_dylib_define(
    dylib: *const OrcJitDylib,
    tracker: *const OrcJitTracker,
    name: *const c_char,
    address: *const c_void,
) -> *mut OrcJitError {
    let act = |to: &Tracker| {
        let addr = ExecutorAddr::new(address.expose_provenance() as u64);
        // SAFETY: the caller's promise.
        Ok(unsafe { to.define_absolute(&[(text(name, "name")?, addr)]) }?)
    };
    // SAFETY: the caller's promise.
    unsafe { add(dylib, tracker, act) }
}
