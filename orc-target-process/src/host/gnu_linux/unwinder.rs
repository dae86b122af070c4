//! Registration of frames with the process's unwinder, where the loader cannot know our ranges.
//!
//! libgcc's `__register_frame` takes a whole `.eh_frame` section that ends with a zero length.
//! LLVM's libunwind exports the same name but takes a single FDE; sections go to
//! `__unw_add_dynamic_eh_frame_section`. Which one answers is found out at run time, as
//! both may be loaded.

use std::ffi::CStr;
use std::ops::Range;
use std::sync::OnceLock;

use orc_shared::api::FrameEntry;

type SectionFunction = unsafe extern "C" fn(*const libc::c_void);

/// The pair of functions that a process's unwinders offer, each pair from one library.
struct Unwinders {
    pairs: Vec<(SectionFunction, SectionFunction)>,
}

#[derive(Debug)]
/// A registered `.eh_frame` section. Deregistered on drop.
pub(crate) struct RegisteredFrames {
    section: u64,
    /// The same for an unwinder that takes no sections.
    #[cfg(feature = "libunwind")]
    _frames: Vec<crate::host::libunwind::Frames>,
}

impl RegisteredFrames {
    /// Registers the section at `section`, which ends with a zero length. `frames` tells the frames of it
    /// by the code that they are of, sorted.
    /// `None` if the process has no unwinder that takes sections.
    pub(crate) fn new<'a, I>(section: u64, frames: impl FnOnce() -> I) -> Option<Self>
    where
        I: IntoIterator<Item = (Range<u64>, &'a [FrameEntry])>,
    {
        let unwinders = unwinders();
        if unwinders.pairs.is_empty() {
            return None;
        }
        for (register, _) in &unwinders.pairs {
            // SAFETY: the section is finalized memory, is terminated, and outlives the
            // registration.
            unsafe { register(section as *const libc::c_void) };
        }
        #[cfg(feature = "libunwind")]
        let frames = frames().into_iter();
        #[cfg(not(feature = "libunwind"))]
        let _unneeded = frames;
        Some(Self {
            section,
            #[cfg(feature = "libunwind")]
            _frames: frames
                .filter_map(|(code, frames)| crate::host::libunwind::Frames::new(code, frames))
                .collect(),
        })
    }
}

impl Drop for RegisteredFrames {
    fn drop(&mut self) {
        for (_, deregister) in &unwinders().pairs {
            // SAFETY: the same section was registered with the twin of this function.
            unsafe { deregister(self.section as *const libc::c_void) };
        }
    }
}

/// Code at these addresses goes away: what unwinders remember of it is wrong from now on.
pub(crate) fn forget(code: Range<u64>) {
    #[cfg(feature = "libunwind")]
    crate::host::libunwind::forget(code);
    // libgcc and LLVM's libunwind remember nothing about addresses.
    #[cfg(not(feature = "libunwind"))]
    let _unneeded = code;
}

/// Finds the process's unwinders, so that a later registration need not ask the loader.
pub(crate) fn prepare() {
    unwinders();
}

fn unwinders() -> &'static Unwinders {
    static FOUND: OnceLock<Unwinders> = OnceLock::new();
    FOUND.get_or_init(find)
}

fn find() -> Unwinders {
    let mut pairs = Vec::new();
    let llvm = (
        symbol(c"__unw_add_dynamic_eh_frame_section"),
        symbol(c"__unw_remove_dynamic_eh_frame_section"),
    );
    let shared = (symbol(c"__register_frame"), symbol(c"__deregister_frame"));
    if let (Some(add), Some(remove)) = llvm {
        pairs.push((add, remove));
    }
    if let (Some(register), Some(deregister)) = shared {
        let of_llvm = llvm
            .0
            .is_some_and(|add| library_of(add) == library_of(register));
        if !of_llvm {
            pairs.push((register, deregister));
        }
    }
    Unwinders { pairs }
}

fn symbol(name: &CStr) -> Option<SectionFunction> {
    // SAFETY: the name is a C string.
    let addr = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: each of the names looked up here is a function of one pointer that returns nothing.
    (!addr.is_null())
        .then(|| unsafe { std::mem::transmute::<*mut libc::c_void, SectionFunction>(addr) })
}

/// Start of the library that holds `function`, or 0.
fn library_of(function: SectionFunction) -> usize {
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: `info` is a valid place for the answer.
    let found = unsafe { libc::dladdr(function as *const libc::c_void, info.as_mut_ptr()) };
    if found == 0 {
        return 0;
    }
    // SAFETY: dladdr succeeded and filled the structure.
    unsafe { info.assume_init() }.dli_fbase as usize
}
