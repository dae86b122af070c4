//! LLVM's executor, `llvm-jitlink-executor`, with our services brought into it.
//!
//! It offers memory, libraries and calls, and that is not enough to run what compilers make by
//! default: nobody there knows of thread-locals at fixed offsets, of ranges that unwinders see, or of
//! programs that the loader binds. All of that is a library of ours, `orc-executor-guest`, and it
//! gets there as any library of LLVM's controllers would: it is opened through LLVM's service for
//! libraries, its entry point is looked up, and run as LLVM's executor runs any `main`. That
//! call stays open for the whole session. The library serves the controller over a second socket.

use std::env;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use orc_shared::remote::Setup;
use orc_shared::remote::llvm::LlvmService;
use orc_shared::sps::{self, SpsDecode, SpsEncode, SpsExpected};
use orc_shared::{ExecutorAddr, ExecutorSymbolDef};

use super::child_process::{self, SpawnedExecutor};
use super::connection::{Connection, Limits, Peer, Told};
use super::requests::gone;
use super::stream::Stream;
use crate::executor::{Disconnect, ExecutorError, ExecutorResult};

/// What the library exports: `int(int argc, char **argv)`.
const ENTRY: &str = "orc_executor_main";

/// Names of LLVM's executor, where none is given.
const HOSTS: [&str; 2] = ["llvm-jitlink-executor-22", "llvm-jitlink-executor"];

/// Gives thread-locals of linked code as much room as our own executor has, and what the host's
/// libraries may take of it.
const TUNABLES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=73728");

/// How long the host may take to say goodbye.
const PATIENCE: Duration = Duration::from_secs(2);

/// Starts LLVM's executor and runs `library`, a shared object, in it. `command` becomes the command
/// that starts it. Returns the socket that leads to the library, and the process.
///
/// # Errors
/// When it does not start, or does not do what LLVM 22's does.
pub(super) fn start(
    mut command: Command,
    library: &[u8],
    limits: &Limits,
) -> ExecutorResult<(Stream, Box<dyn Peer>)> {
    let (to_host, host_socket) = child_process::socket_pair().map_err(ExecutorError::failed)?;
    let (to_guest, guest_socket) = child_process::socket_pair().map_err(ExecutorError::failed)?;
    // Where the user has set it, that is what the user wants.
    if env::var_os(TUNABLES.0).is_none() {
        command.env(TUNABLES.0, TUNABLES.1);
    }
    let sockets = vec![host_socket, guest_socket];
    let (process, guest_fd) =
        child_process::spawn_with_sockets(command, sockets, |numbers, command| {
            command.arg(format!("filedescs={0},{0}", numbers[0]));
            numbers[1]
        })
        .map_err(ExecutorError::failed)?;
    let limits = Limits {
        // The only call that stays open is watched through the guest.
        silence: None,
        ..*limits
    };
    let connection = Connection::open(Stream::Unix(to_host), Box::new(Host), limits);
    let (connection, setup) = connection.map_err(gone)?;
    let host = LlvmExecutor { connection, setup };
    let file = child_process::program_in_memory("orc-executor-guest", library);
    host.run(&file.map_err(ExecutorError::failed)?, guest_fd)?;
    let peer = Guest {
        process: SpawnedExecutor(process),
        host: host.connection,
    };
    Ok((Stream::Unix(to_guest), Box::new(peer)))
}

/// Where LLVM's executor is: at `path`, or where commands are.
///
/// # Errors
/// When it is not installed.
pub(super) fn find_host(path: Option<&Path>) -> io::Result<PathBuf> {
    if let Some(path) = path {
        return Ok(path.to_owned());
    }
    let directories = env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = env::split_paths(&directories).collect();
    let candidates = HOSTS.iter().flat_map(|name| {
        directories
            .iter()
            .map(move |directory| directory.join(name))
    });
    candidates
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!(
                    "neither {} nor {} is on the PATH; say where it is with llvm:PATH",
                    HOSTS[0], HOSTS[1]
                ),
            )
        })
}

/// LLVM's executor, as its own controllers see it.
struct LlvmExecutor {
    connection: Arc<Connection>,
    setup: Setup,
}

impl LlvmExecutor {
    /// Opens the library in `file` and runs its entry point, which is told the number of the socket
    /// that leads to its controller.
    fn run(&self, file: &OwnedFd, guest_fd: i32) -> ExecutorResult<()> {
        let manager = self.symbol(LlvmService::DylibManager)?;
        // The host sees the file as long as this process has it open.
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        let handle: ExecutorAddr = self.ask(LlvmService::OpenDylib, &(manager, path, 0u64))?;
        let wanted = vec![(ENTRY.to_owned(), true)];
        let found: Vec<Option<ExecutorSymbolDef>> =
            self.ask(LlvmService::ResolveSymbols, &(handle, wanted))?;
        let [Some(entry)] = found[..] else {
            let problem = format!("LLVM's executor does not find {ENTRY} in our library");
            return Err(ExecutorError::Mismatch(problem));
        };
        let arguments = vec!["orc-executor".to_owned(), guest_fd.to_string()];
        let run = self.symbol(LlvmService::RunAsMain)?;
        self.connection
            .tell(run, &sps::encode(&(entry.addr, arguments)));
        Ok(())
    }

    fn symbol(&self, service: LlvmService) -> ExecutorResult<ExecutorAddr> {
        let name = service.name();
        let found = self.setup.symbols.iter().find(|(known, _)| known == name);
        let missing = || ExecutorError::Mismatch(format!("LLVM's executor does not offer {name}"));
        found.map(|(_, addr)| *addr).ok_or_else(missing)
    }

    /// Asks a service that returns an SPS `Expected`.
    fn ask<A, T>(&self, service: LlvmService, args: &A) -> ExecutorResult<T>
    where
        A: SpsEncode + ?Sized,
        T: for<'a> SpsDecode<'a>,
    {
        let function = self.symbol(service)?;
        let result = self.connection.call(function, &sps::encode(args));
        let SpsExpected(outcome) = sps::decode(&result.map_err(gone)?).map_err(|error| {
            let name = service.name();
            let problem = format!("LLVM's executor answers {name} in another way: {error}");
            ExecutorError::Mismatch(problem)
        })?;
        outcome.map_err(ExecutorError::Failed)
    }
}

/// The host's end of its own connection: what becomes of its process is the guest's to tell.
struct Host;

impl Peer for Host {
    fn ended(&self, by: Disconnect, _: &Told) -> Disconnect {
        by
    }
}

/// The process that the library runs in.
struct Guest {
    process: SpawnedExecutor,
    /// The host ends when this does.
    host: Arc<Connection>,
}

impl Peer for Guest {
    fn ended(&self, by: Disconnect, told: &Told) -> Disconnect {
        self.host.close(PATIENCE);
        self.process.ended(by, told)
    }

    fn is_debugged(&self) -> bool {
        self.process.is_debugged()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_host_is_not_searched() {
        let path = Path::new("/no/such/executor");
        assert_eq!(find_host(Some(path)).expect("taken as it is"), path);
    }
}
