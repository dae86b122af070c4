//! What a person sees and types while a program is watched.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use orc_shared::printable_lines;
use orc_system::interruption::Interruption;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// How a line is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tone {
    /// It went well.
    Good,
    /// It did not.
    Bad,
    /// For orientation.
    Plain,
}

/// The person's side: lines on the standard error stream, coloured if that is a terminal.
#[derive(Clone)]
pub(super) struct Screen {
    coloured: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            coloured: wanted && io::stderr().is_terminal(),
        }
    }

    /// Says something, in a line of its own.
    pub(super) fn say(&self, tone: Tone, text: impl Display) {
        let text = text.to_string();
        let text = printable_lines(&text);
        let line = match (self.coloured, tone) {
            (true, Tone::Good) => format!("\x1b[32morc-jit:\x1b[0m {text}\n"),
            (true, Tone::Bad) => format!("\x1b[31morc-jit:\x1b[0m {text}\n"),
            (true, Tone::Plain) => format!("\x1b[2morc-jit: {text}\x1b[0m\n"),
            (false, Tone::Bad) => format!("orc-jit: error: {text}\n"),
            (false, Tone::Good | Tone::Plain) => format!("orc-jit: {text}\n"),
        };
        // Nobody may be there to read it, and the program goes on.
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

/// A terminal whose keys are commands. The program does not have it: its input is empty.
pub(super) struct Keys {
    terminal: Arc<OwnedFd>,
    before: Termios,
    // Last: a signal that comes now finds the terminal as it was.
    _interruption: Option<Interruption>,
}

impl Keys {
    /// Takes the standard input if it is a terminal.
    ///
    /// # Errors
    /// When its modes cannot be changed.
    pub(super) fn take() -> io::Result<Option<Self>> {
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        let terminal = Arc::new(fcntl_dupfd_cloexec(io::stdin().as_fd(), 3)?);
        let before = tcgetattr(&terminal)?;
        let mut modes = before.clone();
        modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        tcsetattr(&terminal, OptionalActions::Now, &modes)?;
        let (at_signal, as_before) = (terminal.clone(), before.clone());
        let interruption = Interruption::expect(move || restore(&at_signal, &as_before));
        let keys = Self {
            terminal,
            before,
            _interruption: interruption.ok(),
        };
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        Ok(Some(keys))
    }

    /// Calls `key` with each one that is typed, on a thread of its own, until it answers false.
    pub(super) fn read(&self, mut key: impl FnMut(u8) -> bool + Send + 'static) -> io::Result<()> {
        let mut keys = File::from(self.terminal.try_clone()?);
        let named = std::thread::Builder::new().name("orc-jit keys".to_owned());
        named.spawn(move || {
            let mut typed = [0];
            while matches!(keys.read(&mut typed), Ok(1)) && key(typed[0]) {}
        })?;
        Ok(())
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        restore(&self.terminal, &self.before);
    }
}

fn restore(terminal: &OwnedFd, modes: &Termios) {
    // A terminal that is gone needs nothing.
    let _ = tcsetattr(terminal, OptionalActions::Now, modes);
}
