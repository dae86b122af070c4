//! What the command says on its standard streams.
//!
//! A full disk, a closed pipe or a stream that was closed from the start is the user's business and no
//! fault of ours: what was asked for and cannot be written ends the command with an error, and
//! where the error cannot be written either, the exit status says it alone.
//!
//! Names of inputs are escaped where they get into messages. Whatever gets here all the same that
//! would command a terminal is escaped here: nothing that the command says has colours of its own.

use std::fmt::Display;
use std::io::{self, Write as _};

use orc_shared::printable_lines;
use orc_system::standard_streams;

/// Writes what was asked for to standard output.
pub(super) fn print(text: &str) -> Result<(), String> {
    if standard_streams::output_is_closed() {
        return Err(not_written("standard output", "it is closed"));
    }
    let text = printable_lines(text).to_string();
    let mut output = io::stdout().lock();
    let written = output.write_all(text.as_bytes());
    let flushed = written.and_then(|()| output.flush());
    flushed.map_err(|error| not_written("standard output", error))
}

/// Writes what was asked for to standard error.
pub(super) fn tell(text: &str) -> Result<(), String> {
    if standard_streams::error_is_closed() {
        return Err(not_written("standard error", "it is closed"));
    }
    let text = printable_lines(text).to_string();
    let written = io::stderr().write_all(text.as_bytes());
    written.map_err(|error| not_written("standard error", error))
}

/// Writes what may be of interest to standard error, if that is possible.
pub(super) fn note(text: impl Display) {
    let text = text.to_string();
    let text = printable_lines(&text);
    // In one piece: other processes write there, too.
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Says what has failed.
pub(super) fn error(message: impl Display) {
    note(format_args!("orc-jit: error: {message}"));
}

/// Says what is not as it should be, though it does no harm.
pub(super) fn warning(message: impl Display) {
    note(format_args!("orc-jit: warning: {message}"));
}

/// What `clap` has to say: help that was asked for goes to standard output, errors to the other.
pub(super) fn clap(error: &clap::Error) -> Result<(), String> {
    if error.use_stderr() {
        // The exit status says it, too.
        let _ = error.print();
        return Ok(());
    }
    if standard_streams::output_is_closed() {
        return print("");
    }
    let flushed = error.print().and_then(|()| io::stdout().flush());
    flushed.map_err(|error| not_written("standard output", error))
}

fn not_written(stream: &str, error: impl Display) -> String {
    format!("cannot write to {stream}: {error}")
}
