//! Processes that this side has started: executors, and commands that lead to one.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt as _, FdMapping};
use orc_shared::remote::services;
use orc_system::limits::check_file_size;
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::connection::{Peer, Told};
use crate::executor::Disconnect;

/// How long a process whose connection has ended may take to end, too.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where descriptors for a child start, if the process may have that many: the program there may
/// expect the low ones.
const HIGH_DESCRIPTOR: i32 = 800;

/// The lowest number that is not a standard stream's.
const ABOVE_STREAMS: i32 = 3;

/// The same under a number that is not a standard stream's. Where those are closed, whatever is opened
/// gets their numbers, and what the process prints would go there.
///
/// # Errors
/// When the process may have no more descriptors.
pub(super) fn above_streams(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    if std::os::fd::AsRawFd::as_raw_fd(&descriptor) >= ABOVE_STREAMS {
        return Ok(descriptor);
    }
    Ok(rustix::io::fcntl_dupfd_cloexec(&descriptor, ABOVE_STREAMS)?)
}

/// Two sockets that are connected: this side's, and the other's.
///
/// # Errors
/// When the system refuses them.
pub(super) fn socket_pair() -> io::Result<(UnixStream, OwnedFd)> {
    let (own, theirs) = UnixStream::pair()?;
    Ok((
        above_streams(own.into())?.into(),
        above_streams(theirs.into())?,
    ))
}

/// A child process, killed and reaped when this is dropped.
pub(super) struct Process {
    child: Mutex<Child>,
    /// Whose child it is: not that of a process which is forked from it.
    parent: u32,
    /// Whether what it has started is killed with it.
    leads_to_others: bool,
}

impl Process {
    pub(super) fn new(child: Child) -> Self {
        Self {
            child: Mutex::new(child),
            parent: std::process::id(),
            leads_to_others: false,
        }
    }

