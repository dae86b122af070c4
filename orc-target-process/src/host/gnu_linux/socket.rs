//! Bytes and descriptors through sockets and pipes.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Most descriptors that one message may carry.
pub(crate) const DESCRIPTORS_MAX: usize = 8;

/// Room for a control message with that many descriptors, aligned as it must be.
#[repr(C, align(8))]
struct Control([MaybeUninit<u8>; 128]);

// What `CMSG_SPACE` of the descriptors takes: a header of 16 bytes, then 4 bytes for each.
const _: () = assert!(16 + DESCRIPTORS_MAX * 4 <= 128);

impl Control {
    const fn new() -> Self {
        Self([MaybeUninit::uninit(); 128])
    }
}

/// What a descriptor leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StreamKind {
    /// A socket between processes of one host, which takes descriptors along.
    UnixSocket,
    /// Another socket.
    Socket,
    /// A pipe, or whatever can be read and written.
    Pipe,
}

/// What `fd` leads to.
pub(crate) fn kind_of(fd: &impl AsRawFd) -> StreamKind {
    let mut domain: libc::c_int = 0;
    let mut size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: both are valid places for the answer; what is no socket gives an error.
    let status = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_DOMAIN,
            (&raw mut domain).cast(),
            &raw mut size,
        )
    };
    match (status, domain) {
        (0, libc::AF_UNIX) => StreamKind::UnixSocket,
        (0, _) => StreamKind::Socket,
        _ => StreamKind::Pipe,
    }
}

/// Sends small messages at once, if this is a TCP socket.
pub(crate) fn send_at_once(fd: &impl AsRawFd) {
    set_tcp_option(fd.as_raw_fd(), libc::TCP_NODELAY);
}

