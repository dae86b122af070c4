//! Functions of the process's C library, found by name at run time.
//!
//! The runtime cannot refer to `__cxa_atexit` and its relatives directly: a platform may define these
//! names for JIT'd code, in the dylib that the runtime itself is linked in, and have them lead to the
//! runtime. So they are taken from the C library's own handle.

use alloc::vec::Vec;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::num::NonZeroUsize;
use core::ptr::NonNull;

use once_cell::race::OnceNonZeroUsize;

use crate::addr;
use orc_shared::ExecutorAddr;

/// A handler with its argument, as `__cxa_atexit` takes it.
pub type ExitFunction = unsafe extern "C" fn(*mut c_void);

/// A handler of `fork`.
pub type ForkFunction = unsafe extern "C" fn();

/// The program's environment, in the form initializers and `main` get it.
pub type Environment = *mut *mut c_char;

/// One function, looked up once.
struct HostFunction {
    name: &'static CStr,
    /// Its address, or 1 if it is absent. Two threads may ask at once; both get the same answer.
    addr: OnceNonZeroUsize,
}

const ABSENT: NonZeroUsize = NonZeroUsize::MIN;

impl HostFunction {
    const fn new(name: &'static CStr) -> Self {
        Self {
            name,
            addr: OnceNonZeroUsize::new(),
        }
    }

    fn get(&self) -> Option<ExecutorAddr> {
        let ask = || NonZeroUsize::new(find_in_libc(self.name)).unwrap_or(ABSENT);
        let found = self.addr.get_or_init(ask);
        (found != ABSENT).then_some(ExecutorAddr::new(found.get() as u64))
    }
}

static CXA_ATEXIT: HostFunction = HostFunction::new(c"__cxa_atexit");
static CXA_FINALIZE: HostFunction = HostFunction::new(c"__cxa_finalize");
static CXA_THREAD_ATEXIT: HostFunction = HostFunction::new(c"__cxa_thread_atexit_impl");
static TLS_GET_ADDR: HostFunction = HostFunction::new(c"__tls_get_addr");
static REGISTER_ATFORK: HostFunction = HostFunction::new(c"__register_atfork");

/// The address of a C library function, or 0.
fn find_in_libc(name: &CStr) -> usize {
    // SAFETY: both strings are C strings. With `RTLD_NOLOAD` nothing is loaded, and the C library,
    // which is never unloaded, does not mind its count going up.
    unsafe {
        let libc = libc::dlopen(c"libc.so.6".as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD);
        let handle = if libc.is_null() {
            libc::RTLD_DEFAULT
        } else {
            libc
        };
        libc::dlsym(handle, name.as_ptr()).addr()
    }
}

/// Where the calling thread has the thread-locals of a loaded object, by the loader's number of it.
///
/// # Errors
/// When the loader does not tell.
pub fn thread_locals_of(module: usize) -> Result<u64, &'static str> {
    type TlsGetAddr = unsafe extern "C" fn(*const [usize; 2]) -> *mut c_void;
    let addr = TLS_GET_ADDR
        .get()
        .ok_or("the loader has no __tls_get_addr")?;
    let start = [module, 0];
    // SAFETY: this is the function's type, and the number is one of the loader's, which the caller has read in its list.
    let block = unsafe { addr::to_function::<TlsGetAddr>(addr)(&raw const start) };
    Ok(block.addr() as u64)
}

/// `__cxa_atexit`: has `function(argument)` called at exit, or by [`cxa_finalize`] for `dso`.
///
/// # Errors
/// When the C library has no such function or no memory.
pub fn cxa_atexit(
    function: ExitFunction,
    argument: *mut c_void,
    dso: ExecutorAddr,
) -> Result<(), &'static str> {
    type CxaAtExit = unsafe extern "C" fn(ExitFunction, *mut c_void, *mut c_void) -> c_int;
    let addr = CXA_ATEXIT
        .get()
        .ok_or("the C library has no __cxa_atexit")?;
    // SAFETY: this is the function's type in the Itanium C++ ABI; `dso` is only compared.
    let status =
        unsafe { addr::to_function::<CxaAtExit>(addr)(function, argument, addr::to_ptr(dso)) };
    if status == 0 {
        Ok(())
    } else {
        Err("no memory for an exit handler")
    }
}

