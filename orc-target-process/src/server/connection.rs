//! Messages over a pair of descriptors.
//!
//! Nothing of a message is believed before it is there: its claimed size is bounded, and memory
//! grows with what arrives.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use orc_shared::ExecutorAddr;
use orc_shared::remote::{HEADER_SIZE, HeaderError, MessageHeader, Opcode};
use parking_lot::Mutex;

use crate::host::descriptors::QuietFd;
use crate::host::socket::{self, DESCRIPTORS_MAX, StreamKind};

/// Bytes that are reserved for a message at one time.
const PIECE: usize = 1 << 20;

/// How long to wait for the end of a message before the connection is ended without a word.
const GOODBYE_MAX: Duration = Duration::from_millis(100);

/// How often the end of a message is looked for, a millisecond apart, in a signal handler.
const ATTEMPTS: usize = 50;

/// A message that has arrived.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) opcode: Opcode,
    pub(super) sequence: u64,
    pub(super) tag: ExecutorAddr,
    pub(super) body: Vec<u8>,
    pub(super) descriptors: Vec<OwnedFd>,
}

/// Why no message arrived.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReceiveError {
    #[error("the connection ended in the middle of a message")]
    Cut,
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("{0} descriptors came with one message; {DESCRIPTORS_MAX} may")]
    Descriptors(usize),
    #[error("nothing was heard of the controller for {0:?}")]
    Silent(Duration),
    #[error("no memory for a message of {0} bytes")]
    Memory(u64),
    /// The program has closed our descriptor. That is its right, and no reason to end it.
    #[error("the program has closed the connection's descriptor")]
    Gone,
    #[error("the connection failed: {0}")]
    Io(io::Error),
}

/// The receiving half.
pub(super) struct Reader {
    fd: QuietFd,
    kind: StreamKind,
    max_message: u64,
    /// How long nothing may arrive.
    pub(super) silence_max: Option<Duration>,
}

impl Reader {
    pub(super) fn new(fd: OwnedFd, max_message: u64) -> io::Result<Self> {
        let kind = socket::kind_of(&fd);
        Ok(Self {
            fd: QuietFd::new(fd, None)?,
            kind,
            max_message,
            silence_max: None,
        })
    }

    /// Whether descriptors can come along.
    pub(super) fn takes_descriptors(&self) -> bool {
        self.kind == StreamKind::UnixSocket
    }

    /// Waits for the next message. `None` at the end of the stream.
    pub(super) fn receive(&mut self) -> Result<Option<Message>, ReceiveError> {
        let mut descriptors = Vec::new();
        let mut header = Vec::with_capacity(HEADER_SIZE);
        while header.len() < HEADER_SIZE {
            if self.read(&mut header, HEADER_SIZE, &mut descriptors)? == 0 {
                let at_boundary = header.is_empty();
                return at_boundary.then_some(None).ok_or(ReceiveError::Cut);
            }
        }
        let Some(bytes) = header.first_chunk() else {
            return Err(ReceiveError::Cut);
        };
        let header = MessageHeader::decode(bytes, self.max_message)?;
        let body = self.read_body(header.body_size, &mut descriptors)?;
        Ok(Some(Message {
            opcode: header.opcode,
            sequence: header.sequence,
            tag: header.tag,
            body,
            descriptors,
        }))
    }

    fn read_body(
        &self,
        size: u64,
        descriptors: &mut Vec<OwnedFd>,
    ) -> Result<Vec<u8>, ReceiveError> {
        let out_of_memory = |_| ReceiveError::Memory(size);
        let size = usize::try_from(size).map_err(|_| ReceiveError::Memory(size))?;
        let mut body = Vec::new();
        body.try_reserve_exact(size.min(PIECE))
            .map_err(out_of_memory)?;
        while body.len() < size {
            if body.len() == body.capacity() {
                let more = (size - body.len()).min(body.len().max(PIECE));
                body.try_reserve_exact(more).map_err(out_of_memory)?;
            }
            let left = size - body.len();
            if self.read(&mut body, left, descriptors)? == 0 {
                return Err(ReceiveError::Cut);
            }
        }
        Ok(body)
    }

    fn read(
        &self,
        buffer: &mut Vec<u8>,
        limit: usize,
        descriptors: &mut Vec<OwnedFd>,
    ) -> Result<usize, ReceiveError> {
        let limit = limit.min(buffer.capacity() - buffer.len());
        loop {
            let fd = self.fd.get().ok_or(ReceiveError::Gone)?;
            let result = match self.silence_max {
                Some(time) => match socket::wait_readable(fd, time) {
                    Ok(true) => socket::read(fd, self.kind, buffer, limit, descriptors),
                    Ok(false) => return Err(ReceiveError::Silent(time)),
                    Err(error) => Err(error),
                },
                None => socket::read(fd, self.kind, buffer, limit, descriptors),
            };
            match result {
                Ok(_) if descriptors.len() > DESCRIPTORS_MAX => {
                    return Err(ReceiveError::Descriptors(descriptors.len()));
                }
                // What was waiting for bytes goes on doing so when the descriptor is closed.
                Ok(0) if self.fd.get().is_none() => return Err(ReceiveError::Gone),
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) if self.fd.get().is_none() => return Err(ReceiveError::Gone),
                // What the other end did not read when it closed.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(0),
                Err(error) => return Err(ReceiveError::Io(error)),
            }
        }
    }
}