fn set_tcp_option(fd: RawFd, option: libc::c_int) {
    let on: libc::c_int = 1;
    // SAFETY: the option's value is a valid place. Other sockets refuse, which does not matter.
    unsafe {
        libc::setsockopt(
            fd,
            libc::IPPROTO_TCP,
            option,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}

/// A pair of connected sockets that no program started later inherits.
pub(crate) fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (left, right) = std::os::unix::net::UnixStream::pair()?;
    Ok((left.into(), right.into()))
}

/// Whether `fd` has something to read (or has ended), waiting for up to `timeout`.
pub(crate) fn wait_readable(fd: RawFd, timeout: Duration) -> io::Result<bool> {
    let mut poll = libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    let milliseconds = libc::c_int::try_from(timeout.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: `poll` is one valid entry.
    match unsafe { libc::poll(&raw mut poll, 1, milliseconds) } {
        0 => Ok(false),
        1.. => Ok(true),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Which of `fds` have something to read (or have ended), waiting for up to `timeout`, or for ever.
pub(crate) fn wait_for_any(fds: &[RawFd], timeout: Option<Duration>) -> io::Result<Vec<bool>> {
    let entry = |&fd: &RawFd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    let mut polls: Vec<_> = fds.iter().map(entry).collect();
    // Rounded up, or the last millisecond would be spent in many calls.
    let milliseconds = timeout.map_or(-1, |it| {
        libc::c_int::try_from(it.as_micros().div_ceil(1000)).unwrap_or(libc::c_int::MAX)
    });
    let count = polls.len() as libc::nfds_t;
    // SAFETY: there are `count` valid entries.
    if unsafe { libc::poll(polls.as_mut_ptr(), count, milliseconds) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
        return Ok(vec![false; fds.len()]);
    }
    Ok(polls.iter().map(|poll| poll.revents != 0).collect())
}

/// The user at the other end of a Unix socket.
pub(crate) fn peer_user(fd: &impl AsRawFd) -> io::Result<u32> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut size = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: both are valid places for the answer.
    let status = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut size,
        )
    };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(peer.uid)
}

/// Reads into the free space of `buffer`, at most `limit` bytes; 0 at the end of the stream. From a
/// Unix socket, descriptors come along.
pub(crate) fn read(
    fd: RawFd,
    kind: StreamKind,
    buffer: &mut Vec<u8>,
    limit: usize,
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let free = buffer.spare_capacity_mut();
    let size = free.len().min(limit);
    let start = free.as_mut_ptr().cast::<libc::c_void>();
    if kind == StreamKind::Socket {
        // LLVM's controllers send a header and then a body, and their system waits with the body
        // until the header is acknowledged: 40 ms a call, unless that is done at once. The option
        // holds for the next packet only.
        set_tcp_option(fd, libc::TCP_QUICKACK);
    }
    let count = if kind == StreamKind::UnixSocket {
        receive(fd, start, size, descriptors)?
    } else {
        // SAFETY: the free space has at least `size` bytes.
        let count = unsafe { libc::read(fd, start, size) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())?
    };
    // SAFETY: the system filled so many bytes of the free space.
    unsafe { buffer.set_len(buffer.len() + count) };
    Ok(count)
}

fn receive(
    fd: RawFd,
    start: *mut libc::c_void,
    size: usize,
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut control = Control::new();
    let mut part = libc::iovec {
        iov_base: start,
        iov_len: size,
    };
    // SAFETY: all zero is an empty message header.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = size_of::<Control>();
    // SAFETY: the header leads to one part with room for `size` bytes, and to room for control data.
    let count = unsafe { libc::recvmsg(fd, &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: recvmsg filled the header.
    unsafe { take_descriptors(&message, descriptors) };
    if message.msg_flags & libc::MSG_CTRUNC != 0 {
        let problem = "a message with too many descriptors";
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    Ok(count)
}

/// Takes over the descriptors that came with a message.
///
/// # Safety
/// `message` must have been filled by recvmsg.
unsafe fn take_descriptors(message: &libc::msghdr, descriptors: &mut Vec<OwnedFd>) {
    // SAFETY: these walk the control data that recvmsg wrote, within its size.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while !header.is_null() {
            let entry = header.read_unaligned();
            if entry.cmsg_level == libc::SOL_SOCKET && entry.cmsg_type == libc::SCM_RIGHTS {
                let data = libc::CMSG_DATA(header).cast::<RawFd>();
                let bytes = entry.cmsg_len as usize - (data as usize - header as usize);
                for index in 0..bytes / size_of::<RawFd>() {
                    descriptors.push(OwnedFd::from_raw_fd(data.add(index).read_unaligned()));
                }
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
}

/// Writes all parts in their order. `descriptors` go with the first byte, through a Unix socket.
pub(crate) fn write_all(
    fd: RawFd,
    kind: StreamKind,
    parts: &[&[u8]],
    descriptors: &[RawFd],
) -> io::Result<()> {
    let total: usize = parts.iter().map(|part| part.len()).sum();
    let mut done = 0;
    while done < total {
        let with = if done == 0 { descriptors } else { &[] };
        match write_once(fd, kind, parts, done, with) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes some of the parts' bytes from the `skip`th on.
fn write_once(
    fd: RawFd,
    kind: StreamKind,
    parts: &[&[u8]],
    mut skip: usize,
    descriptors: &[RawFd],
) -> io::Result<usize> {
    let mut vectors = [libc::iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: 0,
    }; 4];
    let mut count = 0;
    for part in parts {
        let rest = part.get(skip..).unwrap_or_default();
        skip = skip.saturating_sub(part.len());
        if !rest.is_empty() && count < vectors.len() {
            vectors[count].iov_base = rest.as_ptr().cast_mut().cast();
            vectors[count].iov_len = rest.len();
            count += 1;
        }
    }
    let vectors = &mut vectors[..count];
    if kind == StreamKind::Pipe {
        return without_broken_pipe_signal(|| {
            // SAFETY: the vectors lead to the rest of the parts.
            unsafe { libc::writev(fd, vectors.as_ptr(), vectors.len() as libc::c_int) }
        });
    }
    send(fd, vectors, descriptors)
}

fn send(fd: RawFd, vectors: &mut [libc::iovec], descriptors: &[RawFd]) -> io::Result<usize> {
    let mut control = Control::new();
    // SAFETY: all zero is an empty message header.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = vectors.as_mut_ptr();
    message.msg_iovlen = vectors.len();
    if !descriptors.is_empty() {
        let descriptors = &descriptors[..descriptors.len().min(DESCRIPTORS_MAX)];
        let bytes = size_of_val(descriptors) as libc::c_uint;
        message.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: the control buffer has room for `DESCRIPTORS_MAX` descriptors and their header,
        // and is aligned for it.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(bytes) as usize;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(bytes) as usize;
            let data = libc::CMSG_DATA(header).cast::<RawFd>();
            for (index, fd) in descriptors.iter().enumerate() {
                data.add(index).write_unaligned(*fd);
            }
        }
    }
    // SAFETY: the header leads to the rest of the parts and to the control data.
    let count = unsafe { libc::sendmsg(fd, &raw const message, libc::MSG_NOSIGNAL) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Does a write to a pipe, the other end of which may be closed, without a signal to the process.
fn without_broken_pipe_signal(write: impl FnOnce() -> isize) -> io::Result<usize> {
    let mut pipe = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the sets are valid places, and the first is initialized by sigemptyset.
    let blocked = unsafe {
        libc::sigemptyset(pipe.as_mut_ptr());
        libc::sigaddset(pipe.as_mut_ptr(), libc::SIGPIPE);
        libc::pthread_sigmask(libc::SIG_BLOCK, pipe.as_ptr(), before.as_mut_ptr()) == 0
    };
    let result = usize::try_from(write()).map_err(|_| io::Error::last_os_error());
    if !blocked {
        return result;
    }
    // SAFETY: pthread_sigmask stored the mask in `before`; `pipe` is initialized. One that was
    // blocked before may be pending for the program's sake.
    unsafe {
        let was_blocked = libc::sigismember(before.as_ptr(), libc::SIGPIPE) == 1;
        let broken = matches!(&result, Err(error) if error.kind() == io::ErrorKind::BrokenPipe);
        if broken && !was_blocked {
            let now = libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            libc::sigtimedwait(pipe.as_ptr(), std::ptr::null_mut(), &raw const now);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
    }
    result
}

/// Writes without waiting; whether all was written. Takes no memory.
pub(crate) fn write_at_once(fd: RawFd, kind: StreamKind, bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        let count = match kind {
            StreamKind::Pipe if !is_writable(fd) => return false,
            // A pipe that is ready takes so many bytes.
            StreamKind::Pipe => {
                let piece = &rest[..rest.len().min(libc::PIPE_BUF)];
                without_broken_pipe_signal(|| {
                    // SAFETY: the piece is what it says.
                    unsafe { libc::write(fd, piece.as_ptr().cast(), piece.len()) }
                })
            }
            StreamKind::UnixSocket | StreamKind::Socket => {
                let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
                // SAFETY: the rest is what it says.
                let count = unsafe { libc::send(fd, rest.as_ptr().cast(), rest.len(), flags) };
                usize::try_from(count).map_err(|_| io::Error::last_os_error())
            }
        };
        match count {
            Ok(count @ 1..) => rest = &rest[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return false,
        }
    }
    true
}

fn is_writable(fd: RawFd) -> bool {
    let mut poll = libc::pollfd {
        fd,
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: `poll` is one valid entry.
    let count = unsafe { libc::poll(&raw mut poll, 1, 0) };
    count == 1 && poll.revents & libc::POLLOUT != 0
}

/// Wakes those who read: nothing more comes.
pub(crate) fn end_reading(fd: RawFd) {
    // SAFETY: a call about a descriptor; what is no socket refuses it.
    unsafe { libc::shutdown(fd, libc::SHUT_RD) };
}

/// Tells the other end that nothing more comes.
pub(crate) fn end_writing(fd: RawFd) {
    // SAFETY: a call about a descriptor; what is no socket refuses it.
    unsafe { libc::shutdown(fd, libc::SHUT_WR) };
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;

    use super::*;

    #[test]
    fn bytes_and_descriptors_arrive_together() {
        let (left, right) = socket_pair().expect("sockets");
        assert_eq!(kind_of(&left), StreamKind::UnixSocket);
        let path = "/proc/self/comm";
        let file = File::open(path).expect("is there");
        let parts: [&[u8]; 3] = [b"ab", b"", b"cde"];
        let fds = [file.as_raw_fd(), file.as_raw_fd()];
        write_all(left.as_raw_fd(), StreamKind::UnixSocket, &parts, &fds).expect("writes");
        let (mut bytes, mut descriptors) = (Vec::with_capacity(2), Vec::new());
        let kind = StreamKind::UnixSocket;
        let count = read(right.as_raw_fd(), kind, &mut bytes, 2, &mut descriptors);
        assert_eq!((count.expect("reads"), &bytes[..]), (2, &b"ab"[..]));
        assert_eq!(descriptors.len(), 2);
        let mut text = String::new();
        let received = File::from(descriptors.remove(1));
        (&received).read_to_string(&mut text).expect("reads");
        assert_eq!(text, std::fs::read_to_string(path).expect("is there"));
        bytes.reserve(100);
        let count = read(right.as_raw_fd(), kind, &mut bytes, 100, &mut descriptors);
        assert_eq!((count.expect("reads"), &bytes[2..]), (3, &b"cde"[..]));
        assert_eq!(descriptors.len(), 1);
    }

    #[test]
    fn a_closed_pipe_is_an_error_and_no_signal() {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        assert_eq!(kind_of(&writer), StreamKind::Pipe);
        drop(reader);
        // The test's process would die of the signal if Rust's start-up did not ignore it; so its
        // default action is put back for a moment.
        // SAFETY: sets and restores an action.
        let error = unsafe {
            let before = libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            let error = write_all(writer.as_raw_fd(), StreamKind::Pipe, &[b"x"], &[]);
            libc::signal(libc::SIGPIPE, before);
            error
        };
        assert_eq!(
            error.expect_err("nobody reads").kind(),
            io::ErrorKind::BrokenPipe
        );
    }
}
