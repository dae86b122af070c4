//! Starting executors, and connecting to those that others have started.

use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use orc_shared::remote::services::Streams;
pub use orc_shared::remote::token::Token;
use orc_shared::remote::token::VARIABLE;

use super::child_process::{self, Process, ReachedExecutor, SpawnedExecutor};
use super::connection::{Connection, Limits, Peer};
use super::llvm_executor;
use super::place::Place;
use super::remote_executor::RemoteExecutor;
use super::stream::Stream;
use crate::executor::{Disconnect, ExecutorError, ExecutorResult};

/// What the executor is called in lists of processes.
const NAME: &str = "orc-executor";

/// Shows the token, before anything else is sent.
fn show(token: &Token, stream: &Stream) -> io::Result<()> {
    let mut rest = &token.bytes()[..];
    while !rest.is_empty() {
        match stream.send(&[IoSlice::new(rest)], &[])? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => rest = &rest[count..],
        }
    }
    Ok(())
}

/// What runs a program for another CPU on this machine.
#[derive(Clone, Debug)]
pub struct Emulator {
    /// The emulator's command.
    pub command: OsString,
    /// Where the other machine's files are, the C library's among them; `None` if the emulator knows.
    pub root: Option<PathBuf>,
    /// An `orc-executor` for that CPU.
    pub program: PathBuf,
}

/// How to get at an executor.
#[derive(Default)]
pub struct Launch {
    program: Option<&'static [u8]>,
    guest: Option<&'static [u8]>,
    emulator: Option<Emulator>,
    environment: Vec<(OsString, OsString)>,
    options: Vec<OsString>,
    limits: Limits,
    token: Option<Token>,
}

impl Launch {
    /// Spawned executors are this program, an ELF executable, if none is named.
    #[must_use]
    pub fn program(mut self, bytes: &'static [u8]) -> Self {
        self.program = Some(bytes);
        self
    }

    /// What LLVM's executors lack is in this shared object, built from `orc-executor-guest`.
    #[must_use]
    pub fn guest(mut self, bytes: &'static [u8]) -> Self {
        self.guest = Some(bytes);
        self
    }

    /// Executors for another CPU are run by this emulator.
    #[must_use]
    pub fn emulator(mut self, emulator: Emulator) -> Self {
        self.emulator = Some(emulator);
        self
    }

    /// A variable of the environment that spawned executors and commands start in, on top of this
    /// process's.
    #[must_use]
    pub fn variable(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let (name, value) = (name.as_ref().to_owned(), value.as_ref().to_owned());
        self.environment.push((name, value));
        self
    }

    /// An argument for the `orc-executor` that is started, as in `--max-memory=1G` or `--read-only`. Those
    /// that others have started, or that are not ours, are refused from then on.
    #[must_use]
    pub fn option(mut self, argument: impl Into<OsString>) -> Self {
        self.options.push(argument.into());
        self
    }

    /// Bounds of the connection.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What is shown to executors behind a TCP port.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Starts or reaches the executor at `place`.
    ///
    /// # Errors
    /// When it cannot be started or reached, or is none for this controller.
    pub fn start(&self, place: &Place) -> ExecutorResult<RemoteExecutor> {
        let takes_options = matches!(place, Place::Spawn(_) | Place::Ssh(_) | Place::Emulated(_));
        if let (Some(option), false) = (self.options.first(), takes_options) {
            let option = option.display();
            return Err(ExecutorError::failed(format_args!(
                "the executor {place} cannot be given options ({option}): only what is started here, \
                 with spawn, qemu or ssh, takes them"
            )));
        }
        let (stream, peer, streams) = match place {
            Place::Spawn(path) => self.spawn(path.as_deref()),
            Place::Llvm(path) => self.llvm(path.as_deref()),
            Place::Emulated(_) => self.emulate(),
            Place::Unix(path) => unix(path),
            Place::Tcp(address) => self.tcp(address),
            Place::Command(command) => self.command(shell(command), command),
            Place::Ssh(host) => self.command(ssh(host, &self.options), &format!("ssh {host}")),
        }
        .map_err(|error| {
            ExecutorError::failed(format_args!("cannot reach the executor {place}: {error}"))
        })?;
        let opened = Connection::open(stream, peer, self.limits);
        let (connection, setup) = opened.map_err(|how| self.refused(place, how))?;
        let accepted = RemoteExecutor::accept(connection.clone(), &setup, &self.limits, streams);
        accepted.map_err(|error| {
            // Its process goes with the connection, which a thread of its own keeps.
            connection.close(Duration::ZERO);
            match error {
                ExecutorError::Disconnected(how) => not_started(place, how),
                error => error,
            }
        })
    }

