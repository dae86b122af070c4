//! Files: flags of `open`, and the layout of `struct stat`.

use core::ffi::{c_char, c_int, c_uint};

/// Flags of `open`: macOS's, ours.
const FLAGS: [(c_int, c_int); 10] = [
    (0x4, libc::O_NONBLOCK),
    (0x8, libc::O_APPEND),
    (0x80, libc::O_SYNC),
    (0x100, libc::O_NOFOLLOW),
    (0x200, libc::O_CREAT),
    (0x400, libc::O_TRUNC),
    (0x800, libc::O_EXCL),
    (0x2_0000, libc::O_NOCTTY),
    (0x10_0000, libc::O_DIRECTORY),
    (0x100_0000, libc::O_CLOEXEC),
];

/// `O_RDONLY`, `O_WRONLY`, `O_RDWR`: the same.
const ACCESS: c_int = 3;

fn own_flags(flags: c_int) -> c_int {
    let known = FLAGS.iter().filter(|(theirs, _)| flags & theirs != 0);
    known.fold(flags & ACCESS, |own, (_, ours)| own | ours)
}

fn flags_of_macos(own: c_int) -> c_int {
    // `O_SYNC` has several bits here.
    let known = FLAGS.iter().filter(|(_, ours)| own & ours == *ours);
    known.fold(own & ACCESS, |flags, (theirs, _)| flags | theirs)
}

/// `open`, with a mode.
///
/// # Safety
/// As for `open`.
pub unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
    // SAFETY: the caller's path.
    unsafe { libc::open(path, own_flags(flags), mode) }
}

/// `openat`, with a mode.
///
/// # Safety
/// As for `openat`.
pub unsafe extern "C" fn openat(
    directory: c_int,
    path: *const c_char,
    flags: c_int,
    mode: libc::mode_t,
) -> c_int {
    // SAFETY: the caller's path.
    unsafe { libc::openat(own_directory(directory), path, own_flags(flags), mode) }
}

/// `shm_open`, with a mode.
///
/// # Safety
/// As for `shm_open`.
pub unsafe extern "C" fn shm_open(name: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
    // SAFETY: the caller's name.
    unsafe { libc::shm_open(name, own_flags(flags), mode) }
}

/// `sem_open`, with a mode and a value.
///
/// # Safety
/// As for `sem_open`.
pub unsafe extern "C" fn sem_open(
    name: *const c_char,
    flags: c_int,
    mode: libc::mode_t,
    value: c_uint,
) -> *mut libc::sem_t {
    // SAFETY: the caller's name.
    let semaphore = unsafe { libc::sem_open(name, own_flags(flags), mode, value) };
    match semaphore {
        // `SEM_FAILED` of macOS.
        libc::SEM_FAILED => core::ptr::without_provenance_mut(usize::MAX),
        semaphore => semaphore,
    }
}

/// Commands of `fcntl` that have another number: macOS's, ours.
const COMMANDS: [(c_int, c_int); 6] = [
    (5, libc::F_GETOWN),
    (6, libc::F_SETOWN),
    (7, libc::F_GETLK),
    (8, libc::F_SETLK),
    (9, libc::F_SETLKW),
    (67, libc::F_DUPFD_CLOEXEC),
];

/// `fcntl`, with an argument.
///
/// # Safety
/// As for `fcntl`.
pub unsafe extern "C" fn fcntl(file: c_int, command: c_int, argument: usize) -> c_int {
    let known = COMMANDS.iter().find(|(theirs, _)| *theirs == command);
    let own = match (command, known) {
        (_, Some((_, own))) => *own,
        // The same: copies, flags of descriptors and of files.
        (0..=4, None) => command,
        // No command has this number.
        (_, None) => c_int::MAX,
    };
    // SAFETY: the caller's argument, or one that is made of it.
    unsafe {
        match own {
            libc::F_SETFL => libc::fcntl(file, own, own_flags(argument as c_int)),
            libc::F_GETFL => match libc::fcntl(file, own) {
                flags @ 0.. => flags_of_macos(flags),
                failed => failed,
            },
            libc::F_GETLK | libc::F_SETLK | libc::F_SETLKW => {
                lock(file, own, core::ptr::with_exposed_provenance_mut(argument))
            }
            _ => libc::fcntl(file, own, argument),
        }
    }
}

