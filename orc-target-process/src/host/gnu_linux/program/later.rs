//! Libraries that a program opens while it runs.
//!
//! They search the process in the loader's order, where libc comes before the program, so they have
//! to be led to the program's definitions like those loaded before it, and before their
//! constructors run. So `dlopen` is [`dlopen::open_library`] for linked code, and for libraries of a program that
//! needs this. If the program that runs does, it first lets the loader load the library as what a small synthesized object needs, whose hook redirects
//! what is new; then the library is open already, and is opened in its own name.
//!
//! `dlopen` depends on its caller: a name without a slash is searched for in the directories that
//! the calling object carries. The synthesized object carries the same. Whatever goes wrong
//! before the library is loaded is left to the loader: it is called in place of our function,
//! with the caller's return address, and answers as it would have.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use orc_shared::api::ProgramImage;
use parking_lot::Mutex;

use super::redirect::Redirects;
use crate::host::arch::dlopen;
use crate::host::loader::{
    Dynamic, HookWords, Image, ImageSpec, LoadedObject, OpenImage, Scope, loaded_objects, lookup,
    tables,
};
use crate::host::race_checker::{Unwatched, set_unwatched};

/// The name whose references are led to [`dlopen::open_library`].
pub(super) const NAME: &[u8] = b"dlopen";

/// What is needed of an entered program while it runs.
#[derive(Debug)]
pub(super) struct Running {
    /// The image that stands for the program, for names to be looked up in.
    scope: Scope,
    /// The exports that are redirected, the search path, and what is called first.
    pub image: ProgramImage,
    pub redirects: Mutex<Redirects>,
    /// Whether libraries that are opened have to be led to the program.
    leads_libraries: bool,
    /// What was passed to the functions that are called first. Programs keep pointers to it, and leak
    /// checkers find it here.
    first_arguments: OnceLock<Arguments>,
}

/// Arguments as C has them.
#[derive(Debug)]
struct Arguments {
    _texts: Vec<CString>,
    /// Addresses of the texts, and a null.
    pointers: Vec<usize>,
}

static RUNNING: Mutex<Option<Arc<Running>>> = Mutex::new(None);
/// The address of the loader's own, once it is needed.
pub(crate) static LOADERS_DLOPEN: AtomicU64 = AtomicU64::new(0);

impl Running {
    /// Keeps what is needed of `image`, which the loader has at `base`.
    /// Libraries that are opened are led to it if `leads_libraries`.
    pub fn new(
        base: u64,
        image: &ProgramImage,
        redirects: Redirects,
        leads_libraries: bool,
    ) -> Arc<Self> {
        let redirected = image.exports.iter().filter(|export| export.redirect_loaded);
        Arc::new(Self {
            scope: Scope::of_object(base),
            image: ProgramImage {
                exports: redirected.cloned().collect(),
                search_path: image.search_path.clone(),
                search_path_for_all: image.search_path_for_all,
                preinit_arrays: image.preinit_arrays.clone(),
                args: image.args.clone(),
                ..ProgramImage::default()
            },
            redirects: Mutex::new(redirects),
            leads_libraries,
            first_arguments: OnceLock::new(),
        })
    }

    /// Makes libraries opened from now on use this program's definitions.
    pub fn start(self: &Arc<Self>) {
        *RUNNING.lock() = Some(Arc::clone(self));
    }

    /// Leaves libraries opened from now on to the loader, and leads all others back.
    pub fn stop(&self) {
        *RUNNING.lock() = None;
        std::mem::take(&mut *self.redirects.lock()).undo();
    }
}

/// The address of a definition that the running program shows its libraries: of this version, or the
/// default one.
pub(crate) fn definition(name: &[u8], version: Option<&[u8]>) -> Option<u64> {
    // Not under the lock: an IFUNC's resolver may run.
    let running = RUNNING.lock().clone()?;
    running.scope.find(name, version)
}

/// Where references to `dlopen` are to lead for a program, if not to the loader's: to be asked
/// before the program is entered.
pub(super) fn replacement(image: &ProgramImage) -> Option<u64> {
    let redirects = image.exports.iter().any(|export| export.redirect_loaded);
    let needed = redirects || !image.copies.is_empty() || !image.search_path.is_empty();
    // A program's own `dlopen` is its own business.
    let has_own = image.exports.iter().any(|export| export.name == NAME);
    if !needed || has_own {
        return None;
    }
    find_loaders()?;
    Some(dlopen::open_library as *const () as u64)
}

/// What linked code gets for a function of this name.
pub(crate) fn stand_in(name: &[u8]) -> Option<*const ()> {
    if name != NAME {
        return None;
    }
    find_loaders()?;
    Some(dlopen::open_library as *const ())
}

/// Finds the loader's own, before it is called.
fn find_loaders() -> Option<()> {
    if LOADERS_DLOPEN.load(Ordering::Acquire) == 0 {
        LOADERS_DLOPEN.store(lookup(c"dlopen", None)?, Ordering::Release);
    }
    Some(())
}

/// Opens a library with its references redirected. Null leaves the call to the loader.
pub(crate) extern "C" fn load(path: *const c_char, mode: c_int, caller: u64) -> *mut c_void {
    let _own_work = Unwatched::begin();
    let running = RUNNING.lock().clone();
    let Some(running) = running.filter(|it| it.leads_libraries && !path.is_null()) else {
        return std::ptr::null_mut();
    };
    // SAFETY: `dlopen` takes a C string.
    let path = unsafe { CStr::from_ptr(path) };
    let opened = AssertUnwindSafe(|| open(&running, path, mode, caller));
    let handle = catch_unwind(opened).ok().flatten();
    // The program finds no message of calls that it did not make.
    // SAFETY: forgets this thread's message.
    unsafe { libc::dlerror() };
    handle.unwrap_or_default()
}