/// `__cxa_finalize`: calls and forgets the exit handlers of `dso`, newest first, and forgets its
/// handlers of `fork`.
///
/// # Safety
/// The handlers registered for `dso` may be called now.
pub unsafe fn cxa_finalize(dso: ExecutorAddr) {
    type CxaFinalize = unsafe extern "C" fn(*mut c_void);
    // With null, it would run the handlers of the whole process.
    if dso.is_null() {
        return;
    }
    if let Some(addr) = CXA_FINALIZE.get() {
        // SAFETY: this is the function's type in the Itanium C++ ABI.
        unsafe { addr::to_function::<CxaFinalize>(addr)(addr::to_ptr(dso)) }
    }
}

/// Has `function(argument)` called when the calling thread ends, newest first, in one order with the
/// thread-local destructors of everything else in the process.
///
/// # Errors
/// When the C library has no such function or no memory.
pub fn cxa_thread_atexit(
    function: ExitFunction,
    argument: *mut c_void,
) -> Result<(), &'static str> {
    type CxaThreadAtExit = unsafe extern "C" fn(ExitFunction, *mut c_void, *mut c_void) -> c_int;
    let addr = CXA_THREAD_ATEXIT
        .get()
        .ok_or("the C library has no __cxa_thread_atexit_impl")?;
    // The last argument is an address in the library that must stay loaded until then. The
    // function's own (the thunk's) is in none, which stands for the executable. Null is no way to
    // say so: glibc 2.36 takes it for the library it was last told of, and there may be none.
    let dso = (function as *const c_void).cast_mut();
    // SAFETY: this is the function's type in glibc.
    let status = unsafe { addr::to_function::<CxaThreadAtExit>(addr)(function, argument, dso) };
    if status == 0 {
        Ok(())
    } else {
        Err("no memory for a thread-local destructor")
    }
}

/// Has handlers called around `fork`, until [`cxa_finalize`] for `dso`.
pub fn register_atfork(
    prepare: ForkFunction,
    parent: ForkFunction,
    child: ForkFunction,
    dso: ExecutorAddr,
) {
    type RegisterAtFork =
        unsafe extern "C" fn(ForkFunction, ForkFunction, ForkFunction, *mut c_void) -> c_int;
    if let Some(addr) = REGISTER_ATFORK.get() {
        // SAFETY: this is the function's type in glibc; `dso` is only compared.
        unsafe {
            addr::to_function::<RegisterAtFork>(addr)(prepare, parent, child, addr::to_ptr(dso));
        }
    }
}

/// Leaves no trace of calls that failed for us: a program starts with `errno` zero (C, 7.5), and `dlerror`
/// has nothing to tell.
pub fn forget_errors() {
    // SAFETY: forgets this thread's message; the place of `errno` is this thread's.
    unsafe {
        libc::dlerror();
        *libc::__errno_location() = 0;
    }
}

/// The entries of an environment, without the null pointer that ends it.
///
/// # Safety
/// `environment` is null, or leads to pointers that end with a null pointer.
pub unsafe fn entries(environment: Environment) -> Vec<*mut c_char> {
    let mut entries = Vec::new();
    if !environment.is_null() {
        // SAFETY: what is read lies before the end, or is the end.
        while let Some(entry) = NonNull::new(unsafe { environment.add(entries.len()).read() }) {
            entries.push(entry.as_ptr());
        }
    }
    entries
}

/// What the kernel told the process about itself: pairs of a kind and a value, the last of which is
/// of kind 0. Nothing but that pair where the system does not show it.
pub fn auxiliary_vector() -> Vec<usize> {
    let mut words = Vec::new();
    // More than there are, so that one call reads them all.
    let mut some = [0usize; 128];
    // SAFETY: the path is a C string; what is read fits the array.
    unsafe {
        let file = libc::open(
            c"/proc/self/auxv".as_ptr(),
            libc::O_RDONLY | libc::O_CLOEXEC,
        );
        while let Ok(bytes @ 1..) = usize::try_from(libc::read(
            file,
            some.as_mut_ptr().cast(),
            size_of_val(&some),
        )) {
            words.extend_from_slice(&some[..bytes / size_of::<usize>()]);
        }
        if file >= 0 {
            libc::close(file);
        }
    }
    if words.last_chunk() != Some(&[0, 0]) {
        words.extend([0, 0]);
    }
    words
}

/// The environment now. It is asked for by name each time, as a program may have its own copy of the
/// variable that holds it, and as `setenv` may move it.
pub fn environment() -> Environment {
    // SAFETY: the name is a C string; `environ`, where it exists, is a variable of this type.
    unsafe {
        let variable: *mut Environment =
            libc::dlsym(libc::RTLD_DEFAULT, c"environ".as_ptr()).cast();
        if variable.is_null() {
            core::ptr::null_mut()
        } else {
            variable.read()
        }
    }
}