/// `struct flock` of macOS.
#[repr(C)]
struct Lock {
    start: i64,
    length: i64,
    process: c_int,
    kind: i16,
    origin: i16,
}

/// Kinds of locks: macOS's, ours.
const LOCKS: [(i16, c_int); 3] = [(1, libc::F_RDLCK), (2, libc::F_UNLCK), (3, libc::F_WRLCK)];

/// A command of `fcntl` about a lock.
///
/// # Safety
/// `lock` is one of macOS.
unsafe fn lock(file: c_int, command: c_int, lock: *mut Lock) -> c_int {
    // SAFETY: the caller's lock; zeros are a value of ours.
    unsafe {
        let known = LOCKS.iter().find(|(theirs, _)| *theirs == (*lock).kind);
        let mut own: libc::flock = core::mem::zeroed();
        // No kind of lock has this number.
        own.l_type = known.map_or(i16::MAX, |(_, ours)| *ours as i16);
        own.l_whence = (*lock).origin;
        own.l_start = (*lock).start;
        own.l_len = (*lock).length;
        let status = libc::fcntl(file, command, &raw mut own);
        if status != -1 && command == libc::F_GETLK {
            let known = LOCKS.iter().find(|(_, ours)| *ours as i16 == own.l_type);
            lock.write(Lock {
                start: own.l_start,
                length: own.l_len,
                process: own.l_pid,
                kind: known.map_or((*lock).kind, |(theirs, _)| *theirs),
                origin: own.l_whence,
            });
        }
        status
    }
}

/// A directory that paths begin in: `AT_FDCWD` has another number.
fn own_directory(directory: c_int) -> c_int {
    /// `AT_FDCWD` of macOS.
    const HERE: c_int = -2;
    match directory {
        HERE => libc::AT_FDCWD,
        other => other,
    }
}

/// Flags of functions whose names end with `at`.
fn own_at_flags(flags: c_int) -> c_int {
    let known = [
        (0x20, libc::AT_SYMLINK_NOFOLLOW),
        (0x40, libc::AT_SYMLINK_FOLLOW),
        (0x80, libc::AT_REMOVEDIR),
    ];
    let known = known.iter().filter(|(theirs, _)| flags & theirs != 0);
    known.fold(0, |own, (_, ours)| own | ours)
}

/// `unlinkat`.
///
/// # Safety
/// As for `unlinkat`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_unlinkat(
    directory: c_int,
    path: *const c_char,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's path.
    unsafe { libc::unlinkat(own_directory(directory), path, own_at_flags(flags)) }
}

/// `fchmodat`.
///
/// # Safety
/// As for `fchmodat`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_fchmodat(
    directory: c_int,
    path: *const c_char,
    mode: u16,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's path.
    unsafe {
        libc::fchmodat(
            own_directory(directory),
            path,
            mode.into(),
            own_at_flags(flags),
        )
    }
}

/// `utimensat`: times of -1 and -2 are the present and no change.
///
/// # Safety
/// As for `utimensat`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_utimensat(
    directory: c_int,
    path: *const c_char,
    times: *const libc::timespec,
    flags: c_int,
) -> c_int {
    let own_time = |mut time: libc::timespec| {
        time.tv_nsec = match time.tv_nsec {
            -1 => libc::UTIME_NOW,
            -2 => libc::UTIME_OMIT,
            other => other,
        };
        time
    };
    let (directory, flags) = (own_directory(directory), own_at_flags(flags));
    // SAFETY: the caller's path, and its two times if there are any.
    unsafe {
        if times.is_null() {
            return libc::utimensat(directory, path, times, flags);
        }
        let times = [own_time(times.read()), own_time(times.add(1).read())];
        libc::utimensat(directory, path, times.as_ptr(), flags)
    }
}

