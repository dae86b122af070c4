//! The process itself: whose work it does, its streams, directory, environment and end.

use std::ffi::{CStr, CString, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::OpenOptionsExt as _;

use orc_shared::remote::services::ExitStatus;

use super::{descriptors, race_checker, thread};

/// Does beforehand what takes a process of several threads much longer. For whoever is about to start
/// the first one, and to use this process as an executor.
pub fn prepare_for_threads() {
    descriptors::grow_table();
}

/// Whether this is the thread that the process was started with.
#[must_use]
pub fn is_main_thread() -> bool {
    thread::is_first()
}

/// Opens a file to read it; `None` if it is not a regular one, which is then left untouched.
///
/// # Errors
/// When there is no such file, or it may not be read.
pub(crate) fn open_regular_file(path: &str) -> io::Result<Option<File>> {
    let mut options = File::options();
    // The file is found once: an emulator looks in other places when it opens one than when it only
    // asks, and somebody may put another one there in between.
    let found = options.read(true).custom_flags(libc::O_PATH).open(path)?;
    if !found.metadata()?.is_file() {
        return Ok(None);
    }
    File::open(format!("/proc/self/fd/{}", found.as_raw_fd())).map(Some)
}

/// Says that what this thread does from now on is not the program's work: a race checker in the process
/// is not to watch it, but for linked code that is called. [`end_own_work`] is to be called before the
/// thread or the process ends.
pub fn begin_own_work() {
    race_checker::prepare();
    race_checker::set_unwatched(true);
}

/// See [`begin_own_work`].
pub fn end_own_work() {
    race_checker::set_unwatched(false);
}

/// What this thread does next is the program's first work. It finds no error of calls that it did not make:
/// `errno` is zero (C, 7.5), and `dlerror` has nothing to tell.
pub(crate) fn begin_program() {
    race_checker::set_unwatched(false);
    // SAFETY: forgets this thread's message; the place of `errno` is this thread's.
    unsafe {
        libc::dlerror();
        *libc::__errno_location() = 0;
    }
}

/// What controllers call this kind of system.
pub(crate) fn target_triple() -> String {
    format!("{}-pc-linux-gnu", std::env::consts::ARCH)
}

/// `AT_HWCAP` and `AT_HWCAP2`.
pub(crate) fn capabilities() -> (u64, u64) {
    // SAFETY: `getauxval` reads a table of the process, and answers 0 for what is not in it.
    unsafe {
        (
            libc::getauxval(libc::AT_HWCAP),
            libc::getauxval(libc::AT_HWCAP2),
        )
    }
}

/// Identifies the running kernel; empty if the system does not tell.
pub(crate) fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// Names the files that this process sees; empty if the system does not tell.
pub(crate) fn mount_namespace() -> String {
    let link = std::fs::read_link("/proc/self/ns/mnt");
    link.map_or_else(|_| String::new(), |link| link.display().to_string())
}

/// Which of the two processes this is after a fork.
pub(crate) enum Forked {
    Child,
    /// The child's process id.
    Parent(libc::pid_t),
}

/// Forks. The process must have one thread only.
pub(crate) fn fork() -> io::Result<Forked> {
    // SAFETY: with one thread, the child's memory is as consistent as the parent's.
    match unsafe { libc::fork() } {
        0 => Ok(Forked::Child),
        pid @ 1.. => Ok(Forked::Parent(pid)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Waits until a child has ended.
pub(crate) fn wait_for(pid: libc::pid_t) -> io::Result<ExitStatus> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is a valid place for the answer.
        if unsafe { libc::waitpid(pid, &raw mut status, 0) } >= 0 {
            return Ok(if libc::WIFSIGNALED(status) {
                ExitStatus {
                    value: libc::WTERMSIG(status),
                    signaled: true,
                }
            } else {
                ExitStatus {
                    value: libc::WEXITSTATUS(status),
                    signaled: false,
                }
            });
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Whether children that end are forgotten at once, instead of waiting to be waited for.
pub(crate) fn forget_children(forget: bool) {
    let action = if forget { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: no handler is installed, and none was.
    unsafe { libc::signal(libc::SIGCHLD, action) };
}

/// A copy of a descriptor that no program started later inherits.
pub(crate) fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: only makes another number for it, above those of the standard streams.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Whether a call failed because the system has too little of something, for now.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    let shortages = [
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOBUFS,
        libc::ENOMEM,
        libc::EAGAIN,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| shortages.contains(&code))
}

/// Ends another process.
pub(crate) fn kill(pid: libc::pid_t) {
    // SAFETY: the process is a child that has not been waited for.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// Takes over a descriptor that the process was started with. `None` if it is not open.
pub(crate) fn inherited(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: asks about a number.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return None;
    }
    // SAFETY: it is open, and whoever started the process gave it for this use.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Files that the process makes are for its user only, until the mask that is returned is put back.
pub(crate) fn set_file_mask(mask: libc::mode_t) -> libc::mode_t {
    // SAFETY: no precondition.
    unsafe { libc::umask(mask) }
}

/// The user that the process runs as.
pub(crate) fn user() -> u32 {
    // SAFETY: no precondition.
    unsafe { libc::geteuid() }
}

/// Ends the process now, whatever it does: no exit handler and no destructor runs.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: no precondition.
    unsafe { libc::_exit(code) }
}

/// Makes the descriptors 0, 1 and 2 lead where these lead.
pub(crate) fn replace_standard_streams(streams: [&OwnedFd; 3]) -> io::Result<()> {
    // Copies above all of them, so that none is overwritten before it is used.
    let mut copies = Vec::with_capacity(3);
    for stream in streams {
        copies.push(stream.try_clone()?);
    }
    for (number, copy) in copies.iter().enumerate() {
        redirect(copy.as_raw_fd(), number as RawFd)?;
    }
    Ok(())
}

/// Makes the descriptor `number` lead where `fd` leads. Programs that are started inherit it.
pub(crate) fn redirect(fd: RawFd, number: RawFd) -> io::Result<()> {
    // SAFETY: the standard streams belong to the whole process; that they change is asked for.
    if unsafe { libc::dup2(fd, number) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Changes the working directory.
pub(crate) fn change_directory(path: &[u8]) -> io::Result<()> {
    let path = CString::new(path)?;
    // SAFETY: the path is a C string.
    if unsafe { libc::chdir(path.as_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Takes a variable out of the environment, also out of what other processes see of it in
/// `/proc/PID/environ`: the value of a secret that the program is not to find.
///
/// # Safety
/// No other thread reads or changes the environment, and nobody keeps a pointer to the value.
pub unsafe fn take_variable(name: &str) -> Option<OsString> {
    let name = CString::new(name).ok()?;
    // SAFETY: the name is a C string; nobody changes the environment meanwhile.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: what `getenv` returns is a C string.
    let taken = unsafe { CStr::from_ptr(value) }.to_bytes().to_vec();
    // SAFETY: the entry is as long as it was measured, and writable: the initial stack, which is what
    // the kernel shows, or memory of whoever has set it.
    unsafe { std::ptr::write_bytes(value, 0, taken.len()) };
    // SAFETY: as for `getenv`: the caller promises that no other thread looks at the environment.
    unsafe { libc::unsetenv(name.as_ptr()) };
    Some(OsString::from_vec(taken))
}

/// Replaces the environment by these "NAME=value" entries.
pub(crate) fn replace_environment(entries: &[Vec<u8>]) -> io::Result<()> {
    let mut pairs = Vec::with_capacity(entries.len());
    for entry in entries {
        let Some(at) = entry.iter().position(|&byte| byte == b'=') else {
            let text = String::from_utf8_lossy(entry);
            let problem = format!("the environment's entry {text:?} has no '='");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        };
        pairs.push((CString::new(&entry[..at])?, CString::new(&entry[at + 1..])?));
    }
    // SAFETY: the program has not started, and no thread of ours reads the environment.
    unsafe { libc::clearenv() };
    for (name, value) in &pairs {
        // SAFETY: both are C strings, of which the C library makes copies.
        if unsafe { libc::setenv(name.as_ptr(), value.as_ptr(), 1) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
