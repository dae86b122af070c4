//! Waiting for controllers.
//!
//! Whoever connects is nobody until it has shown the token (or, through a Unix socket, is the same
//! user). Until then a connection costs a descriptor and a few bytes, for a short time: the listener
//! itself does nothing but wait, so neither a slow client nor a thousand of them keep others out.
//! A process of its own is made for each controller afterwards.

use std::io;
use std::net::{TcpListener, ToSocketAddrs as _};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use orc_shared::remote::token::SIZE as TOKEN_SIZE;
pub use orc_shared::remote::token::Token;

use super::relay::{self, Outer};
use super::{Limits, Server, report};
use crate::host;
use crate::host::process::Forked;
use crate::host::socket::{self, StreamKind};

/// How long a client may take to show its token.
const TOKEN_TIME_MAX: Duration = Duration::from_secs(5);

/// Clients without a token that are waited for at one time. One more sends the oldest away.
const UNKNOWN_MAX: usize = 64;

/// How long to wait for descriptors or processes if the system has none.
const SHORTAGE: Duration = Duration::from_millis(100);

/// Where an executor waits for controllers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// A Unix socket's path.
    Unix(PathBuf),
    /// Host and port, as in "127.0.0.1:7000"; port 0 for any.
    Tcp(String),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

/// A socket that listens.
enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// Waits for controllers, and runs an executor for each.
pub struct Listener {
    socket: Socket,
    token: Option<Token>,
    limits: Limits,
}

/// A client that has not shown its token.
struct Unknown {
    connection: OwnedFd,
    shown: Vec<u8>,
    until: Instant,
}

