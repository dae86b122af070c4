//! Directories: entries have another layout. A `DIR` is opaque to programs, so theirs is one of ours, with room for an entry.

use core::ffi::{c_char, c_int, c_long};
use core::ptr::null_mut;

/// Bytes of a name, with the NUL.
const NAME_SIZE: usize = 1024;

/// `struct dirent` of macOS, with inodes of 64 bits.
#[repr(C)]
pub struct Entry {
    inode: u64,
    position: u64,
    size: u16,
    name_length: u16,
    kind: u8,
    name: [u8; NAME_SIZE],
}

const _: () = assert!(core::mem::offset_of!(Entry, name) == 21);

/// An open directory, in memory from `malloc`.
pub struct Directory {
    own: *mut libc::DIR,
    entry: Entry,
}

/// Puts an open directory into one of macOS's; null for null, or without memory.
///
/// # Safety
/// `own` is null or open, and given away.
unsafe fn wrap(own: *mut libc::DIR) -> *mut Directory {
    if own.is_null() {
        return null_mut();
    }
    // SAFETY: memory of the size of one, aligned for everything; zeros are an entry.
    unsafe {
        let made: *mut Directory = libc::calloc(1, size_of::<Directory>()).cast();
        if made.is_null() {
            libc::closedir(own);
        } else {
            (&raw mut (*made).own).write(own);
        }
        made
    }
}

/// `opendir`.
///
/// # Safety
/// As for `opendir`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_opendir(path: *const c_char) -> *mut Directory {
    // SAFETY: the caller's path.
    unsafe { wrap(libc::opendir(path)) }
}

/// `fdopendir`.
///
/// # Safety
/// As for `fdopendir`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_fdopendir(file: c_int) -> *mut Directory {
    // SAFETY: the caller gives up its file.
    unsafe { wrap(libc::fdopendir(file)) }
}

/// `readdir`.
///
/// # Safety
/// `directory` is open, and no other thread reads it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_readdir(directory: *mut Directory) -> *mut Entry {
    // SAFETY: the caller's directory is used by this thread alone; the entry is good until the next call.
    unsafe {
        let entry = libc::readdir((*directory).own);
        if entry.is_null() {
            return null_mut();
        }
        let name = (&raw const (*entry).d_name).cast::<u8>();
        let length = libc::strlen(name.cast()).min(NAME_SIZE - 1);
        let to = &mut (*directory).entry;
        to.inode = (*entry).d_ino;
        to.position = 0;
        to.size = size_of::<Entry>() as u16;
        to.name_length = length as u16;
        to.kind = (*entry).d_type;
        core::ptr::copy_nonoverlapping(name, to.name.as_mut_ptr(), length);
        to.name[length] = 0;
        &raw mut *to
    }
}

/// `closedir`.
///
/// # Safety
/// `directory` is open, and given away.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_closedir(directory: *mut Directory) -> c_int {
    // SAFETY: the caller's directory.
    unsafe {
        let status = libc::closedir((*directory).own);
        libc::free(directory.cast());
        status
    }
}

/// `rewinddir`.
///
/// # Safety
/// `directory` is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_rewinddir(directory: *mut Directory) {
    // SAFETY: the caller's directory.
    unsafe { libc::rewinddir((*directory).own) };
}

/// `telldir`.
///
/// # Safety
/// `directory` is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_telldir(directory: *mut Directory) -> c_long {
    // SAFETY: the caller's directory.
    unsafe { libc::telldir((*directory).own) }
}

/// `seekdir`.
///
/// # Safety
/// `directory` is open, and `position` is one of its.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_seekdir(directory: *mut Directory, position: c_long) {
    // SAFETY: the caller's directory.
    unsafe { libc::seekdir((*directory).own, position) };
}

/// `dirfd`.
///
/// # Safety
/// `directory` is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_dirfd(directory: *mut Directory) -> c_int {
    // SAFETY: the caller's directory.
    unsafe { libc::dirfd((*directory).own) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_the_layout_of_macos() {
        // SAFETY: the directory is there, and this thread's.
        unsafe {
            let directory = __orc_rt_ext_darwin_opendir(c"/".as_ptr());
            let mut names = 0;
            loop {
                let entry = __orc_rt_ext_darwin_readdir(directory);
                if entry.is_null() {
                    break;
                }
                let name = core::ffi::CStr::from_ptr(entry.cast::<c_char>().add(21));
                assert_eq!(name.count_bytes(), usize::from((*entry).name_length));
                names += 1;
            }
            assert!(names > 2);
            assert_eq!(__orc_rt_ext_darwin_closedir(directory), 0);
        }
    }
}
