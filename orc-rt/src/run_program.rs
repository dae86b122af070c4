//! Runs a JIT'd program: what the C library's start-up code and the loader do around `main`.

use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ffi::{CStr, c_char, c_int, c_void};

use orc_shared::ExecutorAddr;

use crate::call::wrapper_functions;
use crate::loader::{self, Loader};
use crate::registry::{self, Arguments, Outcome};
use crate::{dlfcn, host, log, own_c_library, thread_exit};

impl Arguments {
    /// A command line made of these strings, which are bytes and need not be text. It lives as long as the process: programs keep pointers
    /// to it, and exit handlers use them. The environment and the auxiliary vector follow it, as the
    /// kernel lays them out (psABI, process initialization): Go's runtime looks for them there.
    ///
    /// # Errors
    /// When a string contains a NUL.
    pub fn leak(strings: &[Vec<u8>]) -> Outcome<Self> {
        let mut argv: Vec<*mut c_char> = Vec::with_capacity(strings.len() + 1);
        for string in strings {
            let string = CString::new(string.as_slice()).map_err(|_| {
                let string = String::from_utf8_lossy(string);
                format!("argument '{string}' contains a NUL")
            })?;
            argv.push(string.into_raw());
        }
        let argc = c_int::try_from(argv.len()).map_err(|_| "too many arguments".to_string())?;
        argv.push(core::ptr::null_mut());
        // SAFETY: the process's environment ends with a null pointer.
        argv.extend(unsafe { host::entries(host::environment()) });
        argv.push(core::ptr::null_mut());
        argv.extend(
            host::auxiliary_vector()
                .into_iter()
                .map(core::ptr::without_provenance_mut),
        );
        let argv = Box::leak(argv.into_boxed_slice()).as_mut_ptr();
        Ok(Self { argc, argv })
    }
}

/// What a program is made of, all linked and registered.
pub struct Program {
    /// Header of its dylib.
    pub header: ExecutorAddr,
    /// Dylibs it depends on, in the order they are to be initialized.
    pub libraries: Vec<ExecutorAddr>,
    /// Its `main`.
    pub entry: ExecutorAddr,
    /// What `main` and the initializers are passed.
    pub arguments: Arguments,
    /// What the entry is.
    pub start: Start,
}

/// What the entry of a program is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Its `main`.
    Main,
    /// Where a process starts (`_start`): what start-up code does is then its own task.
    Process,
    /// The same, of a program that brings a C library of its own, for which the process's is none.
    OwnCLibrary,
}

impl Start {
    /// What a controller says by a number.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn from_number(number: u8) -> Outcome<Self> {
        match number {
            0 => Ok(Self::Main),
            1 => Ok(Self::Process),
            2 => Ok(Self::OwnCLibrary),
            other => Err(format!("a program has no start of kind {other}")),
        }
    }
}

/// Runs a program as if it were this process's: initializers of its libraries, its own, `main`.
/// Then, if `then_exit`, the process's `exit`, which does not return. Else what `exit` would do for
/// the program: the thread-local destructors of this thread, exit handlers newest first, finalizers;
/// then `main`'s result is returned.
///
/// A call of `exit` from within the program ends the process in that same order. That is why the
/// handler for finalizers is registered before anything of the program runs, and after whatever the
/// process's libraries registered.
///
/// # Errors
/// When a dylib is not registered.
///
/// # Safety
/// The program may be run on this thread.
pub unsafe fn run_main(program: &Program, then_exit: bool) -> Outcome<i64> {
    let since = begin(program.header, program.arguments)?;
    // The client may have opened some already, and go on using them.
    let mut opened = Vec::new();
    for &library in &program.libraries {
        if loader::open_linked(library)? {
            opened.push(library);
        }
    }
    if program.start == Start::Main {
        loader::finalize_at_exit()?;
        host::forget_errors();
        loader::open_linked(program.header)?;
    }
    if program.start == Start::OwnCLibrary {
        own_c_library::hand_over(&program.arguments, program.entry)?;
    }
    // SAFETY: the caller vouches for the program.
    let status = unsafe { loader::call_as_main(program.entry, program.arguments) };
    if then_exit {
        // SAFETY: `exit` may be called from anywhere.
        unsafe { libc::exit(status) }
    }
    // SAFETY: the program's code is still there, and `main` has ended.
    unsafe { thread_exit::run_for_current_thread(since, program.header) };
    loader::close(program.header)?;
    for library in opened.into_iter().rev() {
        loader::close(library)?;
    }
    end(program.header);
    Ok(i64::from(status))
}