impl Listener {
    /// Listens. A Unix socket is for the user of this process only, and needs no token.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn new(address: &Address, token: Option<Token>, limits: Limits) -> io::Result<Self> {
        let socket = match address {
            Address::Unix(path) => Socket::Unix(bind_unix(path)?),
            Address::Tcp(address) => Socket::Tcp(TcpListener::bind(address)?),
        };
        Ok(Self {
            socket,
            token,
            limits,
        })
    }

    /// Where it listens, as a controller names it.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn place(&self) -> io::Result<String> {
        Ok(match &self.socket {
            Socket::Unix(socket) => {
                let address = socket.local_addr()?;
                let path = address.as_pathname().unwrap_or(Path::new(""));
                format!("unix:{}", path.display())
            }
            Socket::Tcp(socket) => format!("tcp:{}", socket.local_addr()?),
        })
    }

    /// Removes the file of a Unix socket, where nobody will be served.
    pub(crate) fn withdraw(&self) {
        if let Socket::Unix(socket) = &self.socket
            && let Ok(address) = socket.local_addr()
            && let Some(path) = address.as_pathname()
        {
            // A file that is left behind is taken over by the next one that listens there.
            let _ = std::fs::remove_file(path);
        }
    }

    /// Serves controllers, each in a process of its own, for ever. This process must have one thread.
    ///
    /// # Errors
    /// When the system fails in a way that waiting does not mend.
    ///
    /// # Safety
    /// As for [`Server::serve`], for whoever can connect: who knows the token, or is this user.
    pub unsafe fn run(self) -> io::Result<std::convert::Infallible> {
        let mut unknown: Vec<Unknown> = Vec::new();
        host::process::forget_children(true);
        loop {
            let now = Instant::now();
            unknown.retain(|client| client.until > now);
            let mut fds = vec![self.raw()];
            fds.extend(unknown.iter().map(|client| client.connection.as_raw_fd()));
            let next = unknown.iter().map(|client| client.until).min();
            let ready = socket::wait_for_any(&fds, next.map(|until| until - now))?;
            let mut ready = ready.into_iter();
            let connects = ready.next().unwrap_or(false);
            let mut accepted = Vec::new();
            for (mut client, ready) in std::mem::take(&mut unknown).into_iter().zip(ready) {
                match if ready { self.hear(&mut client) } else { None } {
                    None => unknown.push(client),
                    Some(true) => accepted.push(client.connection),
                    Some(false) => {}
                }
            }
            if connects && let Some(connection) = self.accept()? {
                if self.token.is_none() {
                    accepted.push(connection);
                } else {
                    if unknown.len() >= UNKNOWN_MAX {
                        unknown.remove(0);
                    }
                    unknown.push(Unknown {
                        connection,
                        shown: Vec::with_capacity(TOKEN_SIZE),
                        // Its time begins now, however long the wait for it was.
                        until: Instant::now() + TOKEN_TIME_MAX,
                    });
                }
            }
            while let Some(connection) = accepted.pop() {
                // SAFETY: it has shown the token, or is this user.
                unsafe { self.serve(connection, &mut unknown, &mut accepted) }?;
            }
        }
    }

    fn raw(&self) -> RawFd {
        match &self.socket {
            Socket::Unix(socket) => socket.as_raw_fd(),
            Socket::Tcp(socket) => socket.as_raw_fd(),
        }
    }

    /// Takes a connection. `None` if it is gone already, or not for us.
    fn accept(&self) -> io::Result<Option<OwnedFd>> {
        let accepted = match &self.socket {
            Socket::Unix(socket) => socket.accept().map(|(it, _)| OwnedFd::from(it)),
            Socket::Tcp(socket) => socket.accept().map(|(it, _)| OwnedFd::from(it)),
        };
        match accepted {
            Ok(connection) if self.is_for_us(&connection) => Ok(Some(connection)),
            Ok(_) => Ok(None),
            Err(error) if is_shortage(&error) => {
                std::thread::sleep(SHORTAGE);
                Ok(None)
            }
            // The client is gone.
            Err(error) if error.kind() != io::ErrorKind::InvalidInput => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_for_us(&self, connection: &OwnedFd) -> bool {
        match &self.socket {
            Socket::Unix(_) => socket::peer_user(connection)
                .is_ok_and(|user| user == 0 || user == host::process::user()),
            Socket::Tcp(_) => true,
        }
    }

    /// Reads what a client shows: whether it may come in, once that is known.
    fn hear(&self, client: &mut Unknown) -> Option<bool> {
        let left = TOKEN_SIZE - client.shown.len();
        let (fd, kind) = (client.connection.as_raw_fd(), StreamKind::Socket);
        match socket::read(fd, kind, &mut client.shown, left, &mut Vec::new()) {
            Ok(0) => Some(false),
            Ok(_) => {
                let shown = client.shown.first_chunk::<{ TOKEN_SIZE }>()?;
                Some(self.token.as_ref().is_some_and(|token| token.is(shown)))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
            Err(_) => Some(false),
        }
    }

    /// Starts a process for a controller.
    ///
    /// # Safety
    /// As for [`Server::serve`].
    unsafe fn serve(
        &self,
        connection: OwnedFd,
        unknown: &mut Vec<Unknown>,
        others: &mut Vec<OwnedFd>,
    ) -> io::Result<()> {
        match host::process::fork() {
            Ok(Forked::Parent(_)) => Ok(()),
            Ok(Forked::Child) => {
                host::process::forget_children(false);
                // A copy that stays open would hide the end of another's connection.
                unknown.clear();
                others.clear();
                close(self.raw());
                let output = connection.try_clone()?;
                let outer = Outer {
                    input: connection,
                    output,
                    copies: copies_of_streams()?,
                };
                // SAFETY: the caller's promise.
                let Err(error) = unsafe { relay::serve(outer, self.limits) };
                report(format_args!("{error}"));
                host::process::exit_now(1)
            }
            Err(error) if is_shortage(&error) => {
                std::thread::sleep(SHORTAGE);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// Serves a controller through this process's standard input and output. Its own standard output
/// becomes its standard error.
///
/// # Errors
/// When the system fails.
///
/// # Safety
/// As for [`Server::serve`]: who has started the process is the controller.
pub unsafe fn serve_standard_streams(limits: Limits) -> io::Result<std::convert::Infallible> {
    let duplicate = |number| host::process::duplicate(number);
    let outer = Outer {
        input: duplicate(0)?,
        output: duplicate(1)?,
        copies: [duplicate(2)?, duplicate(2)?],
    };
    let nothing = std::fs::File::open("/dev/null")?;
    host::process::redirect(nothing.as_raw_fd(), 0)?;
    host::process::redirect(2, 1)?;
    // SAFETY: the caller's promise.
    unsafe { relay::serve(outer, limits) }
}

/// Waits for one LLVM controller at a port of this host, and serves it. Without a token: everybody
/// on this host can be that controller.
///
/// # Errors
/// When the address is another host's, or cannot be had; or as for [`Server::serve`].
pub fn listen_once(address: &str) -> io::Result<Server> {
    let addresses: Vec<_> = address.to_socket_addrs()?.collect();
    if let Some(other) = addresses.iter().find(|it| !it.ip().is_loopback()) {
        let problem = format!(
            "{other} can be reached from other hosts, and without a token only this host may connect"
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, problem));
    }
    let listener = TcpListener::bind(&addresses[..])?;
    let address = listener.local_addr()?;
    report(format_args!("listening on tcp:{address}"));
    let (connection, _) = listener.accept()?;
    Ok(Server::over_socket(connection.into())?.ends_when_unused(true))
}

/// Binds a socket that only this user can connect to. One that nobody listens at any more is
/// replaced.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let before = host::process::set_file_mask(0o177);
    let bound = UnixListener::bind(path).or_else(|error| {
        let is_socket = std::fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket());
        let refused = || {
            let connected = UnixStream::connect(path);
            matches!(connected, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused)
        };
        if error.kind() == io::ErrorKind::AddrInUse && is_socket && refused() {
            std::fs::remove_file(path)?;
            return UnixListener::bind(path);
        }
        Err(error)
    });
    host::process::set_file_mask(before);
    bound
}

fn copies_of_streams() -> io::Result<[OwnedFd; 2]> {
    Ok([host::process::duplicate(1)?, host::process::duplicate(2)?])
}

fn close(fd: RawFd) {
    drop(host::process::inherited(fd));
}

/// Whether the system has too little of something, for now.
fn is_shortage(error: &io::Error) -> bool {
    host::process::is_shortage(error)
}