    /// The error of an executor that does not introduce itself.
    fn refused(&self, place: &Place, how: Disconnect) -> ExecutorError {
        // That is all that it says to strangers.
        let says_nothing = matches!(how, Disconnect::EndOfFile | Disconnect::Silent(_));
        match (place, &self.token) {
            (Place::Tcp(_), Some(_)) if says_nothing => ExecutorError::Mismatch(format!(
                "the executor {place} closed the connection without a word: it knows another token"
            )),
            (Place::Tcp(_), None) if says_nothing => ExecutorError::Mismatch(format!(
                "the executor {place} closed the connection without a word: it wants a token, in a \
                 file or in the environment variable {}",
                VARIABLE
            )),
            _ => not_started(place, how),
        }
    }

    fn spawn(&self, path: Option<&Path>) -> io::Result<Started> {
        let program = match (path, self.program) {
            (Some(_), _) => None,
            (None, Some(bytes)) => Some(child_process::program_in_memory(NAME, bytes)?),
            (None, None) => return Err(io::Error::other("no program is given")),
        };
        let mut command = match (path, &program) {
            (Some(path), _) => Command::new(path),
            (None, Some(file)) => child_process::command_of(file, NAME),
            (None, None) => Command::new(NAME),
        };
        self.set_variables(&mut command);
        self.start_child(command).map_err(|error| match program {
            Some(_) => child_process::not_started(error),
            None => error,
        })
    }

    /// Starts an executor as a child that has one end of a pair of sockets.
    fn start_child(&self, command: Command) -> io::Result<Started> {
        let (own, theirs) = child_process::socket_pair()?;
        let sockets = vec![theirs];
        let (child, ()) =
            child_process::spawn_with_sockets(command, sockets, |numbers, command| {
                command.arg("--fd").arg(numbers[0].to_string());
                // Behind ours, so that a value that is missing is missed.
                command.args(&self.options);
            })?;
        let peer = Box::new(SpawnedExecutor(child));
        Ok((Stream::Unix(own), peer, Streams::Inherited))
    }

    fn emulate(&self) -> io::Result<Started> {
        let emulator = self
            .emulator
            .as_ref()
            .ok_or_else(|| io::Error::other("no emulator is given"))?;
        let mut command = Command::new(&emulator.command);
        if let Some(root) = &emulator.root {
            command.arg("-L").arg(root);
        }
        // The emulator is a program of this machine, to whose loader they would mean something.
        for (name, value) in self.variables() {
            let mut variable = name.to_owned();
            variable.push("=");
            variable.push(value);
            command.arg("-E").arg(variable);
        }
        command.env_remove(VARIABLE).arg(&emulator.program);
        self.start_child(command).map_err(|error| {
            let name = emulator.command.display();
            io::Error::new(error.kind(), format!("{name}: {error}"))
        })
    }

    fn llvm(&self, path: Option<&Path>) -> io::Result<Started> {
        let library = self
            .guest
            .ok_or_else(|| io::Error::other("no library is given"))?;
        let mut command = Command::new(llvm_executor::find_host(path)?);
        self.set_variables(&mut command);
        let (stream, peer) =
            llvm_executor::start(command, library, &self.limits).map_err(io::Error::other)?;
        Ok((stream, peer, Streams::Inherited))
    }

