//! A library by itself, or the whole process, to look names up in.

use std::ffi::{CStr, c_void};

use super::image::last_loader_message;
use super::imports::{NativeError, c_string};

/// An open library, or the process. It stays open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LibraryHandle(u64);

impl LibraryHandle {
    /// What the loader's global search finds.
    pub(crate) fn process() -> Result<Self, NativeError> {
        Self::open_c(None)
    }

    /// Opens a library for the whole process.
    pub(crate) fn open(path: &str) -> Result<Self, NativeError> {
        Self::open_c(Some(&c_string(path.as_bytes())?))
    }

    fn open_c(path: Option<&CStr>) -> Result<Self, NativeError> {
        let path = path.map_or(std::ptr::null(), CStr::as_ptr);
        // SAFETY: the caller asks for this library's constructors to run.
        let handle = unsafe { libc::dlopen(path, libc::RTLD_NOW | libc::RTLD_GLOBAL) };
        if handle.is_null() {
            return Err(NativeError::Loader(last_loader_message()));
        }
        Ok(Self(handle.expose_provenance() as u64))
    }

    /// The address of a name.
    pub(crate) fn find(self, name: &CStr) -> Option<u64> {
        // A symbol's address may be zero, so only the message tells whether it was found.
        // SAFETY: the handle is open; `dlerror` forgets an earlier message.
        let (address, message) = unsafe {
            libc::dlerror();
            let address: *mut c_void = libc::dlsym(self.0 as *mut c_void, name.as_ptr());
            (address, libc::dlerror())
        };
        message
            .is_null()
            .then(|| address.expose_provenance() as u64)
    }
}
