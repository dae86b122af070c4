//! The command line.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::confine::Confinement;
use crate::server::{Address, Limits, Token, inherited_descriptor};
use orc_shared::remote::token::VARIABLE;

pub(super) const HELP: &str = "\
Runs code that a controller in another process, or on another host, links into it.

Usage: orc-executor [OPTIONS] TRANSPORT

The controller usually starts it: `orc-jit run --executor=spawn`, `--executor=ssh:HOST`.
It does what its controller says: whoever can be its controller can do what you can do.

Transports, of which one is needed:
  --fd N                      Socket that was inherited as descriptor N
  --stdio                     Standard input and output, as for `ssh HOST orc-executor --stdio`;
                              the program's own streams travel inside
  --listen unix:PATH          Wait for controllers of the same user
  --listen tcp:[HOST:]PORT    Wait for controllers that know the token, on this host's loopback
                              interface unless HOST says otherwise; port 0 takes any and prints it
  filedescs=IN,OUT            Descriptors to read and write, as LLVM's controllers start executors
  listen=HOST:PORT            Wait for one LLVM controller; needs --insecure-no-token

Options:
  --token-file FILE           Text of 16 to 64 characters that controllers have to show over TCP
                              [default: the environment variable ORC_EXECUTOR_TOKEN]
  --insecure-no-token         Let everybody on this host be the controller (with listen=)
  --max-message SIZE          Largest message to accept, as in 64M [default: 1G]
  --max-calls N               Calls of the controller that may be open at a time [default: 1024]
  --max-memory SIZE           Memory for linked code [default: no limit]
  -h, --help                  Print this
  -V, --version               Print the version

What the program, and everything that it starts, shall not be able to do (Linux only):
  --no-new-privileges         Gain anything by starting set-user-ID programs
  --read-only                 Change, make, move or remove files; what was open stays open
  --writable PATH             The same, except for PATH and all below it; may be repeated
  --no-network                Make sockets other than Unix sockets
";

/// What is to be done.
#[derive(Debug)]
pub(super) enum Action {
    Help,
    Version,
    Serve(Arguments),
}

/// How to serve.
#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) transport: Transport,
    pub(super) limits: Limits,
    pub(super) confinement: Confinement,
}

/// How the controller is reached.
#[derive(Debug)]
pub(super) enum Transport {
    Socket(OwnedFd),
    Pipes(OwnedFd, OwnedFd),
    StandardStreams,
    Listen(Address, Option<Token>),
    ListenOnce(String),
}

/// What the options say, before it is known whether it makes sense.
#[derive(Default)]
struct Options {
    transports: Vec<Wanted>,
    token_file: Option<OsString>,
    /// That of the environment.
    token: Option<OsString>,
    no_token: bool,
    limits: Limits,
    confinement: Confinement,
}

enum Wanted {
    Fd(String),
    Stdio,
    Listen(String),
    FileDescriptors(String),
    ListenOnce(String),
}

/// Reads the command line.
///
/// # Errors
/// With a message for the user.
pub(super) fn parse(arguments: Vec<OsString>, token: Option<OsString>) -> Result<Action, String> {
    let mut options = Options {
        token,
        ..Options::default()
    };
    let mut arguments = VecDeque::from(arguments);
    while let Some(argument) = arguments.pop_front() {
        let Some(text) = argument.to_str() else {
            return Err(format!("argument {argument:?} is not UTF-8"));
        };
        let (name, inline) = match text.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (text, None),
        };
        let mut value = || {
            let given = inline.clone().or_else(|| arguments.pop_front());
            given.ok_or_else(|| format!("{name} needs a value"))
        };
        match name {
            "-h" | "--help" => return Ok(Action::Help),
            "-V" | "--version" => return Ok(Action::Version),
            "--fd" => options.transports.push(Wanted::Fd(utf8(value()?)?)),
            "--stdio" => options.transports.push(Wanted::Stdio),
            "--listen" => options.transports.push(Wanted::Listen(utf8(value()?)?)),
            "filedescs" => {
                let wanted = Wanted::FileDescriptors(utf8(value()?)?);
                options.transports.push(wanted);
            }
            "listen" => options.transports.push(Wanted::ListenOnce(utf8(value()?)?)),
            "--token-file" => options.token_file = Some(value()?),
            "--insecure-no-token" => options.no_token = true,
            "--no-new-privileges" => options.confinement.no_new_privileges = true,
            "--read-only" => options.confinement.read_only = true,
            "--writable" => {
                options.confinement.read_only = true;
                options.confinement.writable.push(PathBuf::from(value()?));
            }
            "--no-network" => options.confinement.no_network = true,
            "--max-message" => options.limits.max_message = size(name, &utf8(value()?)?)?,
            "--max-memory" => options.limits.max_memory = size(name, &utf8(value()?)?)?,
            "--max-calls" => {
                let count = size(name, &utf8(value()?)?)?;
                options.limits.max_calls = usize::try_from(count).unwrap_or(usize::MAX);
            }
            _ => return Err(format!("unknown argument `{text}`")),
        }
    }
    options.check().map(Action::Serve)
}