/// What a program's own `_start` calls where start-up files of the C library do: its initializers, then
/// `main`, then `exit`. The C library's function of this name would take the process's executable for
/// the program. Initializers and finalizers that old start-up files pass are among the program's.
///
/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_elfnix_libc_start_main(
    main: *mut c_void,
    argc: c_int,
    argv: *mut *mut c_char,
) -> c_int {
    let header = registry::lock().program;
    let started = header
        .ok_or_else(|| "no program runs".to_string())
        .and_then(|header| {
            loader::finalize_at_exit()?;
            host::forget_errors();
            loader::open_linked(header)
        });
    if let Err(message) = started {
        log::error(&message);
        // SAFETY: `exit` may be called from anywhere.
        unsafe { libc::exit(127) }
    }
    let arguments = Arguments { argc, argv };
    // SAFETY: the program calls this once, to run its `main`.
    unsafe {
        libc::exit(loader::call_as_main(
            ExecutorAddr::new(main as u64),
            arguments,
        ))
    }
}

/// Runs a program that the controller still has to link, by the names of its dylib and its entry
/// point: `dlopen`, `dlsym`, a call, `dlclose`.
///
/// # Errors
/// When the dylib or the entry point is missing or cannot be linked.
///
/// # Safety
/// The program may be run on this thread.
pub unsafe fn run_by_name(name: &str, entry: &str, arguments: Arguments) -> Outcome<i64> {
    let header = registry::lock().header_of(name)?;
    let since = begin(header, arguments)?;
    loader::finalize_at_exit()?;
    // SAFETY: the caller vouches for the program.
    let ran = unsafe { open_run_close(name, header, entry, arguments, since) };
    end(header);
    ran
}

/// # Safety
/// The program may be run on this thread.
unsafe fn open_run_close(
    name: &str,
    header: ExecutorAddr,
    entry: &str,
    arguments: Arguments,
    since: u64,
) -> Outcome<i64> {
    // While the program runs, it and its threads open dylibs themselves.
    Loader::acquire().open_by_name(name)?;
    let ran = dlfcn::lookup(header, entry).map(|main| {
        host::forget_errors();
        // SAFETY: the caller vouches for the program.
        unsafe { loader::call_as_main(main, arguments) }
    });
    // SAFETY: the program's code is still there, and `main` has ended.
    unsafe { thread_exit::run_for_current_thread(since, header) };
    Loader::acquire().release(header)?;
    ran.map(i64::from)
}

/// Makes a dylib the program. Returns the registry's sequence number from before.
fn begin(header: ExecutorAddr, arguments: Arguments) -> Outcome<u64> {
    let mut registry = registry::lock();
    registry.dylib(header)?;
    registry.program = Some(header);
    registry.arguments = Some(arguments);
    Ok(registry.last_sequence())
}

fn end(header: ExecutorAddr) {
    let mut registry = registry::lock();
    if registry.program == Some(header) {
        registry.program = None;
    }
}

/// What [`run_by_name`] returns where only a number can be: −1 stands for an error, which is printed.
fn status_or_log(name: &str, ran: Outcome<i64>) -> i64 {
    ran.unwrap_or_else(|message| {
        log::error(&format!("cannot run '{name}': {message}"));
        -1
    })
}

/// Runs the program `entry` of the dylib `name`.
///
/// # Safety
/// The strings are C strings, `argv` has `argc` of them and a null; the program may be run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_elfnix_run_program(
    name: *const c_char,
    entry: *const c_char,
    argc: c_int,
    argv: *mut *mut c_char,
) -> i64 {
    // SAFETY: the caller passes C strings.
    let (name, entry) = unsafe { (CStr::from_ptr(name), CStr::from_ptr(entry)) };
    let (name, entry) = (name.to_string_lossy(), entry.to_string_lossy());
    // SAFETY: the caller vouches for the program.
    let ran = unsafe { run_by_name(&name, &entry, Arguments { argc, argv }) };
    status_or_log(&name, ran)
}

wrapper_functions! {
    /// `i64(String dylib, String entry, Seq<String> args)`. Without arguments, the program's
    /// `argv[0]` is the dylib's name, as a program always has one.
    fn __orc_rt_run_program_wrapper(name: String, entry: String, args: Vec<Vec<u8>>) => plain {
        let args = if args.is_empty() { Vec::from([name.clone().into_bytes()]) } else { args };
        let ran = Arguments::leak(&args).and_then(|arguments| {
            // SAFETY: the controller asks for the program to be run.
            unsafe { run_by_name(&name, &entry, arguments) }
        });
        status_or_log(&name, ran)
    }
}
