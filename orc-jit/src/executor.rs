//! Where code runs: in this process, in another one, on another host.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jit_core::executor::{Disconnect, ExecutorControl, ExecutorError};
use jit_core::in_process::InProcessExecutor;
use jit_core::remote::{Launch, Limits, Place, RemoteExecutor, Token};
use orc_embedded::{EXECUTOR, EXECUTOR_GUEST};
use orc_shared::remote::services::Prepare;
use orc_shared::remote::token::VARIABLE;
use orc_target_process::host::debugger;

use crate::error::Error;
use crate::executor_file::executor_file;
use crate::targets;

/// Where a [`crate::Jit`] runs its code. A handle, cheap to clone.
///
/// Code in another process cannot harm this one: if it crashes, what is asked of its executor
/// from then on fails with [`jit_core::executor::ExecutorError::Disconnected`], which says how it
/// ended, and other executors go on. The process of a spawned executor ends when the last handle
/// of it, or of the JIT that uses it, is dropped.
#[derive(Clone)]
pub struct Executor {
    control: Arc<dyn ExecutorControl>,
    remote: Option<Arc<RemoteExecutor>>,
}

/// How an executor is started or reached.
#[derive(Clone, Debug)]
pub struct ExecutorOptions {
    limits: Limits,
    token: Option<Vec<u8>>,
    forward_input: bool,
    debug: bool,
    arguments: Vec<std::ffi::OsString>,
    start_variables: Vec<(&'static str, std::ffi::OsString)>,
}

impl Executor {
    /// Code runs in this process.
    #[must_use]
    pub fn in_process() -> Self {
        Self::from(Arc::new(InProcessExecutor::new()) as Arc<dyn ExecutorControl>)
    }

    /// Code runs in a new child process.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn() -> Result<Self, Error> {
        Self::options().at(&Place::Spawn(None))
    }

    /// Code runs in an executor that is reached as `place` says: "unix:PATH" and "tcp:HOST:PORT" for
    /// one that listens there, "stdio:COMMAND" for what a command leads to, "ssh:HOST",
    /// "spawn:PATH" for a child process of that file, "llvm:PATH" for one of LLVM's executor,
    /// "qemu:CPU" for one of another CPU.
    ///
    /// # Errors
    /// When `place` has another form; when the executor cannot be reached, or is none for this
    /// release.
    pub fn connect(place: &str) -> Result<Self, Error> {
        Self::options().connect(place)
    }

    /// Options for starting or reaching an executor.
    #[must_use]
    pub fn options() -> ExecutorOptions {
        ExecutorOptions {
            limits: Limits::default(),
            token: None,
            forward_input: false,
            debug: false,
            arguments: Vec::new(),
            start_variables: Vec::new(),
        }
    }

    /// The process that code runs in, as its host knows it; `None` if it does not tell.
    #[must_use]
    pub fn pid(&self) -> Option<u64> {
        match &self.remote {
            Some(remote) => remote.pid(),
            None => Some(u64::from(std::process::id())),
        }
    }

    /// How the executor has ended, if it has.
    #[must_use]
    pub fn lost(&self) -> Option<Disconnect> {
        self.remote.as_ref()?.lost()
    }

    /// Whether it sees the files that this process sees.
    #[must_use]
    pub fn is_same_host(&self) -> bool {
        !self.control.has_own_files()
    }

    /// Gives code in another process this process's working directory and environment.
    ///
    /// # Errors
    /// When the executor cannot go to that directory.
    pub fn adopt_surroundings(&self) -> Result<(), Error> {
        use std::os::unix::ffi::OsStringExt as _;
        let Some(remote) = &self.remote else {
            return Ok(());
        };
        let directory = std::env::current_dir().ok();
        // The secret that leads to an executor is nothing for what runs there.
        let variables = std::env::vars_os().filter(|(name, _)| name != VARIABLE);
        let variables = variables.map(|(name, value)| {
            let mut variable = name.into_vec();
            variable.push(b'=');
            variable.extend(value.into_vec());
            variable
        });
        Ok(remote.prepare(&Prepare {
            directory: directory.map(|path| path.into_os_string().into_vec()),
            environment: Some(variables.collect()),
        })?)
    }

    /// Ends the executor's process, whatever it does. Everything that is asked of it from then on
    /// fails. An executor that is this process goes on.
    pub fn end(&self) {
        if let Some(remote) = &self.remote {
            remote.end();
        }
    }

    /// The boundary below, for what this interface does not offer.
    #[must_use]
    pub fn control(&self) -> &Arc<dyn ExecutorControl> {
        &self.control
    }
}

/// Runs `orc-executor`, as it is carried along, in the place of this process, with these arguments and the
/// secret for its TCP port. Returns only what was in the way.
#[must_use]
pub fn become_executor(
    args: &[std::ffi::OsString],
    token: Option<std::ffi::OsString>,
) -> std::io::Error {
    let variables = token.map(|token| (VARIABLE, token));
    jit_core::remote::become_program(EXECUTOR, "orc-executor", args, variables)
}