/// `struct statvfs` of macOS.
#[repr(C)]
pub struct Volume {
    block_size: u64,
    fragment_size: u64,
    /// Blocks, free ones, available ones, files, free ones, available ones.
    counts: [u32; 6],
    id: u64,
    flags: u64,
    name_length_max: u64,
}

/// `statvfs`.
///
/// # Safety
/// As for `statvfs`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_statvfs(
    path: *const c_char,
    to: *mut Volume,
) -> c_int {
    let mut own = core::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the caller's path; zeros are a value; the caller has room.
    unsafe {
        let status = libc::statvfs(path, own.as_mut_ptr());
        if status == 0 {
            let own = own.assume_init_ref();
            let counts = [
                own.f_blocks,
                own.f_bfree,
                own.f_bavail,
                own.f_files,
                own.f_ffree,
                own.f_favail,
            ];
            to.write(Volume {
                block_size: own.f_bsize,
                fragment_size: own.f_frsize,
                counts: counts.map(|count| u32::try_from(count).unwrap_or(u32::MAX)),
                id: own.f_fsid,
                flags: own.f_flag,
                name_length_max: own.f_namemax,
            });
        }
        status
    }
}

/// `copyfile_state_alloc`: there is nothing to keep.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_copyfile_state_alloc() -> *mut core::ffi::c_void {
    // SAFETY: any size may be asked for.
    unsafe { libc::malloc(1) }
}

/// `copyfile_state_free`.
///
/// # Safety
/// `state` is from `copyfile_state_alloc`, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_copyfile_state_free(
    state: *mut core::ffi::c_void,
) -> c_int {
    // SAFETY: the caller's.
    unsafe { libc::free(state) };
    0
}

/// `fcopyfile`: copies what is in a file.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_fcopyfile(
    from: c_int,
    to: c_int,
    _state: *mut core::ffi::c_void,
    _flags: c_uint,
) -> c_int {
    /// The most that is copied at once.
    const PIECE: usize = 1 << 30;
    loop {
        // SAFETY: the system knows which files there are.
        match unsafe { libc::sendfile(to, from, core::ptr::null_mut(), PIECE) } {
            0 => return 0,
            1.. => {}
            _ => return -1,
        }
    }
}

/// `struct stat` of macOS, with inodes of 64 bits.
#[repr(C)]
pub struct Stat {
    device: i32,
    mode: u16,
    links: u16,
    inode: u64,
    user: u32,
    group: u32,
    special_device: i32,
    /// When it was accessed, modified, changed, made: seconds and nanoseconds.
    times: [[i64; 2]; 4],
    size: i64,
    blocks: i64,
    block_size: i32,
    flags: u32,
    generation: u32,
    spare: [u32; 5],
}

const _: () = assert!(size_of::<Stat>() == 144);

impl From<&libc::stat> for Stat {
    fn from(stat: &libc::stat) -> Self {
        Self {
            device: stat.st_dev as i32,
            mode: stat.st_mode as u16,
            links: stat.st_nlink as u16,
            inode: stat.st_ino,
            user: stat.st_uid,
            group: stat.st_gid,
            special_device: stat.st_rdev as i32,
            times: [
                [stat.st_atime, stat.st_atime_nsec],
                [stat.st_mtime, stat.st_mtime_nsec],
                [stat.st_ctime, stat.st_ctime_nsec],
                [stat.st_ctime, stat.st_ctime_nsec],
            ],
            size: stat.st_size,
            blocks: stat.st_blocks,
            block_size: stat.st_blksize as i32,
            flags: 0,
            generation: 0,
            spare: [0; 5],
        }
    }
}