    fn tcp(&self, address: &str) -> io::Result<Started> {
        let mut last = io::Error::other("the host has no address");
        for address in address.to_socket_addrs()? {
            let connected = match self.limits.start {
                Some(limit) => TcpStream::connect_timeout(&address, limit),
                None => TcpStream::connect(address),
            };
            match connected {
                Ok(socket) => {
                    let socket = TcpStream::from(child_process::above_streams(socket.into())?);
                    // A call is one small message, and somebody waits for the answer.
                    socket.set_nodelay(true)?;
                    let stream = Stream::Tcp(socket);
                    if let Some(token) = &self.token {
                        show(token, &stream)?;
                    }
                    let peer = Box::new(ReachedExecutor { command: None });
                    return Ok((stream, peer, Streams::Forwarded));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn command(&self, mut command: Command, line: &str) -> io::Result<Started> {
        let (own, theirs) = child_process::socket_pair()?;
        command
            .envs(self.variables())
            .stdin(Stdio::from(theirs.try_clone()?))
            .stdout(Stdio::from(theirs));
        let child = Process::of_command(command.spawn()?);
        let peer = Box::new(ReachedExecutor {
            command: Some((child, line.to_owned())),
        });
        Ok((Stream::Unix(own), peer, Streams::Forwarded))
    }

    /// What an executor that is started finds in its environment. The secret that leads to others is
    /// nothing for what runs there.
    fn set_variables(&self, command: &mut Command) {
        command.env_remove(VARIABLE).envs(self.variables());
    }

    fn variables(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        let variables = self.environment.iter();
        variables.map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

/// The error of an executor whose connection ends before it is in use.
fn not_started(place: &Place, how: Disconnect) -> ExecutorError {
    let place = place.to_string();
    ExecutorError::NotStarted { place, how }
}

/// A connection, who is at the other end, and how the program's streams get there.
type Started = (Stream, Box<dyn Peer>, Streams);

fn unix(path: &Path) -> io::Result<Started> {
    let socket = child_process::above_streams(UnixStream::connect(path)?.into())?;
    let stream = Stream::Unix(socket.into());
    let peer = Box::new(ReachedExecutor { command: None });
    Ok((stream, peer, Streams::Passed))
}

fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(line);
    command
}

/// What follows the host is read by a shell there, so options are quoted for it.
fn ssh(host: &str, options: &[OsString]) -> Command {
    let mut command = Command::new("ssh");
    command.args(["--", host, NAME, "--stdio"]);
    command.args(options.iter().map(|option| quoted(option)));
    command
}

/// The argument as a POSIX shell reads it.
fn quoted(argument: &OsStr) -> OsString {
    let mut text = OsString::from("'");
    for (index, part) in argument.as_bytes().split(|byte| *byte == b'\'').enumerate() {
        if index > 0 {
            text.push(r"'\''");
        }
        text.push(OsStr::from_bytes(part));
    }
    text.push("'");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_reach_the_other_host_as_they_are() {
        let options = ["--writable=/a b".into(), "it's $HOME".into()];
        let command = ssh("host", &options);
        let arguments: Vec<_> = command.get_args().skip(4).collect();
        assert_eq!(arguments, ["'--writable=/a b'", r"'it'\''s $HOME'"]);
    }

    #[test]
    fn options_are_for_those_that_are_started() {
        let launch = Launch::default().option("--read-only");
        for place in ["tcp:127.0.0.1:1", "unix:/nobody", "llvm", "stdio:false"] {
            let place = place.parse::<Place>().expect("a place");
            let error = launch.start(&place).err().expect("is refused");
            assert!(error.to_string().contains("--read-only"), "{error}");
        }
    }
}
