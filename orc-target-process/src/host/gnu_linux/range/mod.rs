//! Enters a range into the process as a shared object, through the loader.
//!
//! The image ([`image`]) is written to a memfd and opened as `/proc/<pid>/fd/<n>`. The
//! descriptor stays open while the object is loaded: glibc recognizes an object by its name, so if
//! the number were used again the next range would be taken for this one. `/proc/self` would do for
//! the loader, but a debugger opens the name in *its* process, and waits forever on some
//! descriptors.

pub(crate) mod data_segments;
pub(crate) mod frame_table;
pub(crate) mod function_names;
mod growing;
pub(crate) mod image;

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use orc_system::limits::check_file_size;
use parking_lot::Mutex;

use self::image::RangeImage;
use crate::host::descriptors::QuietFd;

/// A range that the loader knows as a shared object. Closed on drop.
pub(crate) struct LoadedRange {
    handle: *mut libc::c_void,
    bias: u64,
    start: u64,
    size: u64,
    number: RawFd,
    _file: QuietFd,
}

// SAFETY: the handle is only passed to `dlclose`, which any thread may call.
unsafe impl Send for LoadedRange {}
// SAFETY: nothing is done through a shared reference.
unsafe impl Sync for LoadedRange {}

/// Numbers of the descriptors whose names are names of loaded objects.
static NAMES_IN_USE: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

impl LoadedRange {
    /// Opens a range as `image` describes it. The loader takes the image's first address as a
    /// wish; where the range came to lie is for the caller to check.
    ///
    /// # Errors
    /// With the loader's message.
    pub(crate) fn open(image: &RangeImage) -> Result<Self, String> {
        let file = memfd(&image.bytes()).map_err(|error| format!("memfd_create: {error}"))?;
        let number = file
            .get()
            .ok_or("the descriptor was closed by another thread")?;
        // Possible only if the program closed our descriptor, and no higher number is allowed.
        if !NAMES_IN_USE.lock().insert(number) {
            return Err(format!(
                "the name of descriptor {number} is that of a loaded range"
            ));
        }
        let name = CString::new(format!("/proc/{}/fd/{number}", std::process::id()))
            .map_err(|error| error.to_string())?;
        Self::load(&name, image, file, number).inspect_err(|_| {
            NAMES_IN_USE.lock().remove(&number);
        })
    }

    fn load(name: &CStr, image: &RangeImage, file: QuietFd, number: RawFd) -> Result<Self, String> {
        // SAFETY: the image has no initializers and no relocations: opening it runs no code.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            return Err(loader_error());
        }
        let Some(bias) = load_bias(handle) else {
            let reason = loader_error();
            // SAFETY: the handle came from dlopen just now.
            unsafe { libc::dlclose(handle) };
            return Err(reason);
        };
        let start = bias.wrapping_add(image.first_address);
        Ok(Self {
            handle,
            bias,
            start,
            size: image.size,
            number,
            _file: file,
        })
    }

    /// Difference between addresses in memory and in the image.
    pub(crate) fn bias(&self) -> u64 {
        self.bias
    }

    /// All addresses of the object.
    pub(crate) fn range(&self) -> Range<u64> {
        self.start..self.start + self.size
    }
}

impl Drop for LoadedRange {
    fn drop(&mut self) {
        // SAFETY: the handle came from dlopen and is closed once.
        unsafe { libc::dlclose(self.handle) };
        NAMES_IN_USE.lock().remove(&self.number);
    }
}

/// Waits until nobody visits the list of loaded objects (`dl_iterate_phdr`).
///
/// Opening an object takes two more locks of the loader before it waits for that list, and while it
/// waits no thread can start and no symbol be looked up. Whoever waits here holds nothing.
pub(crate) fn wait_for_visitors_of_the_loader() {
    /// # Safety
    /// None is needed: it uses nothing.
    unsafe extern "C" fn stop(
        _: *mut libc::dl_phdr_info,
        _: libc::size_t,
        _: *mut libc::c_void,
    ) -> libc::c_int {
        1
    }
    // SAFETY: the callback ignores its arguments.
    unsafe { libc::dl_iterate_phdr(Some(stop), std::ptr::null_mut()) };
}

fn memfd(bytes: &[u8]) -> io::Result<QuietFd> {
    check_file_size(bytes.len() as u64)?;
    // No page of the file is ever executable: the range itself is anonymous memory.
    const NOEXEC_SEAL: libc::c_uint = 8;
    let name = c"orc-jit-range";
    // SAFETY: the name is a C string.
    let mut fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | NOEXEC_SEAL) };
    if fd < 0 {
        // Kernels before 6.3 do not know the second flag.
        // SAFETY: as above.
        fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    }
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and owned by nobody else.
    let mut file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.write_all(bytes)?;
    let above_all = NAMES_IN_USE.lock().last().map(|number| number + 1);
    QuietFd::new(OwnedFd::from(file), above_all)
}

fn load_bias(handle: *mut libc::c_void) -> Option<u64> {
    /// The public beginning of the loader's `struct link_map`.
    #[repr(C)]
    struct LinkMap {
        l_addr: u64,
    }
    let mut map: *const LinkMap = std::ptr::null();
    // SAFETY: the handle is open and `map` is a valid place for the answer.
    let status = unsafe { libc::dlinfo(handle, libc::RTLD_DI_LINKMAP, (&raw mut map).cast()) };
    if status != 0 || map.is_null() {
        return None;
    }
    // SAFETY: the loader's record lives as long as the handle.
    Some(unsafe { (*map).l_addr })
}

fn loader_error() -> String {
    // SAFETY: the message is the calling thread's own until its next call of the loader.
    let message = unsafe { libc::dlerror() };
    if message.is_null() {
        return "the loader gives no reason".to_owned();
    }
    // SAFETY: a C string, copied at once.
    unsafe { CStr::from_ptr(message) }
        .to_string_lossy()
        .into_owned()
}
