//! Giving a synthesized object to the loader.

use std::ffi::{CStr, CString, c_int, c_void};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};

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
    descriptor: Option<File>,
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
        let mut file = memory_file()?;
        file.write_all(bytes)?;
        let file = out_of_the_way(file);
        // Not `/proc/self`: debuggers open the name themselves.
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        let name = CString::new(path).expect("no zero byte in a path made of numbers");
        // SAFETY: the caller's promise; the name is a C string.
        let handle = unsafe { libc::dlopen(name.as_ptr(), flags) };
        if handle.is_null() {
            return Err(LoaderError::Loader(last_loader_message()));
        }
        Ok(Self {
            handle,
            descriptor: Some(file),
            name,
        })
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
        let objects = crate::native::loaded_objects();
        let unloaded = objects.iter().all(|object| object.name != name);
        let descriptor = self.descriptor.take();
        if !unloaded && let Some(file) = descriptor {
            keep_open(file);
        }
        unloaded
    }
}

impl Drop for OpenImage {
    /// An object that is not closed stays loaded for the rest of the process.
    fn drop(&mut self) {
        if let Some(file) = self.descriptor.take() {
            keep_open(file);
        }
    }
}

fn keep_open(file: File) {
    let _descriptor = file.into_raw_fd();
}

/// The loader's message about the last failed call on this thread.
pub(crate) fn last_loader_message() -> String {
    // SAFETY: the message belongs to this thread until its next loader call.
    unsafe {
        let message = libc::dlerror();
        if message.is_null() {
            "the loader failed without a message".to_owned()
        } else {
            CStr::from_ptr(message).to_string_lossy().into_owned()
        }
    }
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

/// Moves a file to a high descriptor, so that programs which open files find the numbers they would
/// find in a process of their own. Where the limit is too low the file stays where it is.
fn out_of_the_way(file: File) -> File {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is where the answer goes.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return file;
    }
    let floor = limit.rlim_cur.min(1 << 16).saturating_sub(128) as c_int;
    // SAFETY: duplicating an open descriptor.
    let moved = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, floor) };
    if moved < 0 {
        return file;
    }
    // SAFETY: a new descriptor that nobody else owns.
    unsafe { File::from_raw_fd(moved) }
}
