//! Entering a program into the process as a shared object.
//!
//! A linked program and its libraries bind to each other while the loader starts them: the program
//! takes `printf` from libc, and libstdc++ takes `operator new` from the program if it defines
//! one. Programs made of objects in memory get the same from the same loader. A small shared object
//! stands for the program (`host::loader::image`), with
//!
//! - the program's libraries as `DT_NEEDED`, so the loader finds and loads them;
//! - what the program defines as absolute symbols. The image comes before its libraries in their
//!   search order, so they bind to it, functions and variables alike;
//! - what the program takes from its libraries as undefined symbols, with versions, and ordinary
//!   relocations into a table;
//! - one `IRELATIVE` relocation, whose function is our hook.
//!
//! The order in which glibc loads it all is what makes this work (checked with 2.36):
//!
//! 1. All libraries are mapped. A missing one, or a missing version, ends `dlopen` here.
//! 2. Libraries are relocated, dependencies first, the image last. A missing symbol ends `dlopen`, but for
//!    functions that libraries look up when they call them.
//! 3. The image's `IRELATIVE` relocation comes after its others: the table is filled, every library
//!    is relocated, no constructor of theirs has run. The hook copies what the program has copies of
//!    (`copies`), lets the caller complete the program's memory (`relocated`), and leads
//!    libraries loaded earlier to the program's definitions (`redirect`).
//! 4. What the program has in `.preinit_array` runs: the image says, as executables do, that it
//!    comes first. Then constructors run, and may call the program.
//!
//! If the hook fails it makes the loader fail as step 2 can: what was loaded is unloaded, and no
//! constructor runs. Not undone are a library's claim on static TLS space, and what was
//! written into the program's own memory.
//!
//! **Names that are exported and imported.** A program whose code refers to a library's function by
//! 32-bit address needs a stub of its own for it, which libraries must take for the function
//! (pointers compare equal), and that stub must reach the library's. The loader would bind such an
//! import to the image itself; so it is bound here, to the first other definition in the loader's
//! order (`host::loader::scope`).
//!
//! **Libraries loaded before.** The search order is: the executable and its libraries, what was
//! opened `RTLD_GLOBAL` before, the image, its libraries. So what libc defines, libc wins, although
//! the program comes first when it is linked. Exports marked `redirect_loaded` are written into the
//! slots of every library, those loaded with the image included, and those that the program opens
//! later (`later`).
//!
//! **Thread-locals** of the program that its libraries refer to are defined by an object of their own
//! (`thread_locals`).

mod allocator;
mod copies;
mod hook;
pub(crate) mod later;
mod redirect;
mod thread_locals;

use std::collections::HashSet;
use std::ffi::c_int;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::host::MemoryError;
use crate::host::loader::{Image, ImageError, ImageSpec, LoaderError, OpenImage};
use crate::host::race_checker::Unwatched;
use crate::host::thread_locals::{Reserve, SETTING};
use hook::Hook;
use later::Running;
pub(crate) use later::definition;
use orc_shared::api::{Export, ImportKind, ImportValue, NativeKind, ProgramImage};
use redirect::RedirectError;

/// Why a program could not be entered.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The loader's own message: a missing library, version or symbol.
    #[error("{0}")]
    Loader(String),
    /// The program's memory could not be completed.
    #[error("{0}")]
    Relocated(String),
    /// Another program is entered; its exports are in the way.
    #[error(
        "this process is another program already, whether that runs or has returned: its symbols \
         would mix with this one's; remove what was linked for it, or run this one in an executor of \
         its own"
    )]
    AlreadyOpen,
    /// The loader's object could not be made.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// It could not be handed to the loader.
    #[error("cannot enter the program into the process: {0}")]
    System(#[from] io::Error),
    /// A library is not loaded although the program needs its data.
    #[error(
        "cannot copy `{symbol}` into the program: the library {library} that defines it is not \
         loaded"
    )]
    CopySource {
        /// The copied symbol.
        symbol: String,
        /// The library.
        library: String,
    },
    /// An import that only another library could define is missing.
    #[error("undefined symbol: {0}: the program exports this name, but no library defines it")]
    Undefined(String),
    /// A constant of a library could not be copied.
    #[error("cannot copy a library's constants into the program: {0}")]
    Constants(#[from] MemoryError),
    /// Loaded libraries could not be led to the program's definitions.
    #[error(transparent)]
    Redirect(#[from] RedirectError),
    /// The loader did not do what glibc does.
    #[error(
        "internal error: the loader opened the program's image without calling its IRELATIVE \
         function, which is how glibc behaves; this C library is not supported"
    )]
    HookNotCalled,
    /// The caller's code panicked in the hook.
    #[error("internal error: completing the program panicked")]
    Panicked,
}

impl From<LoaderError> for ProgramError {
    fn from(error: LoaderError) -> Self {
        match error {
            LoaderError::Loader(message) => Self::Loader(without_image_name(&message)),
            LoaderError::File(error) => Self::System(error),
        }
    }
}

/// The loader begins some messages with the file name of the object at fault. For the image it
/// tells nobody anything.
fn without_image_name(message: &str) -> String {
    let own = format!("/proc/{}/fd/", std::process::id());
    match message
        .strip_prefix(&own)
        .and_then(|rest| rest.split_once(": "))
    {
        Some((_number, rest)) => rest.to_owned(),
        None => message.to_owned(),
    }
}

/// A program that is entered into the process, with its libraries.
///
/// Dropping it leaves it there for the rest of the process, as libraries may hold pointers into it.
#[derive(Debug)]
pub struct OpenProgram {
    image: Option<OpenImage>,
    thread_locals: Option<OpenImage>,
    running: Arc<Running>,
}

