//! What the `orc-executor` command does.

mod arguments;
mod confine;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use orc_system::standard_streams;

use self::arguments::{Action, Arguments, HELP, Transport};
use crate::host::process::{begin_own_work, end_own_work};
use crate::server::{
    Listener, Server, listen_once, report, serve_and_report, serve_standard_streams,
};

/// Runs the command with these arguments, its name not among them, and the token that the environment
/// had. The exit code.
///
/// Programs run on the calling thread; the process must have no other.
#[must_use]
pub fn main(arguments: Vec<OsString>, token: Option<OsString>) -> i32 {
    standard_streams::occupy();
    begin_own_work();
    // What unwinds is a fault of ours, and the hook has said so.
    let code = catch_unwind(AssertUnwindSafe(|| carry_out(arguments, token))).unwrap_or(1);
    end_own_work();
    code
}

fn carry_out(arguments: Vec<OsString>, token: Option<OsString>) -> i32 {
    let done = match arguments::parse(arguments, token) {
        Ok(Action::Help) => print(HELP).map(|()| 0),
        Ok(Action::Version) => {
            let version = concat!("orc-executor ", env!("CARGO_PKG_VERSION"), "\n");
            print(version).map(|()| 0)
        }
        Ok(Action::Serve(arguments)) => serve(arguments),
        Err(problem) => {
            report(format_args!("{problem}\nTry `orc-executor --help`."));
            return 2;
        }
    };
    done.unwrap_or_else(|error| {
        report(format_args!("{error}"));
        1
    })
}

/// Writes to standard output.
fn print(text: &str) -> io::Result<()> {
    if standard_streams::output_is_closed() {
        return Err(io::Error::other(
            "cannot write to standard output: it is closed",
        ));
    }
    let mut output = io::stdout().lock();
    let written = output.write_all(text.as_bytes());
    let flushed = written.and_then(|()| output.flush());
    flushed.map_err(|error| {
        let problem = format!("cannot write to standard output: {error}");
        io::Error::new(error.kind(), problem)
    })
}

fn serve(arguments: Arguments) -> io::Result<i32> {
    let limits = arguments.limits;
    // Last, but before anything of a controller is read: what a listener needs is open by then.
    let confine = || arguments.confinement.enter();
    let server = match arguments.transport {
        Transport::Socket(socket) => Server::over_socket(socket)?,
        Transport::Pipes(input, output) => Server::over_pipes(input, output),
        Transport::ListenOnce(address) => listen_once(&address)?,
        Transport::StandardStreams => {
            confine()?;
            // SAFETY: who has started this process is its controller, and could do as much to it.
            match unsafe { serve_standard_streams(limits) }? {}
        }
        Transport::Listen(address, token) => {
            let listener = Listener::new(&address, token, limits)
                .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
            confine()?;
            let announced = listener
                .place()
                .and_then(|place| print(&format!("orc-executor: listening on {place}\n")));
            // Nobody would know of it.
            announced.inspect_err(|_| listener.withdraw())?;
            // SAFETY: who has started this process says by its arguments who may be its controller.
            match unsafe { listener.run() }? {}
        }
    };
    confine()?;
    // SAFETY: who has started this process has passed the connection on, or asked for this port.
    Ok(unsafe { serve_and_report(server.limits(limits)) })
}
