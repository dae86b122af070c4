//! The program's standard streams.

use std::io::{self, PipeReader, PipeWriter, Write as _};
use std::os::fd::AsRawFd;
use std::sync::mpsc::Receiver;

use orc_shared::remote::services::{Notice, Stream};
use orc_shared::sps::{self, SpsError};

use super::messages::{Input, Source};
use super::{Output, Relay};
use crate::host::socket::{self, StreamKind};

/// Bytes of output that are passed on at one time.
const PIECE: usize = 64 << 10;

impl Relay {
    /// Passes on what the program writes to a stream, until it cannot write any more.
    pub(super) fn forward(&self, stream: Stream, pipe: PipeReader) {
        let source = Source {
            fd: pipe.as_raw_fd(),
            ended: Some(self.ended.as_raw_fd()),
        };
        loop {
            match source.read_some(PIECE) {
                Ok(bytes) if bytes.is_empty() => return,
                Ok(bytes) => self.pass_output(stream, &bytes),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn pass_output(&self, stream: Stream, bytes: &[u8]) {
        let mut output = self.output.lock();
        while *output == Output::Undecided {
            self.decided.wait(&mut output);
        }
        let decision = *output;
        drop(output);
        if decision == Output::Forward {
            let head = [sps::encode(&stream), sps::encode(&(bytes.len() as u64))].concat();
            self.controller.call(Notice::Output.tag(), &[&head, bytes]);
            return;
        }
        let [to_output, to_error] = &self.copies;
        let copy = match stream {
            Stream::Output => to_output,
            Stream::Error => to_error,
        };
        // Where nobody listens, nothing is heard.
        let _ = socket::write_all(copy.as_raw_fd(), StreamKind::Pipe, &[bytes], &[]);
    }

    /// Gives the program its input. Each piece is answered once it is in the pipe; an empty one, and
    /// the end of the connection, end the input.
    pub(super) fn feed(&self, to_program: PipeWriter, waiting: &Receiver<Input>) {
        let mut to_program = Some(to_program);
        for Input { sequence, bytes } in waiting {
            let written = match &mut to_program {
                _ if bytes.is_empty() => Ok(()),
                Some(pipe) => pipe.write_all(&bytes),
                None => Err(io::ErrorKind::BrokenPipe.into()),
            };
            let ends = bytes.is_empty() || written.is_err();
            if let Some(sequence) = sequence {
                let answer = sps::encode(&SpsError::from(written));
                self.controller.answer(sequence, &answer);
            }
            // After the answer: the end of its input may be the end of the program.
            if ends {
                to_program = None;
            }
        }
    }
}