impl From<Arc<dyn ExecutorControl>> for Executor {
    fn from(control: Arc<dyn ExecutorControl>) -> Self {
        Self {
            control,
            remote: None,
        }
    }
}

impl ExecutorOptions {
    /// How long the executor may keep silent while something is asked of it, and how long it may take
    /// to start; 30 and 20 seconds if this is not called. `None` for ever.
    #[must_use]
    pub fn silence_limit(mut self, limit: Option<Duration>) -> Self {
        self.limits.silence = limit;
        self.limits.start = limit;
        self
    }

    /// Bytes of the largest message that is accepted; 1 GiB if this is not called.
    #[must_use]
    pub fn message_limit(mut self, bytes: u64) -> Self {
        self.limits.max_message = bytes;
        self
    }

    /// The secret that executors behind a TCP port want to see. If this is not called, it is the value of
    /// the environment variable `ORC_EXECUTOR_TOKEN`.
    #[must_use]
    pub fn token(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.token = Some(secret.into());
        self
    }

    /// Lets code read this process's standard input, where that has to be sent to it. If this is not
    /// called, it finds its end there. (A child process shares it anyway.)
    #[must_use]
    pub fn forward_input(mut self) -> Self {
        self.forward_input = true;
        self
    }

    /// Debuggers find the file of a spawned executor's program, which is kept in the user's cache
    /// (`$XDG_CACHE_HOME/orc-jit`): to follow it, to be attached to it, to read its core file. Without this call, that
    /// is so if a debugger is attached to this process. What they see of linked code is
    /// [`crate::Builder::debug`]'s part.
    #[must_use]
    pub fn debug(mut self) -> Self {
        self.debug = true;
        self
    }

    /// An argument for the `orc-executor` that is started, as in `--max-memory=1G`, `--read-only` or
    /// `--no-network`; `orc-executor --help` has them all. An executor that is not started here takes
    /// none, and reaching it fails.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<std::ffi::OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// An environment variable that a child process starts with, and that code in it does not see.
    #[must_use]
    pub fn start_variable(
        mut self,
        name: &'static str,
        value: impl Into<std::ffi::OsString>,
    ) -> Self {
        self.start_variables.push((name, value.into()));
        self
    }

    /// Starts a child process.
    ///
    /// # Errors
    /// As for [`Executor::spawn`].
    pub fn spawn(&self) -> Result<Executor, Error> {
        self.at(&Place::Spawn(None))
    }

    /// Starts a child process of an `orc-executor` that is a file.
    ///
    /// # Errors
    /// As for [`Executor::spawn`].
    pub fn spawn_file(&self, path: impl AsRef<Path>) -> Result<Executor, Error> {
        self.at(&Place::Spawn(Some(path.as_ref().to_owned())))
    }

    /// Reaches an executor, as [`Executor::connect`] does.
    ///
    /// # Errors
    /// As for [`Executor::connect`].
    pub fn connect(&self, place: &str) -> Result<Executor, Error> {
        self.at(&place.parse::<Place>().map_err(Error::Place)?)
    }

    /// Starts or reaches an executor.
    ///
    /// # Errors
    /// As for [`Executor::connect`].
    pub fn at(&self, place: &Place) -> Result<Executor, Error> {
        let mut launch = Launch::default()
            .program(EXECUTOR)
            .guest(EXECUTOR_GUEST)
            .limits(self.limits);
        for (name, value) in &self.start_variables {
            launch = launch.variable(name, value);
        }
        for argument in &self.arguments {
            launch = launch.option(argument);
        }
        if let (Place::Tcp(_), Some(secret)) = (place, self.secret()) {
            let token = Token::new(&secret);
            launch = launch.token(token.map_err(|error| Error::Place(error.to_string()))?);
        }
        if let Place::Emulated(cpu) = place {
            launch = launch.emulator(targets::emulator(*cpu)?);
        }
        let file = match place {
            Place::Spawn(None) if self.debug || debugger::is_attached() => file_for_debuggers(),
            _ => None,
        };
        let remote = match file {
            Some(path) => launch.start(&Place::Spawn(Some(path)))?,
            None => launch.start(place)?,
        };
        let remote = Arc::new(remote);
        if self.forward_input {
            remote.forward_input();
        } else {
            remote.end_input();
        }
        Ok(Executor {
            control: remote.clone(),
            remote: Some(remote),
        })
    }

    fn secret(&self) -> Option<Vec<u8>> {
        use std::os::unix::ffi::OsStringExt as _;
        let variable = || std::env::var_os(VARIABLE);
        self.token.clone().or_else(|| Some(variable()?.into_vec()))
    }
}

/// The file that an executor is started from which is to be debugged. Without one, it is started as usual.
fn file_for_debuggers() -> Option<PathBuf> {
    executor_file(EXECUTOR)
        .inspect_err(|error| {
            tracing::warn!(
                "debuggers will not find the executor's file, which cannot be written: {error}"
            );
        })
        .ok()
}

impl From<ExecutorError> for Error {
    fn from(error: ExecutorError) -> Self {
        Self::Link(error.into())
    }
}
