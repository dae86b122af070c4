//! What `statfs` says of a file system.

use core::ffi::{c_char, c_int};

/// `struct statfs` of macOS.
#[repr(C)]
pub struct Volume {
    block_size: u32,
    transfer_size: i32,
    blocks: u64,
    free: u64,
    available: u64,
    files: u64,
    free_files: u64,
    id: [i32; 2],
    owner: u32,
    kind: u32,
    flags: u32,
    subkind: u32,
    kind_name: [u8; 16],
    /// Where it is mounted, and what: not known.
    mounted_on: [u8; 1024],
    mounted_from: [u8; 1024],
    more_flags: u32,
    reserved: [u32; 7],
}

const _: () = assert!(size_of::<Volume>() == 2168);

/// Flags of mounted file systems: ours, macOS's.
const FLAGS: [(u64, u32); 5] = [
    (libc::ST_RDONLY, 0x1),
    (libc::ST_NOSUID, 0x8),
    (libc::ST_NODEV, 0x10),
    (libc::ST_NOEXEC, 0x4),
    (libc::ST_SYNCHRONOUS, 0x2),
];

/// Names of kinds that programs know from macOS, too.
const KINDS: [(u32, &str); 4] = [
    (0x6969, "nfs"),
    (0xff53_4d42, "smbfs"),
    (0x4d44, "msdos"),
    (0x0102_1994, "tmpfs"),
];

fn of_macos(own: &libc::statfs, flags: u64) -> Volume {
    let narrow = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    let known = FLAGS.iter().filter(|(ours, _)| flags & ours != 0);
    let kind = own.f_type as u32;
    let mut kind_name = [0; 16];
    let known_kind = KINDS.iter().find(|(number, _)| *number == kind);
    let name = known_kind.map_or("linux", |(_, name)| name).as_bytes();
    kind_name[..name.len()].copy_from_slice(name);
    Volume {
        block_size: narrow(own.f_bsize),
        transfer_size: narrow(own.f_bsize).cast_signed(),
        blocks: own.f_blocks,
        free: own.f_bfree,
        available: own.f_bavail,
        files: own.f_files,
        free_files: own.f_ffree,
        id: [0; 2],
        owner: 0,
        kind,
        flags: known.fold(0, |flags, (_, theirs)| flags | theirs),
        subkind: 0,
        kind_name,
        mounted_on: [0; 1024],
        mounted_from: [0; 1024],
        more_flags: 0,
        reserved: [0; 7],
    }
}

/// Writes what functions of ours have answered, of which one tells the flags.
///
/// # Safety
/// `to` has room.
unsafe fn answer(
    to: *mut Volume,
    ask: impl FnOnce(*mut libc::statfs) -> c_int,
    ask_flags: impl FnOnce(*mut libc::statvfs) -> c_int,
) -> c_int {
    let mut own = core::mem::MaybeUninit::<libc::statfs>::zeroed();
    let mut flags = core::mem::MaybeUninit::<libc::statvfs>::zeroed();
    match ask(own.as_mut_ptr()) {
        0 => {}
        failed => return failed,
    }
    match ask_flags(flags.as_mut_ptr()) {
        0 => {}
        failed => return failed,
    }
    // SAFETY: zeros are values; the caller has room.
    unsafe {
        to.write(of_macos(
            own.assume_init_ref(),
            flags.assume_init_ref().f_flag,
        ))
    };
    0
}

/// `statfs`.
///
/// # Safety
/// As for `statfs`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_statfs(path: *const c_char, to: *mut Volume) -> c_int {
    // SAFETY: the caller's path and place.
    unsafe {
        answer(
            to,
            |own| libc::statfs(path, own),
            |own| libc::statvfs(path, own),
        )
    }
}

/// `fstatfs`.
///
/// # Safety
/// As for `fstatfs`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_fstatfs(file: c_int, to: *mut Volume) -> c_int {
    // SAFETY: the caller's place.
    unsafe {
        answer(
            to,
            |own| libc::fstatfs(file, own),
            |own| libc::fstatvfs(file, own),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_told_in_macos_layout() {
        let mut volume = core::mem::MaybeUninit::<Volume>::zeroed();
        // SAFETY: a path, and room.
        let status = unsafe { __orc_rt_ext_darwin_statfs(c"/proc".as_ptr(), volume.as_mut_ptr()) };
        assert_eq!(status, 0);
        // SAFETY: it was written.
        let volume = unsafe { volume.assume_init_ref() };
        assert!(volume.kind_name.starts_with(b"linux\0"));
        // SAFETY: no file has this number.
        let status = unsafe { __orc_rt_ext_darwin_fstatfs(-1, core::ptr::null_mut()) };
        assert_eq!(status, -1);
    }
}