/// When libraries look up the functions that they call: as with a linked program, at the first call. What
/// such a program is linked with (`-z now`) holds for itself alone; a library, and the environment, may
/// say otherwise, to the loader.
const BINDING: c_int = libc::RTLD_LAZY;

static ENTERED: AtomicBool = AtomicBool::new(false);
static ENTERING: AtomicBool = AtomicBool::new(false);

/// Whether the loader is at work on a program: it has loaded its libraries, but not all that asks for
/// them finds them yet.
pub(crate) fn is_entering() -> bool {
    ENTERING.load(Ordering::Acquire)
}

/// Enters a program. `relocated` is called once, on this thread, with the values of the image's
/// imports in their order, and must leave the program's memory complete and executable; libraries'
/// constructors, which run next, may call it. While it runs the loader's lock is held: it may wait
/// for other threads only if they do not open, close or look up libraries.
///
/// # Errors
/// See [`ProgramError`]; the process is as it was, except for what the module's text names.
pub fn open(
    image: &ProgramImage,
    relocated: &mut dyn FnMut(&[ImportValue]) -> Result<(), String>,
) -> Result<OpenProgram, ProgramError> {
    if ENTERED.swap(true, Ordering::AcqRel) {
        return Err(ProgramError::AlreadyOpen);
    }
    ENTERING.store(true, Ordering::Release);
    let result = enter(image, relocated);
    ENTERING.store(false, Ordering::Release);
    if result.is_err() {
        ENTERED.store(false, Ordering::Release);
    }
    result
}

fn enter(
    image: &ProgramImage,
    relocated: &mut dyn FnMut(&[ImportValue]) -> Result<(), String>,
) -> Result<OpenProgram, ProgramError> {
    let thread_locals = thread_locals::open(&image.exports)?;
    let entered = enter_image(image, relocated);
    match entered {
        Ok((image, running)) => Ok(OpenProgram {
            image: Some(image),
            thread_locals,
            running,
        }),
        Err(error) => {
            thread_locals.map(OpenImage::close);
            Err(error)
        }
    }
}

fn enter_image(
    image: &ProgramImage,
    relocated: &mut dyn FnMut(&[ImportValue]) -> Result<(), String>,
) -> Result<(OpenImage, Arc<Running>), ProgramError> {
    let exports: Vec<Export> = image
        .exports
        .iter()
        .filter(|export| export.kind != NativeKind::ThreadLocal)
        .cloned()
        .collect();
    let exported: HashSet<&[u8]> = exports.iter().map(|e| e.name.as_slice()).collect();
    let unbound: Vec<bool> = image
        .imports
        .iter()
        .map(|i| i.kind == ImportKind::Address && exported.contains(i.name.as_slice()))
        .collect();
    let mut hook = Hook::new(image, &unbound, relocated);
    let synthesized = Image::new(&ImageSpec {
        needed: &image.needed,
        search_path: &image.search_path,
        search_path_for_all: image.search_path_for_all,
        exports: &exports,
        imports: &image.imports,
        unbound: &unbound,
        hook: Some(hook.words()),
        executable_stack: image.executable_stack,
        ..ImageSpec::default()
    })?;
    hook.set_layout(&synthesized);
    // The hook ends this before the first constructor.
    let own_work = Unwatched::begin();
    // SAFETY: the image's words lead to `hook`, which lives until `dlopen` has returned. That the
    // libraries' constructors run is what the caller asks for.
    let opened = unsafe { OpenImage::open(&synthesized.bytes, BINDING | libc::RTLD_GLOBAL) };
    drop(own_work);
    match (hook.into_outcome(), opened) {
        (Some(Ok(running)), Ok(image)) => Ok((image, running)),
        (Some(Ok(running)), Err(error)) => {
            running.stop();
            Err(error.into())
        }
        (Some(Err(error)), opened) => {
            if let Ok(image) = opened {
                image.close();
            }
            Err(error)
        }
        (None, Ok(image)) => {
            image.close();
            Err(ProgramError::HookNotCalled)
        }
        (None, Err(error)) => Err(not_loaded(error)),
    }
}

/// The error of a program whose libraries the loader does not load.
fn not_loaded(error: LoaderError) -> ProgramError {
    match error {
        LoaderError::Loader(message) if message.contains("static TLS block") => {
            let wanted = Reserve::get().libraries_want_more();
            ProgramError::Loader(format!(
                "{message}: start the process with {SETTING}={wanted} or more in GLIBC_TUNABLES"
            ))
        }
        error => error.into(),
    }
}

impl OpenProgram {
    /// Leads libraries loaded since the program was entered to the program's definitions, as far
    /// as those are marked `redirect_loaded` in `image`, which is the one it was entered with. Only
    /// for libraries that neither the program nor its libraries have opened with `dlopen`; their
    /// constructors have then run already.
    ///
    /// # Errors
    /// When the system refuses to make a library's tables writable.
    pub fn redirect_new_libraries(&mut self, image: &ProgramImage) -> Result<(), ProgramError> {
        let mut redirects = self.running.redirects.lock();
        redirects.forget_unloaded();
        Ok(redirects.extend(image)?)
    }

    /// Takes the program out of the process: leads redirected libraries back, closes its libraries.
    /// Whether its definitions are free: if a library that stays loaded is bound to them,
    /// the program's memory must stay too.
    pub fn close(mut self) -> bool {
        // A library that stays keeps what defines its thread-locals, too.
        let unloaded = self.image.take().is_none_or(OpenImage::close);
        let unloaded = self.thread_locals.take().is_none_or(OpenImage::close) && unloaded;
        self.running.stop();
        ENTERED.store(false, Ordering::Release);
        unloaded
    }
}
