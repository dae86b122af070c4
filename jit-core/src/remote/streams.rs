//! The program's standard streams: passed to the executor as descriptors, or forwarded in messages.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;

use orc_shared::remote::services::{Notice, Service, Stream};
use orc_shared::sps;

use super::connection::Connection;
use super::requests::Requests;
use crate::executor::{ExecutorError, ExecutorResult};

/// Bytes of input that are sent at once.
const PIECE: usize = 32 << 10;

/// Handles of this process's standard input, output and error.
pub(super) fn own() -> ExecutorResult<Vec<OwnedFd>> {
    let (input, output, error) = (io::stdin(), io::stdout(), io::stderr());
    let streams = [input.as_fd(), output.as_fd(), error.as_fd()];
    let owned = streams.map(|stream| match stream.try_clone_to_owned() {
        Ok(stream) => Ok(stream),
        // It was closed by whoever started this process.
        Err(_) => std::fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .map(OwnedFd::from),
    });
    let owned: io::Result<Vec<OwnedFd>> = owned.into_iter().collect();
    owned.map_err(|error| {
        ExecutorError::failed(format_args!("cannot pass the standard streams: {error}"))
    })
}

/// Writes what the program writes, when it arrives as messages.
pub(super) fn receive_output(connection: &Connection) {
    connection.on_notice(
        Notice::Output,
        Arc::new(|args: &[u8]| {
            if let Ok((stream, bytes)) = sps::decode::<(Stream, &[u8])>(args) {
                // Whoever reads it may be gone. The program is told by its own stream.
                let _ = write(stream, bytes);
            }
            Vec::new()
        }),
    );
}

fn write(stream: Stream, bytes: &[u8]) -> io::Result<()> {
    match stream {
        Stream::Output => {
            let mut output = io::stdout().lock();
            output.write_all(bytes)?;
            output.flush()
        }
        Stream::Error => io::stderr().lock().write_all(bytes),
    }
}

/// Sends what is on standard input to the program, as fast as it takes it.
pub(super) fn forward_input(requests: Arc<Requests>) {
    let named = thread::Builder::new().name("orc input".to_owned());
    let forward = move || {
        let mut piece = vec![0; PIECE];
        loop {
            // Nothing more to come, and nothing that could be read, are the same to the program.
            let count = io::stdin().lock().read(&mut piece).unwrap_or(0);
            let sent = requests.order(Service::Input, &piece[..count]);
            if count == 0 || sent.is_err() {
                return;
            }
        }
    };
    if let Err(error) = named.spawn(forward) {
        tracing::error!("standard input does not reach the program: {error}");
    }
}