type DlOpen = unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void;

fn open(running: &Running, path: &CStr, mode: c_int, caller: u64) -> Option<*mut c_void> {
    // SAFETY: the address of the loader's function, found before the program was entered.
    let dlopen: DlOpen =
        unsafe { std::mem::transmute(LOADERS_DLOPEN.load(Ordering::Acquire) as usize) };
    // What is not loaded is none of ours, nor are scopes of their own, nor names that the loader
    // expands for the caller (`$ORIGIN`).
    let special = libc::RTLD_NOLOAD | libc::RTLD_DEEPBIND;
    let name = path.to_str().ok()?;
    if mode & special != 0 || name.is_empty() || name.contains('$') {
        return None;
    }
    // SAFETY: with `RTLD_NOLOAD` nothing is loaded, so no code runs; the path is a C string.
    let loaded = unsafe { dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
    if !loaded.is_null() {
        // SAFETY: gives back the reference just taken.
        unsafe { libc::dlclose(loaded) };
        return None;
    }
    running.redirects.lock().forget_unloaded();
    let context = std::ptr::from_ref(running).expose_provenance() as u64;
    let image = Image::new(&ImageSpec {
        needed: &[name.to_owned()],
        search_path: &directories_of(caller, running),
        hook: Some(HookWords {
            context,
            hook: redirect as *const () as u64,
            signal_error: 0,
            object_name: 0,
            jump: 0,
            preinit: 0,
        }),
        ..ImageSpec::default()
    });
    let flags = mode & (libc::RTLD_LAZY | libc::RTLD_NOW | libc::RTLD_GLOBAL);
    // SAFETY: the context outlives the call; the program asks for the library's constructors.
    let helper = unsafe { OpenImage::open(&image.ok()?.bytes, flags) }.ok()?;
    // The loader knows the library by the name that the helper needed it by.
    // SAFETY: the program has asked for this call of `dlopen`, with this path and mode.
    let handle = unsafe { dlopen(path.as_ptr(), mode) };
    helper.close();
    (!handle.is_null()).then_some(handle)
}

/// Calls what the program has in `.preinit_array`. The loader calls this before the constructors of
/// the program's libraries; the arguments that it passes are the host's.
pub(super) extern "C" fn run_preinit_arrays(
    _argc: c_int,
    _argv: *const *const c_char,
    environment: *const *const c_char,
) {
    type Function = extern "C" fn(c_int, *const *const c_char, *const *const c_char);
    let Some(running) = RUNNING.lock().clone() else {
        return;
    };
    let arguments = running.first_arguments.get_or_init(|| {
        let args = running.image.args.iter();
        let texts = args.filter_map(|arg| CString::new(arg.as_slice()).ok());
        let texts: Vec<CString> = texts.collect();
        let addresses = texts.iter().map(|text| text.as_ptr().expose_provenance());
        Arguments {
            pointers: addresses.chain([0]).collect(),
            _texts: texts,
        }
    });
    let argc = c_int::try_from(arguments.pointers.len() - 1).unwrap_or(c_int::MAX);
    let argv: *const *const c_char = arguments.pointers.as_ptr().cast();
    for array in &running.image.preinit_arrays {
        for entry in (array.start.value()..array.end.value()).step_by(size_of::<usize>()) {
            // SAFETY: the array is part of the program's memory, which is final.
            let function: usize = unsafe { tables::read(entry) };
            // A linker leaves entries of these values to mean nothing.
            if function == 0 || function == usize::MAX {
                continue;
            }
            // SAFETY: the program's array holds functions of this type (gABI, initialization).
            let function: Function = unsafe { std::mem::transmute(function) };
            function(argc, argv, environment);
        }
    }
}

/// The helper's hook.
extern "C" fn redirect(running: *const Running, _base: u64) -> *const c_char {
    // SAFETY: `open` holds the reference while the loader runs.
    let running = unsafe { &*running };
    // On failure the library works with libc's definitions, which it would do without us.
    let extend = AssertUnwindSafe(|| running.redirects.lock().extend(&running.image));
    let _ignored = catch_unwind(extend);
    // The library's constructors run next.
    set_unwatched(false);
    std::ptr::null()
}

/// The directories that the loader searches for a name that code at `caller` gives it: those of the
/// calling library, else the program's.
fn directories_of(caller: u64, running: &Running) -> Vec<String> {
    let objects = loaded_objects();
    let calling = objects
        .iter()
        .find(|object| object.range().contains(&caller));
    match calling {
        Some(object) if !object.is_executable && !object.is_synthesized() => {
            library_directories(object).unwrap_or_default()
        }
        _ => running.image.search_path.clone(),
    }
}

fn library_directories(object: &LoadedObject) -> Option<Vec<String>> {
    let dynamic = Dynamic::of(object)?;
    let list = std::str::from_utf8(dynamic.search_path()?).ok()?;
    let file = Path::new(std::ffi::OsStr::from_bytes(&object.name));
    let origin = file.parent()?.to_str()?;
    let expand = |directory: &str| {
        directory
            .replace("${ORIGIN}", origin)
            .replace("$ORIGIN", origin)
    };
    Some(list.split(':').map(expand).collect())
}
