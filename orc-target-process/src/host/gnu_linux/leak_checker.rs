//! Memory in which a leak checker of the process has to look for pointers.
//!
//! LeakSanitizer (alone, or within AddressSanitizer) takes a heap block for leaked if no pointer to
//! it lies in registers, stacks, the heap, or the writable segments that loaded objects declare. A
//! range that the loader knows declares some (`host::range::data_segments`). The checker is told of others, as
//! a whole: it will read every page of them, so that makes pages of what nobody has used.

use std::ffi::CStr;
use std::ops::Range as Addresses;
use std::sync::OnceLock;

type RegionFunction = unsafe extern "C" fn(*const libc::c_void, libc::size_t);

/// Addresses that the leak checker searches. Withdrawn on drop.
#[derive(Debug)]
pub(crate) struct RootRegion {
    start: u64,
    size: usize,
    unregister: RegionFunction,
}

/// The leak checker's functions to register and unregister regions, if the process has one.
static FUNCTIONS: OnceLock<Option<(RegionFunction, RegionFunction)>> = OnceLock::new();

/// Finds the process's leak checker. Needs the loader's lock, which [`RootRegion::new`] must not: ranges
/// are opened while others hold that.
pub(crate) fn prepare() {
    FUNCTIONS.get_or_init(|| {
        let register = function(c"__lsan_register_root_region")?;
        Some((register, function(c"__lsan_unregister_root_region")?))
    });
}

impl RootRegion {
    /// Registers `range`, of which only pages that can be read will be searched. `None` if the
    /// process has no leak checker, as far as [`prepare`] has found.
    pub(crate) fn new(range: &Addresses<u64>) -> Option<Self> {
        let (register, unregister) = (*FUNCTIONS.get()?)?;
        let size = usize::try_from(range.end - range.start).ok()?;
        // SAFETY: the region is only noted; pages of it that cannot be read are passed over.
        unsafe { register(range.start as *const libc::c_void, size) };
        Some(Self {
            start: range.start,
            size,
            unregister,
        })
    }
}

impl Drop for RootRegion {
    fn drop(&mut self) {
        // SAFETY: the same region was registered with the twin of this function.
        unsafe { (self.unregister)(self.start as *const libc::c_void, self.size) };
    }
}

fn function(name: &CStr) -> Option<RegionFunction> {
    // SAFETY: the name is a C string.
    let addr = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    // SAFETY: both names looked up here are functions of a pointer and a size that return nothing
    // (`sanitizer/lsan_interface.h`).
    (!addr.is_null())
        .then(|| unsafe { std::mem::transmute::<*mut libc::c_void, RegionFunction>(addr) })
}
