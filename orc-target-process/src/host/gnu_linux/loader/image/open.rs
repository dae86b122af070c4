//! Giving a synthesized object to the loader.

use std::ffi::{CStr, CString, c_int, c_void};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt as _;

use orc_shared::printable_text;
use orc_system::limits::check_file_size;

use crate::host::descriptors::QuietFd;
use crate::host::limits;
use crate::host::loader::loaded_objects;

/// What the loader, or the system on the way to it, says against an object.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoaderError {
    #[error("{0}")]
    Loader(String),
    #[error("cannot make a file in memory for the loader: {0}")]
    File(#[from] io::Error),
}

/// A synthesized object that the loader has loaded.
///
/// Its descriptor stays open as long as the object is loaded: the loader knows objects by their
/// name, `/proc/<pid>/fd/N`, and would answer with this one if the number led to another file.
#[derive(Debug)]
pub(crate) struct OpenImage {
    handle: *mut c_void,
    descriptor: Option<QuietFd>,
    name: CString,
}

// SAFETY: a loader handle may be used from any thread.
unsafe impl Send for OpenImage {}
// SAFETY: as above; nothing is changed through a shared reference.
unsafe impl Sync for OpenImage {}

impl OpenImage {
    /// Writes the object into a memfd and opens it with `flags`.
    ///
    /// # Errors
    /// With the loader's message.
    ///
    /// # Safety
    /// Loading runs what the object and the libraries it needs contain.
    pub unsafe fn open(bytes: &[u8], flags: c_int) -> Result<Self, LoaderError> {
        check_file_size(bytes.len() as u64)?;
        let mut file = memory_file()?;
        file.write_all(bytes)?;
        let (descriptor, name) = named(file)?;
        // SAFETY: the caller's promise; the name is a C string.
        let handle = unsafe { libc::dlopen(name.as_ptr(), flags) };
        if handle.is_null() {
            let message = last_loader_message();
            let cause = limits::why_not_found(&name.to_string_lossy());
            return Err(LoaderError::Loader(cause.unwrap_or(message)));
        }
        Ok(Self {
            handle,
            descriptor: Some(descriptor),
            name,
        })
    }

    /// The same for an object that nobody looks into: no descriptor stays open. It has a name that no other
    /// object gets, whatever file has the descriptor's number later, and from whatever copy of this library in the
    /// process.
    ///
    /// # Errors
    /// With the loader's message.
    ///
    /// # Safety
    /// As [`Self::open`].
    pub unsafe fn open_unseen(bytes: &[u8], flags: c_int) -> Result<Self, LoaderError> {
        check_file_size(bytes.len() as u64)?;
        let mut file = memory_file()?;
        file.write_all(bytes)?;
        // The system's number of the file, which it has as long as the object is loaded.
        let number = file.metadata()?.ino();
        let name = unseen_name(number, std::process::id(), file.as_raw_fd());
        let name = CString::new(name).map_err(io::Error::other)?;
        // SAFETY: the caller's promise; the name is a C string.
        let handle = unsafe { libc::dlopen(name.as_ptr(), flags) };
        if handle.is_null() {
            return Err(LoaderError::Loader(last_loader_message()));
        }
        Ok(Self {
            handle,
            descriptor: None,
            name,
        })
    }

    /// Closes an object that defines nothing for others.
    pub fn close_unseen(self) {
        // SAFETY: the handle is open and not used after this.
        unsafe { libc::dlclose(self.handle) };
    }

    /// Where the object lies.
    pub fn base(&self) -> io::Result<u64> {
        let mut map: *mut c_void = std::ptr::null_mut();
        // SAFETY: the handle is open, and this request stores one pointer.
        let status =
            unsafe { libc::dlinfo(self.handle, libc::RTLD_DI_LINKMAP, (&raw mut map).cast()) };
        if status != 0 || map.is_null() {
            return Err(io::Error::other(last_loader_message()));
        }
        // SAFETY: the loader returned its public `struct link_map`, whose first field is the
        // difference between memory and file addresses; the object's file starts at address 0.
        Ok(unsafe { map.cast::<u64>().read() })
    }

    /// Closes the object. Whether the loader really unloaded it: where a library that stays holds
    /// on to its definitions, it remains, and so does its descriptor.
    pub fn close(mut self) -> bool {
        // SAFETY: the handle is open and not used after this.
        unsafe { libc::dlclose(self.handle) };
        let name = self.name.as_bytes();
        let objects = loaded_objects();
        let unloaded = objects.iter().all(|object| object.name != name);
        let descriptor = self.descriptor.take();
        if !unloaded {
            std::mem::forget(descriptor);
        }
        unloaded
    }
}

impl Drop for OpenImage {
    /// An object that is not closed stays loaded for the rest of the process.
    fn drop(&mut self) {
        std::mem::forget(self.descriptor.take());
    }
}

/// The loader's message about the last failed call on this thread.
pub(crate) fn last_loader_message() -> String {
    // SAFETY: the message belongs to this thread until its next loader call.
    unsafe {
        let message = libc::dlerror();
        if message.is_null() {
            "the loader failed without a message".to_owned()
        } else {
            printable_text(CStr::from_ptr(message).to_bytes())
        }
    }
}

/// A path to a descriptor of a process. The number is in it too, in a way that leads nowhere else: each of
/// its bits is `/` or `/.`.
fn unseen_name(number: u64, process: u32, descriptor: RawFd) -> String {
    let bits = u64::BITS - number.leading_zeros();
    let bits = (0..bits).map(|bit| if number >> bit & 1 == 0 { "/" } else { "/." });
    let bits: String = bits.collect();
    format!("/proc/{process}/fd{bits}/{descriptor}")
}

fn memory_file() -> io::Result<File> {
    const MFD_EXEC: u32 = 0x10;
    let create = |flags| {
        // SAFETY: the name is a C string.
        unsafe { libc::memfd_create(c"jit-image".as_ptr(), libc::MFD_CLOEXEC | flags) }
    };
    // Systems may forbid mapping memfds as code unless they say so; older ones do not know the flag.
    let descriptor = match create(MFD_EXEC) {
        -1 => create(0),
        descriptor => descriptor,
    };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

/// A descriptor of the file, and the name it has for the loader, which no loaded object has: the
/// program may have closed the descriptor of one, and left its number free.
fn named(file: File) -> io::Result<(QuietFd, CString)> {
    let loaded = loaded_objects();
    let mut at_least: Option<RawFd> = None;
    let file = OwnedFd::from(file);
    loop {
        let descriptor = QuietFd::new(file.try_clone()?, at_least)?;
        let Some(number) = descriptor.get() else {
            return Err(io::Error::other(
                "another thread closed a descriptor it did not open",
            ));
        };
        // Not `/proc/self`: debuggers open the name themselves.
        let name = format!("/proc/{}/fd/{number}", std::process::id());
        if loaded.iter().all(|object| object.name != name.as_bytes()) {
            return Ok((descriptor, CString::new(name)?));
        }
        if at_least.is_some_and(|tried| number < tried) {
            return Err(io::Error::other(
                "no descriptor is left whose name is not in use",
            ));
        }
        at_least = Some(number + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_unseen_objects_differ_and_lead_to_one_file() {
        let file = memory_file().expect("made");
        let process = std::process::id();
        let names: std::collections::HashSet<String> = (0..300)
            .map(|number| unseen_name(number, process, file.as_raw_fd()))
            .collect();
        assert_eq!(names.len(), 300);
        let found = |name: &String| std::fs::read_link(name).expect("there");
        let first = found(names.iter().next().expect("many"));
        assert!(names.iter().all(|name| found(name) == first));
    }
}
