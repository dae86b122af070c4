//! The `orc-executor` command: runs code that a controller in another process links into it.
//!
//! Programs run in this process, so its `main` is the C one: Rust's own start-up would ignore
//! `SIGPIPE`, open closed standard descriptors and take over the signals of a stack overflow, and a
//! program would notice each of these.
#![no_main]

mod arguments;

use std::ffi::{c_char, c_int};

use orc_target_process::server::{
    Listener, Server, listen_once, serve_and_report, serve_standard_streams,
};

use self::arguments::{Action, Arguments, HELP, Transport};

/// What the C library calls.
// SAFETY: the name is the C library's for this very function, and the signature agrees.
#[unsafe(no_mangle)]
pub extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    let arguments = std::env::args_os().skip(1);
    match arguments::parse(arguments.collect()) {
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

fn serve(arguments: Arguments) -> std::io::Result<c_int> {
    let limits = arguments.limits;
    let server = match arguments.transport {
        Transport::Socket(socket) => Server::over_socket(socket)?,
        Transport::Pipes(input, output) => Server::over_pipes(input, output),
        Transport::ListenOnce(address) => listen_once(&address)?,
        Transport::StandardStreams => match serve_standard_streams(limits)? {},
        Transport::Listen(address, token) => {
            let listener = Listener::new(&address, token, limits)
                .map_err(|error| named(&address.to_string(), &error))?;
            println!("orc-executor: listening on {}", listener.place()?);
            match listener.run()? {}
        }
    };
    Ok(serve_and_report(server.limits(limits)))
}

fn named(what: &str, error: &std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), format!("{what}: {error}"))
}