impl Options {
    fn check(mut self) -> Result<Arguments, String> {
        let wanted = match (self.transports.pop(), self.transports.is_empty()) {
            (Some(wanted), true) => wanted,
            (Some(_), false) => return Err("there can be only one transport".to_owned()),
            (None, _) => {
                return Err("how is the controller reached? No transport is given".to_owned());
            }
        };
        let once = matches!(wanted, Wanted::ListenOnce(_));
        if self.no_token && !once {
            return Err("--insecure-no-token goes with listen=HOST:PORT only".to_owned());
        }
        let transport = match wanted {
            Wanted::Fd(number) => Transport::Socket(descriptor(&number)?),
            Wanted::Stdio => Transport::StandardStreams,
            Wanted::FileDescriptors(pair) => {
                let numbers = pair.split_once(',');
                let (input, output) =
                    numbers.ok_or("filedescs= needs two descriptors, as in filedescs=3,4")?;
                Transport::Pipes(descriptor(input)?, descriptor(output)?)
            }
            Wanted::ListenOnce(address) if self.no_token => Transport::ListenOnce(address),
            Wanted::ListenOnce(_) => {
                return Err(
                    "listen=HOST:PORT, which is for LLVM's controllers, has no token: everybody on \
                     this host could be the controller. Say --insecure-no-token if they may"
                        .to_owned(),
                );
            }
            Wanted::Listen(place) => self.listen(&place)?,
        };
        Ok(Arguments {
            transport,
            limits: self.limits,
            confinement: self.confinement,
        })
    }

    fn listen(&self, place: &str) -> Result<Transport, String> {
        match place.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => {
                Ok(Transport::Listen(Address::Unix(path.into()), None))
            }
            Some(("tcp", address)) if !address.is_empty() => {
                let address = if address.contains(':') {
                    address.to_owned()
                } else {
                    format!("127.0.0.1:{address}")
                };
                let token = self.token()?;
                Ok(Transport::Listen(Address::Tcp(address), Some(token)))
            }
            _ => Err(format!(
                "--listen {place}: it must be unix:PATH or tcp:[HOST:]PORT"
            )),
        }
    }

    fn token(&self) -> Result<Token, String> {
        let (text, source) = match &self.token_file {
            Some(path) => {
                let path = Path::new(path);
                let name = path.display().to_string();
                let text = std::fs::read(path).map_err(|error| format!("{name}: {error}"))?;
                (text, name)
            }
            None => match &self.token {
                Some(text) => (text.as_bytes().to_vec(), VARIABLE.to_owned()),
                None => {
                    return Err(format!(
                        "TCP needs a token, from --token-file or the environment variable {VARIABLE}"
                    ));
                }
            },
        };
        Token::new(&text).map_err(|error| format!("{source}: {error}"))
    }
}

fn utf8(text: OsString) -> Result<String, String> {
    text.into_string()
        .map_err(|text| format!("{text:?} is not UTF-8"))
}

fn descriptor(text: &str) -> Result<OwnedFd, String> {
    let number = text.parse::<i32>().ok().filter(|number| *number >= 0);
    let number = number.ok_or_else(|| format!("`{text}` is no number of a descriptor"))?;
    inherited_descriptor(number).ok_or_else(|| format!("descriptor {number} is not open"))
}

/// A number of bytes, as in "512", "64K", "16M" or "1G".
fn size(option: &str, text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(['K', 'M', 'G']);
    let shift = match &text[digits.len()..] {
        "" => Some(0),
        "K" => Some(10),
        "M" => Some(20),
        "G" => Some(30),
        _ => None,
    };
    let number = digits.parse::<u64>().ok().filter(|number| *number > 0);
    let value = number
        .zip(shift)
        .and_then(|(number, shift)| number.checked_mul(1 << shift));
    value.ok_or_else(|| format!("{option} {text}: it must be a number, as in 4096, 64K, 16M or 1G"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(arguments: &[&str]) -> String {
        parse(arguments.iter().map(Into::into).collect(), None).expect_err("is refused")
    }

    #[test]
    fn wrong_arguments_are_explained() {
        for (arguments, expected) in [
            (&[][..], "No transport"),
            (&["--stdio", "--fd", "3"], "only one transport"),
            (&["--frob"], "unknown argument `--frob`"),
            (&["--fd"], "--fd needs a value"),
            (&["--fd", "x"], "`x` is no number of a descriptor"),
            (&["--fd", "900"], "descriptor 900 is not open"),
            (&["filedescs=3"], "two descriptors"),
            (&["listen=localhost:1"], "--insecure-no-token"),
            (&["--stdio", "--insecure-no-token"], "goes with listen="),
            (&["--listen", "7000"], "unix:PATH or tcp:[HOST:]PORT"),
            (&["--listen", "unix:"], "unix:PATH or tcp:[HOST:]PORT"),
            (
                &["--listen=tcp:7000", "--token-file", "/no/file"],
                "/no/file: ",
            ),
            (&["--stdio", "--max-message", "1T"], "as in 4096, 64K"),
            (&["--stdio", "--max-calls", "0"], "as in 4096, 64K"),
        ] {
            let message = error(arguments);
            assert!(message.contains(expected), "{arguments:?}: {message}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("", "3"), Ok(3));
        assert_eq!(size("", "64K"), Ok(64 << 10));
        assert_eq!(size("", "2G"), Ok(2 << 30));
        assert!(size("", "99999999999G").is_err());
        assert!(size("", "1KK").is_err());
    }

    #[test]
    fn help_fits_a_terminal_and_names_every_option() {
        assert!(HELP.lines().all(|line| line.len() <= 100));
        for option in [
            "--fd",
            "--stdio",
            "--listen",
            "--token-file",
            "--max-memory",
            "--read-only",
            "--no-network",
            "filedescs=",
        ] {
            assert!(HELP.contains(option), "{option}");
        }
        assert!(matches!(parse(vec!["-h".into()], None), Ok(Action::Help)));
    }
}
