//! What the `orc-executor` command does.

mod arguments;
mod confine;

use std::ffi::OsString;
use std::io;

use self::arguments::{Action, Arguments, HELP, Transport};
use crate::process::{begin_own_work, end_own_work};
use crate::server::{Listener, Server, listen_once, serve_and_report, serve_standard_streams};

/// Runs the command with these arguments, its name not among them. The exit code.
///
/// Programs run on the calling thread; the process must have no other.
#[must_use]
pub fn main(arguments: Vec<OsString>) -> i32 {
    begin_own_work();
    let code = run(arguments);
    end_own_work();
    code
}

fn run(arguments: Vec<OsString>) -> i32 {
    match arguments::parse(arguments) {
        Ok(Action::Help) => {
            print!("{HELP}");
            0
        }
        Ok(Action::Version) => {
            println!("orc-executor {}", env!("CARGO_PKG_VERSION"));
            0
        }
        Ok(Action::Serve(arguments)) => serve(arguments).unwrap_or_else(|error| {
            eprintln!("orc-executor: {error}");
            1
        }),
        Err(problem) => {
            eprintln!("orc-executor: {problem}\nTry `orc-executor --help`.");
            2
        }
    }
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
            match serve_standard_streams(limits)? {}
        }
        Transport::Listen(address, token) => {
            let listener = Listener::new(&address, token, limits)
                .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
            confine()?;
            println!("orc-executor: listening on {}", listener.place()?);
            match listener.run()? {}
        }
    };
    confine()?;
    Ok(serve_and_report(server.limits(limits)))
}
