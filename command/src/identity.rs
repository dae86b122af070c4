//! Which program the process is to be: its arguments, its file, and how it is run again.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use jit_core::executor::api::ProgramIdentity;
use orc_jit::Executor;

use super::options::RunOptions;

/// Own options that say how to link. All others say how to run this once.
const KEPT: [&str; 2] = ["--threads", "--orc-runtime"];

/// The program that `orc-jit run OWN...` runs. If it starts its own file, which is not there, this command
/// links and runs it again: in the process that starts it, wherever that is.
pub(super) fn of_command_line(
    own: &[OsString],
    directory: Option<&Path>,
    file: &Path,
) -> ProgramIdentity {
    let directory = match directory {
        Some(directory) => directory.to_owned(),
        None => std::env::current_dir().unwrap_or_default(),
    };
    let path = directory.join(file).into_os_string().into_vec();
    let again = std::env::current_exe().map(|command| {
        let start = [
            command.as_os_str(),
            "run".as_ref(),
            "--link-directory".as_ref(),
        ];
        let words = start.into_iter().chain([directory.as_os_str()]);
        let words = words.chain(without_running(own));
        words.map(OsStr::as_bytes).collect()
    });
    ProgramIdentity {
        path: Some(path),
        // Without this command's file, the program has none.
        again: again.unwrap_or_default(),
        ..ProgramIdentity::default()
    }
}

/// The identity of a program that is called with these arguments, by this name.
pub(super) fn with_arguments(
    identity: ProgramIdentity,
    name: String,
    args: &[OsString],
) -> ProgramIdentity {
    let args = args.iter().map(|arg| arg.clone().into_vec());
    ProgramIdentity {
        args: std::iter::once(name.into_bytes()).chain(args).collect(),
        ..identity
    }
}

/// The identity that a program has in an executor. On another host, neither this command nor its files are
/// there to run it again.
pub(super) fn in_executor(identity: &ProgramIdentity, executor: &Executor) -> ProgramIdentity {
    let mut identity = identity.clone();
    if !executor.is_same_host() {
        identity.path = None;
    }
    identity
}

/// The program of an executable file.
pub(super) fn of_file(file: &Path) -> ProgramIdentity {
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    ProgramIdentity {
        path: Some(path.into_os_string().into_vec()),
        ..ProgramIdentity::default()
    }
}

/// Arguments without the command's own options that concern one run.
fn without_running(own: &[OsString]) -> Vec<&OsStr> {
    let mut kept = Vec::new();
    let mut rest = own.iter();
    while let Some(word) = rest.next() {
        let option = word
            .to_str()
            .and_then(|text| Some((text, RunOptions::is_own(text)?)));
        let Some((text, takes_next)) = option else {
            kept.push(word.as_os_str());
            continue;
        };
        let value = rest.as_slice().first().filter(|_| takes_next);
        if takes_next {
            rest.next();
        }
        let name = text.split_once('=').map_or(text, |(name, _)| name);
        if KEPT.contains(&name) {
            kept.push(word);
            kept.extend(value.map(OsString::as_os_str));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_again_is_the_same_and_runs_here() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let own = words(
            "--executor=spawn a.o --argv0 x --threads 3 -Wl,--as-needed --timings -lz \
             --link-directory /elsewhere -o out",
        );
        let identity = of_command_line(&own, Some(Path::new("/there")), Path::new("out"));
        let again: Vec<OsString> = identity
            .again
            .iter()
            .map(|word| OsString::from_vec(word.to_bytes().to_vec()))
            .collect();
        assert_eq!(
            again[1..],
            words("run --link-directory /there a.o --threads 3 -Wl,--as-needed -lz -o out")
        );
        assert_eq!(identity.path.as_deref(), Some(&b"/there/out"[..]));
        assert!(Path::new(&again[0]).is_absolute());
    }
}
