//! Messages from the executor, which are hostile until they are decoded.
//!
//! A message is read into memory that grows as its bytes arrive, so a size that is only claimed costs
//! nothing. While nothing arrives, and whenever something has, the reader asks how long that may go on.

use std::io::{self, BufReader, Read};

use orc_shared::remote::{HEADER_SIZE, MessageHeader};

use super::stream::{Stream, is_timeout};
use crate::executor::Disconnect;

/// Bytes of a body that are made room for at once.
const STEP: usize = 1 << 20;

/// One message.
pub(super) struct Message {
    pub(super) header: MessageHeader,
    pub(super) body: Vec<u8>,
}

/// What the reader has seen of the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrival {
    /// Some bytes.
    Bytes,
    /// Nothing for the stream's timeout.
    Nothing,
}

/// Called after each look at the stream; ends the connection with an error.
pub(super) type OnArrival<'a> = &'a mut dyn FnMut(Arrival) -> Result<(), Disconnect>;

/// The reading end of a connection.
pub(super) struct Incoming {
    stream: BufReader<Stream>,
    /// Bytes of the largest message that is accepted, header included.
    limit: u64,
}

impl Incoming {
    pub(super) fn new(stream: Stream, limit: u64) -> Self {
        Self {
            stream: BufReader::with_capacity(32 << 10, stream),
            limit,
        }
    }

    /// Reads the next message.
    ///
    /// # Errors
    /// When the connection ends, between messages or in one; when what arrives is no message.
    pub(super) fn next(&mut self, watch: OnArrival<'_>) -> Result<Message, Disconnect> {
        let mut bytes = [0; HEADER_SIZE];
        let arrived = self.fill(&mut bytes, watch)?;
        if arrived == 0 {
            return Err(Disconnect::EndOfFile);
        }
        let truncated = |arrived: usize, size: u64| Disconnect::Truncated {
            arrived: arrived as u64,
            size,
        };
        if arrived < HEADER_SIZE {
            return Err(truncated(arrived, HEADER_SIZE as u64));
        }
        let header = MessageHeader::decode(&bytes, self.limit)
            .map_err(|error| Disconnect::Protocol(error.to_string()))?;
        let mut body = Vec::new();
        let mut at = 0;
        while (at as u64) < header.body_size {
            let step = usize::try_from(header.body_size - at as u64).unwrap_or(STEP);
            body.resize(at + step.min(STEP.max(at)), 0);
            let arrived = self.fill(&mut body[at..], watch)?;
            if at + arrived < body.len() {
                let size = header.body_size + HEADER_SIZE as u64;
                return Err(truncated(HEADER_SIZE + at + arrived, size));
            }
            at += arrived;
        }
        Ok(Message { header, body })
    }

    /// Reads until the buffer is full or the other side has closed; returns how much it read.
    fn fill(&mut self, buffer: &mut [u8], watch: OnArrival<'_>) -> Result<usize, Disconnect> {
        let mut at = 0;
        while at < buffer.len() {
            match self.stream.read(&mut buffer[at..]) {
                Ok(0) => break,
                Ok(count) => {
                    at += count;
                    watch(Arrival::Bytes)?;
                }
                Err(error) if is_timeout(&error) => watch(Arrival::Nothing)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What a killed process leaves behind.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
                Err(error) => return Err(Disconnect::Io(error.to_string())),
            }
        }
        Ok(at)
    }
}