/// Calls a function of the C library that fills a `struct stat`.
///
/// # Safety
/// `to` has room for macOS's.
unsafe fn fill(to: *mut Stat, ask: impl FnOnce(*mut libc::stat) -> c_int) -> c_int {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::zeroed();
    let status = ask(stat.as_mut_ptr());
    if status == 0 {
        // SAFETY: zeros are a value of it; the caller has the room.
        unsafe { to.write(Stat::from(stat.assume_init_ref())) };
    }
    status
}

/// `stat$INODE64`.
///
/// # Safety
/// As for `stat`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_stat(path: *const c_char, to: *mut Stat) -> c_int {
    // SAFETY: the caller's arguments.
    unsafe { fill(to, |stat| libc::stat(path, stat)) }
}

/// `lstat$INODE64`.
///
/// # Safety
/// As for `lstat`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_lstat(path: *const c_char, to: *mut Stat) -> c_int {
    // SAFETY: the caller's arguments.
    unsafe { fill(to, |stat| libc::lstat(path, stat)) }
}

/// `fstat$INODE64`.
///
/// # Safety
/// As for `fstat`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_fstat(file: c_int, to: *mut Stat) -> c_int {
    // SAFETY: the caller's arguments.
    unsafe { fill(to, |stat| libc::fstat(file, stat)) }
}

/// `mmap`: two flags have other numbers.
///
/// # Safety
/// As for `mmap`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __orc_rt_ext_darwin_mmap(
    at: *mut core::ffi::c_void,
    size: usize,
    protection: c_int,
    flags: c_int,
    file: c_int,
    offset: i64,
) -> *mut core::ffi::c_void {
    /// `MAP_ANON` and `MAP_NORESERVE` of macOS; shared, private and fixed are the same.
    const ANONYMOUS: c_int = 0x1000;
    const NO_RESERVE: c_int = 0x40;
    let mut own = flags & (libc::MAP_SHARED | libc::MAP_PRIVATE | libc::MAP_FIXED);
    if flags & ANONYMOUS != 0 {
        own |= libc::MAP_ANONYMOUS;
    }
    if flags & NO_RESERVE != 0 {
        own |= libc::MAP_NORESERVE;
    }
    // SAFETY: the caller's arguments.
    unsafe { libc::mmap(at, size, protection, own, file, offset) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_translated() {
        assert_eq!(
            own_flags(0x601),
            libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC
        );
        assert_eq!(
            own_flags(0x100_000a),
            libc::O_RDWR | libc::O_APPEND | libc::O_CLOEXEC
        );
        for flags in [0x601, 0x100_000a, 0x4, 0x80] {
            assert_eq!(flags_of_macos(own_flags(flags)), flags, "{flags:#x}");
        }
    }

    #[test]
    fn flags_of_an_open_file_are_those_of_macos() {
        // SAFETY: the path is a C string; the file is this function's.
        unsafe {
            let file = open(c"/dev/null".as_ptr(), 0x9, 0);
            assert_eq!(fcntl(file, 3, 0), 0x9);
            assert_eq!(fcntl(file, 4, 0x4), 0);
            assert_eq!(fcntl(file, 3, 0), 0x5);
            assert_eq!(fcntl(file, 1000, 0), -1);
            libc::close(file);
        }
    }

    #[test]
    fn what_is_known_of_a_file_has_the_layout_of_macos() {
        assert_eq!(core::mem::offset_of!(Stat, times), 32);
        assert_eq!(core::mem::offset_of!(Stat, size), 96);
        let mut stat = core::mem::MaybeUninit::<Stat>::zeroed();
        // SAFETY: the path is a C string, and there is room; zeros are a value.
        let stat = unsafe {
            assert_eq!(
                __orc_rt_ext_darwin_stat(c"/".as_ptr(), stat.as_mut_ptr()),
                0
            );
            stat.assume_init()
        };
        assert_eq!(u32::from(stat.mode) & libc::S_IFMT, libc::S_IFDIR);
    }
}
