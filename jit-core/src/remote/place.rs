//! Where an executor is, as users write it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::cpu::Architecture;

/// Where an executor is, or is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A child process of this one: of the executor that this program carries, or of this file.
    Spawn(Option<PathBuf>),
    /// A child process of this one: LLVM's executor, at this path or where commands are, with our
    /// services loaded into it.
    Llvm(Option<PathBuf>),
    /// A child process of this one: an executor for another CPU, in an emulator of it.
    Emulated(Architecture),
    /// Behind a Unix socket.
    Unix(PathBuf),
    /// Behind a TCP port, "HOST:PORT".
    Tcp(String),
    /// Behind a command's standard input and output; a shell runs it.
    Command(String),
    /// On a host that `ssh` reaches, where `orc-executor` is installed.
    Ssh(String),
}

/// What the forms begin with.
const KINDS: &[&str] = &["spawn", "llvm", "qemu", "unix", "tcp", "stdio", "ssh"];

/// The forms of [`Place`], for messages.
pub const PLACES: &str = "spawn, spawn:PATH, llvm, llvm:PATH, qemu:CPU, unix:PATH, tcp:HOST:PORT, stdio:COMMAND or ssh:HOST";

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (text, None),
        };
        let lacks = |what: &str| Err(format!("`{kind}:` must be followed by {what}"));
        match (kind, rest.filter(|rest| !rest.is_empty())) {
            ("spawn", None) if rest.is_none() => Ok(Self::Spawn(None)),
            ("spawn", Some(path)) => Ok(Self::Spawn(Some(path.into()))),
            ("spawn", None) => lacks("the path of an orc-executor"),
            ("llvm", None) if rest.is_none() => Ok(Self::Llvm(None)),
            ("llvm", Some(path)) => Ok(Self::Llvm(Some(path.into()))),
            ("llvm", None) => lacks("the path of an llvm-jitlink-executor"),
            ("qemu", cpu) => match cpu.and_then(Architecture::of_name) {
                Some(cpu) => Ok(Self::Emulated(cpu)),
                None => lacks("a CPU that code can be linked for: aarch64 or x86_64"),
            },
            ("unix", Some(path)) => Ok(Self::Unix(path.into())),
            ("unix", None) => lacks("the path of a socket"),
            ("tcp", Some(address)) if has_port(address) => Ok(Self::Tcp(address.to_owned())),
            ("tcp", _) => lacks("a host and a port, as in tcp:localhost:4000"),
            ("stdio", Some(command)) => Ok(Self::Command(command.to_owned())),
            ("stdio", None) => lacks("a command"),
            ("ssh", Some(host)) => Ok(Self::Ssh(host.to_owned())),
            ("ssh", None) => lacks("a host"),
            _ => {
                let meant = KINDS
                    .iter()
                    .find(|known| strsim::osa_distance(known, kind) == 1);
                let meant = meant.map(|known| format!(" (did you mean {known}?)"));
                let meant = meant.unwrap_or_default();
                Err(format!(
                    "`{text}` is no executor{meant}; there are {PLACES}"
                ))
            }
        }
    }
}

fn has_port(address: &str) -> bool {
    let port = address.rsplit_once(':').map(|(_, port)| port);
    port.is_some_and(|port| port.parse::<u16>().is_ok())
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawn(None) => f.write_str("spawn"),
            Self::Spawn(Some(path)) => write!(f, "spawn:{}", path.display()),
            Self::Llvm(None) => f.write_str("llvm"),
            Self::Llvm(Some(path)) => write!(f, "llvm:{}", path.display()),
            Self::Emulated(cpu) => write!(f, "qemu:{}", cpu.triple_name()),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Command(command) => write!(f, "stdio:{command}"),
            Self::Ssh(host) => write!(f, "ssh:{host}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        for text in [
            "spawn",
            "spawn:/bin/orc-executor",
            "llvm",
            "llvm:/usr/bin/llvm-jitlink-executor-22",
            "qemu:aarch64",
            "unix:/run/orc:1",
            "tcp:[::1]:4000",
            "stdio:docker run -i x orc-executor --stdio",
            "ssh:user@host",
        ] {
            let place: Place = text.parse().expect(text);
            assert_eq!(place.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_place_is_explained() {
        let error = |text: &str| text.parse::<Place>().expect_err(text);
        assert!(error("Spawn").contains("spawn, spawn:PATH, llvm, llvm:PATH, qemu:CPU, unix:PATH"));
        assert_eq!(
            error("unix:"),
            "`unix:` must be followed by the path of a socket"
        );
        assert!(error("unix").contains("must be followed by"));
        assert!(error("qemu:m68k").contains("must be followed by a CPU"));
        assert!(error("spawn:").contains("path of an orc-executor"));
        for text in ["tcp:host", "tcp:host:port", "tcp:", "tcp:h:70000"] {
            assert!(error(text).contains("a host and a port"), "{text}");
        }
    }
}