    /// A command that leads to an executor: a shell, say, whose own commands would be left waiting for
    /// ever.
    pub(super) fn of_command(child: Child) -> Self {
        Self {
            child: Mutex::new(child),
            parent: std::process::id(),
            leads_to_others: true,
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.lock().id()
    }

    /// Its status, if it ends within `patience`.
    fn wait(&self, patience: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        let mut watch = Watch::on(self.id());
        loop {
            if let Ok(Some(status)) = self.child.lock().try_wait() {
                return Some(status);
            }
            watch.wait(patience.checked_sub(start.elapsed())?);
        }
    }

    fn kill(&self) {
        let started = match self.leads_to_others {
            true => descendants(self.id()),
            // What a program has started lives on, as it does without us.
            false => Vec::new(),
        };
        let mut child = self.child.lock();
        // It may have ended by itself meanwhile.
        let _ = child.kill();
        let _ = child.wait();
        for pid in started {
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Whether a debugger has stopped it.
    fn is_traced(&self) -> bool {
        state(self.id()).is_some_and(|(state, _)| state == 't')
    }
}

/// Waits for a process's end.
enum Watch {
    /// The system tells.
    Descriptor(OwnedFd),
    /// It does not, so somebody has to look, after this time.
    Pause(Duration),
}

impl Watch {
    fn on(pid: u32) -> Self {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let opened = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        opened.map_or(Self::Pause(Duration::from_micros(100)), Self::Descriptor)
    }

    /// Returns when the process may have ended, after `most` at the latest.
    fn wait(&mut self, most: Duration) {
        match self {
            Self::Descriptor(process) => {
                let mut ends = [PollFd::new(process, PollFlags::IN)];
                // An interruption is as good as an end: whoever waits looks.
                let _ = poll(&mut ends, Timespec::try_from(most).ok().as_ref());
            }
            Self::Pause(pause) => {
                std::thread::sleep((*pause).min(most));
                *pause = (*pause * 2).min(Duration::from_millis(20));
            }
        }
    }
}

/// The state of a process, and its parent; `None` if there is none.
fn state(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // They follow the name, which is in parentheses and may hold any character.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}

/// All processes that a process has started, directly or not, as far as their parents live.
fn descendants(pid: u32) -> Vec<Pid> {
    let files = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = files.filter_map(|file| file.file_name().to_str()?.parse().ok());
    let parents: Vec<(u32, u32)> = pids
        .filter_map(|pid: u32| Some((pid, state(pid)?.1)))
        .collect();
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        next += 1;
        family.extend(parents.iter().filter(|it| it.1 == parent).map(|it| it.0));
    }
    let started = family.into_iter().skip(1);
    started
        .filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
        .collect()
}

/// Ends all processes that `pid` has started, directly or not: they are asked to, and killed if they
/// have not ended after `patience`.
pub fn end_descendants(pid: u32, patience: Duration) {
    // Of one whose parent ends, nobody knows any more where it came from.
    let all = descendants(pid);
    let signal = |signal| {
        for pid in &all {
            // It may have ended meanwhile.
            let _ = kill_process(*pid, signal);
        }
    };
    let lives = |pid: &Pid| {
        state(pid.as_raw_nonzero().get().cast_unsigned()).is_some_and(|(state, _)| state != 'Z')
    };
    let start = Instant::now();
    signal(Signal::TERM);
    while all.iter().any(lives) {
        if start.elapsed() > patience {
            return signal(Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.parent == std::process::id() && self.wait(Duration::ZERO).is_none() {
            self.kill();
        }
    }
}

/// An executor that is a child: its status tells how it ended.
pub(super) struct SpawnedExecutor(pub(super) Process);

impl Peer for SpawnedExecutor {
    fn ended(&self, by: Disconnect, told: &Told) -> Disconnect {
        if matches!(by, Disconnect::Silent(_) | Disconnect::Protocol(_)) {
            self.0.kill();
            return by;
        }
        match self.0.wait(PATIENCE) {
            Some(_) if by == Disconnect::Closed => by,
            Some(status) => cause(status, told),
            None => {
                let pid = self.0.id();
                self.0.kill();
                Disconnect::Stuck { pid }
            }
        }
    }

    fn is_debugged(&self) -> bool {
        self.0.is_traced()
    }
}

/// What a status of an executor says.
fn cause(status: ExitStatus, told: &Told) -> Disconnect {
    let (value, signaled) = match (status.code(), status.signal()) {
        (Some(code), _) => (code, false),
        (None, signal) => (signal.unwrap_or_default(), true),
    };
    ended(services::ExitStatus { value, signaled }, told)
}

fn ended(status: services::ExitStatus, told: &Told) -> Disconnect {
    let crash = told.crash.clone().filter(|_| status.signaled);
    Disconnect::Ended(status, crash.map(Box::new))
}

/// An executor that others have started, perhaps reached through a command.
pub(super) struct ReachedExecutor {
    /// The command and what it is, for messages.
    pub(super) command: Option<(Process, String)>,
}

impl Peer for ReachedExecutor {
    fn ended(&self, by: Disconnect, told: &Told) -> Disconnect {
        let misbehaved = matches!(by, Disconnect::Silent(_) | Disconnect::Protocol(_));
        let status = match &self.command {
            Some((command, _)) if misbehaved => {
                command.kill();
                None
            }
            Some((command, _)) => command.wait(PATIENCE),
            None => None,
        };
        if misbehaved || by == Disconnect::Closed {
            return by;
        }
        match (told.exit, &self.command, status) {
            (Some(status), ..) => ended(status, told),
            // Nobody is left to say that it has ended, but it did say that it would.
            (None, None, _) if told.crash.is_some() => ended(announced(told), told),
            (None, Some((_, line)), Some(status)) if !status.success() => Disconnect::Command {
                line: line.clone(),
                status: status.to_string(),
            },
            _ => by,
        }
    }
}

/// The status of an executor that has announced its crash.
fn announced(told: &Told) -> services::ExitStatus {
    services::ExitStatus {
        value: told.crash.as_ref().map_or(0, |crash| crash.report.signal),
        signaled: true,
    }
}

/// Starts a command with `sockets` under high numbers, which `mention` tells it of.
///
/// # Errors
/// When it does not start.
pub(super) fn spawn_with_sockets<T>(
    mut command: Command,
    sockets: Vec<OwnedFd>,
    mention: impl FnOnce(&[i32], &mut Command) -> T,
) -> io::Result<(Process, T)> {
    let mappings: Vec<FdMapping> = sockets
        .into_iter()
        .map(|socket| {
            let high = |lowest| rustix::io::fcntl_dupfd_cloexec(&socket, lowest).ok();
            let moved = [HIGH_DESCRIPTOR, 64, ABOVE_STREAMS]
                .into_iter()
                .find_map(high);
            let parent_fd = moved.unwrap_or(socket);
            let child_fd = std::os::fd::AsRawFd::as_raw_fd(&parent_fd);
            FdMapping {
                parent_fd,
                child_fd,
            }
        })
        .collect();
    let numbers: Vec<i32> = mappings.iter().map(|mapping| mapping.child_fd).collect();
    let mentioned = mention(&numbers, &mut command);
    command.fd_mappings(mappings).map_err(io::Error::other)?;
    Ok((Process::new(command.spawn()?), mentioned))
}

/// A file that exists in memory only, with the bytes of a program.
///
/// # Errors
/// When the system refuses memory.
pub(super) fn program_in_memory(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    check_file_size(bytes.len() as u64)?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = above_streams(rustix::fs::memfd_create(name, flags)?)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let count = rustix::io::write(file.as_fd(), rest)?;
        rest = &rest[count..];
    }
    // A file that is being written to cannot be executed, nor should it change while it runs.
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file)
}

/// Runs a program that exists in memory only in the place of this process, with these variables on top of
/// its environment. Returns what is in the way.
#[must_use]
pub fn become_program(
    bytes: &[u8],
    name: &str,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    variables: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
) -> io::Error {
    match program_in_memory(name, bytes) {
        Ok(file) => command_of(&file, name).args(args).envs(variables).exec(),
        Err(error) => error,
    }
}

/// What the failure to start a program means that exists in memory only.
pub(super) fn not_started(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::NotFound && !Path::new("/proc/self/fd").exists() {
        let problem = "/proc is not mounted: an executor that is carried along is started through it; \
                       name one that is a file, as in spawn:PATH";
        return io::Error::other(problem);
    }
    error
}

/// The command that runs such a file as `name`.
pub(super) fn command_of(file: &OwnedFd, name: &str) -> Command {
    let number = std::os::fd::AsRawFd::as_raw_fd(file);
    let mut command = Command::new(format!("/proc/self/fd/{number}"));
    command.arg0(name);
    command
}