/// Why a message was not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the controller's connection is not this process's: it was forked from the program's")]
    Forked,
    #[error("a message of {size} bytes is larger than the {limit} that the controller takes")]
    TooLarge { size: u64, limit: u64 },
    #[error("the connection to the controller has ended")]
    Ended,
    #[error("the message cannot be sent: {0}")]
    Io(io::Error),
}

/// The sending half. Messages of several threads follow each other.
pub(super) struct Writer {
    fd: QuietFd,
    kind: StreamKind,
    /// The process that the connection belongs to.
    owner: u32,
    state: Mutex<Sending>,
}

struct Sending {
    /// Nothing more can be sent.
    ended: bool,
    max_message: u64,
}

impl Writer {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        let kind = socket::kind_of(&fd);
        socket::send_at_once(&fd);
        Ok(Self {
            fd: QuietFd::new(fd, None)?,
            kind,
            owner: std::process::id(),
            state: Mutex::new(Sending {
                ended: false,
                max_message: u64::MAX,
            }),
        })
    }

    /// Whether descriptors can go along.
    pub(super) fn passes_descriptors(&self) -> bool {
        self.kind == StreamKind::UnixSocket
    }

    /// Bytes of the largest message that the controller takes.
    pub(super) fn set_max_message(&self, max_message: u64) {
        self.state.lock().max_message = max_message;
    }

    /// Whether this is a process that the program forked.
    pub(super) fn is_forked(&self) -> bool {
        std::process::id() != self.owner
    }

    /// Sends a message whose body consists of `parts`.
    pub(super) fn send(
        &self,
        (opcode, sequence, tag): (Opcode, u64, ExecutorAddr),
        parts: &[&[u8]],
    ) -> Result<(), SendError> {
        // First of all: in a forked process the lock may be held by a thread that is not there.
        if self.is_forked() {
            return Err(SendError::Forked);
        }
        let header = MessageHeader::of(opcode, sequence, tag, parts);
        let bytes = header.encode();
        let all = [&[&bytes[..]], parts].concat();
        let mut state = self.state.lock();
        let (size, limit) = (header.body_size + HEADER_SIZE as u64, state.max_message);
        if size > limit {
            return Err(SendError::TooLarge { size, limit });
        }
        let fd = self.fd.get().filter(|_| !state.ended);
        let fd = fd.ok_or(SendError::Ended)?;
        socket::write_all(fd, self.kind, &all, &[]).map_err(|error| {
            // Part of the message may be sent.
            state.ended = true;
            SendError::Io(error)
        })
    }

    /// Sends a whole message, or nothing if that cannot be done at once. For signal handlers: takes
    /// no memory, and waits for a moment only.
    pub(super) fn send_at_once(&self, message: &[u8]) -> bool {
        if self.is_forked() {
            return false;
        }
        // Another thread may be about to end its message.
        let attempts = std::iter::repeat_with(|| {
            let lock = self.state.try_lock();
            if lock.is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            lock
        });
        let Some(mut state) = attempts.take(ATTEMPTS).flatten().next() else {
            return false;
        };
        let Some(fd) = self.fd.get().filter(|_| !state.ended) else {
            return false;
        };
        let sent = socket::write_at_once(fd, self.kind, message);
        // Part of it may be sent, and nothing comes after it.
        state.ended = true;
        sent
    }

    /// Tells the controller that nothing more comes, with a last word if it listens. Waits
    /// neither for it nor, for long, for a message that it does not read.
    pub(super) fn end(&self, goodbye: Option<&[u8]>) {
        let Some(mut state) = self.state.try_lock_for(GOODBYE_MAX) else {
            return;
        };
        if std::mem::replace(&mut state.ended, true) {
            return;
        }
        let Some(fd) = self.fd.get() else { return };
        if let Some(body) = goodbye {
            let header = MessageHeader::of(Opcode::Hangup, 0, ExecutorAddr::NULL, &[body]);
            let message = [&header.encode()[..], body].concat();
            // Whoever does not read will not be told.
            let _ = socket::write_at_once(fd, self.kind, &message);
        }
        socket::end_writing(fd);
        if goodbye.is_some() {
            socket::end_reading(fd);
        }
    }
}
