//! The executor as a guest: a shared library that a controller loads into the process of an executor
//! which lacks our services, LLVM's for one, and runs there like any program's `main`.
//!
//! From then on the controller talks to it, over a socket that the process was started with. It is the
//! same server as that of `orc-executor`, with two differences: programs run on the thread that the
//! host lends, and thread-locals of linked code come from the loader's surplus alone, because a
//! library that is opened late has no reserve.

use std::ffi::{CStr, c_char, c_int};
use std::fmt::Display;
use std::io::{self, Write as _};

use orc_system::standard_streams;
use orc_target_process::server::{Server, inherited_descriptor, serve_and_report};

/// What the host is asked to run: `argv[1]` is the number of the socket's descriptor. Returns the
/// exit code when the controller is done.
///
/// # Safety
/// `argv` leads to `argc` pointers to C strings, as a `main` is passed.
// SAFETY: nobody else has a function of this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_executor_main(argc: c_int, argv: *const *const c_char) -> c_int {
    standard_streams::occupy();
    // SAFETY: the caller's promise.
    let socket = (argc == 2).then(|| unsafe { CStr::from_ptr(*argv.add(1)) });
    let number = socket.and_then(|number| number.to_str().ok()?.parse().ok());
    let Some(socket) = number.and_then(inherited_descriptor) else {
        report(&"its controller has to say which descriptor leads to it");
        return 2;
    };
    match Server::over_socket(socket) {
        // SAFETY: the host that runs this was started with the socket by its controller.
        Ok(server) => unsafe { serve_and_report(server) },
        Err(error) => {
            report(&format_args!("the connection cannot be used: {error}"));
            1
        }
    }
}

/// Says what is wrong, on standard error. Where that cannot be written to, the exit code says it alone.
fn report(message: &dyn Display) {
    let _ = io::stderr().write_all(format!("orc-executor: {message}\n").as_bytes());
}
