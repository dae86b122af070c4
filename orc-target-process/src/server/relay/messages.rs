//! Messages that pass through, in both directions.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::mpsc::SyncSender;

use orc_shared::ExecutorAddr;
use orc_shared::remote::services::{Accept, Service, Streams};
use orc_shared::remote::{HEADER_SIZE, MessageHeader, Opcode};
use orc_shared::sps;
use parking_lot::{Condvar, Mutex};

use super::{Output, Relay};
use crate::host::socket::{self, StreamKind};

/// Messages of the executor up to this size, in bytes, are passed on whole or not at all.
const WHOLE_MAX: usize = 4 << 20;

/// Bytes that are passed on at one time.
const PIECE: usize = 256 << 10;

/// Numbers of the relay's own calls: far from those of the executor, which start at 0.
const OWN_CALLS: u64 = 1 << 63;

/// The connection to the controller.
pub(super) struct Controller {
    input: OwnedFd,
    output: OwnedFd,
    output_kind: StreamKind,
    /// Held for the length of a message. Whether nothing more can be sent: the controller is gone,
    /// or a message will not be completed.
    broken: Mutex<bool>,
    calls: Mutex<Calls>,
    answered: Condvar,
}

#[derive(Default)]
struct Calls {
    next: u64,
    /// Own calls that are open.
    open: HashSet<u64>,
    /// No answer will come any more.
    ended: bool,
}

/// Something to read, and what tells that nothing more will be written to it, though others may have
/// it open.
#[derive(Clone, Copy)]
pub(super) struct Source {
    pub(super) fd: RawFd,
    pub(super) ended: Option<RawFd>,
}

/// Input for the program.
pub(super) struct Input {
    /// The call that it came with, which is answered.
    pub(super) sequence: Option<u64>,
    /// Its bytes; none for the end.
    pub(super) bytes: Vec<u8>,
}

/// What was read of a message.
struct Piece {
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Source {
    /// Whether there is something to read; false once the child has ended and nothing is left.
    pub(super) fn wait(&self) -> io::Result<bool> {
        let Some(ended) = self.ended else {
            return Ok(true);
        };
        loop {
            match socket::wait_for_any(&[self.fd, ended], None)?[..] {
                [true, _] => return Ok(true),
                [false, true] => return Ok(false),
                _ => {}
            }
        }
    }

    /// Reads up to `size` bytes; none at the end.
    pub(super) fn read_some(&self, size: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(size);
        if self.wait()? {
            let mut none = Vec::new();
            socket::read(self.fd, StreamKind::Pipe, &mut bytes, size, &mut none)?;
        }
        Ok(bytes)
    }

    /// Reads exactly `size` bytes. `None` if the stream ends before.
    fn read(&self, size: usize) -> io::Result<Option<Piece>> {
        let kind = socket::kind_of(&self.fd);
        let mut piece = Piece {
            bytes: Vec::new(),
            descriptors: Vec::new(),
        };
        while piece.bytes.len() < size {
            if !self.wait()? {
                return Ok(None);
            }
            let left = size - piece.bytes.len();
            if piece.bytes.len() == piece.bytes.capacity() {
                // Memory grows with what arrives, whatever was announced.
                let more = left.min(piece.bytes.len().max(PIECE));
                piece
                    .bytes
                    .try_reserve_exact(more)
                    .map_err(io::Error::other)?;
            }
            let (bytes, descriptors) = (&mut piece.bytes, &mut piece.descriptors);
            match socket::read(self.fd, kind, bytes, left, descriptors) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(piece))
    }
}

impl Controller {
    pub(super) fn new(input: OwnedFd, output: OwnedFd) -> Self {
        socket::send_at_once(&output);
        let output_kind = socket::kind_of(&output);
        Self {
            input,
            output,
            output_kind,
            broken: Mutex::new(false),
            calls: Mutex::default(),
            answered: Condvar::new(),
        }
    }

    /// Sends a message of the relay's own.
    fn send(&self, (opcode, sequence, tag): (Opcode, u64, ExecutorAddr), parts: &[&[u8]]) {
        let header = MessageHeader::of(opcode, sequence, tag, parts).encode();
        let all = [&[&header[..]], parts].concat();
        let mut broken = self.broken.lock();
        self.write(&mut broken, &all, &[]);
    }

    /// Writes part of a message. If that fails, the controller is gone.
    fn write(&self, broken: &mut bool, parts: &[&[u8]], descriptors: &[RawFd]) {
        let fd = self.output.as_raw_fd();
        if !*broken && socket::write_all(fd, self.output_kind, parts, descriptors).is_err() {
            *broken = true;
        }
    }

    /// Calls the controller and does not wait for an answer.
    pub(super) fn tell(&self, tag: ExecutorAddr, parts: &[&[u8]]) {
        let sequence = self.open_call();
        self.send((Opcode::CallWrapper, sequence, tag), parts);
    }

    /// Calls the controller and waits until it answers or is gone.
    pub(super) fn call(&self, tag: ExecutorAddr, parts: &[&[u8]]) {
        let sequence = self.open_call();
        self.send((Opcode::CallWrapper, sequence, tag), parts);
        let mut calls = self.calls.lock();
        while calls.open.contains(&sequence) && !calls.ended {
            self.answered.wait(&mut calls);
        }
    }

    fn open_call(&self) -> u64 {
        let mut calls = self.calls.lock();
        let sequence = OWN_CALLS + calls.next;
        calls.next += 1;
        calls.open.insert(sequence);
        sequence
    }

    /// Answers a call that the relay has served.
    pub(super) fn answer(&self, sequence: u64, result: &[u8]) {
        self.send((Opcode::Result, sequence, ExecutorAddr::NULL), &[result]);
    }

    fn take_answer(&self, sequence: u64) {
        self.calls.lock().open.remove(&sequence);
        self.answered.notify_all();
    }

    /// No answer comes any more.
    fn end(&self) {
        self.calls.lock().ended = true;
        self.answered.notify_all();
    }
}

impl Relay {
    /// Passes the controller's messages on to the executor until it closes the connection.
    pub(super) fn pass_down(&self, inputs: &SyncSender<Input>) {
        // A failure is an end: nobody is there to be told.
        while let Ok(true) = self.pass_one_down(inputs) {}
        self.controller.end();
        self.decide(Output::Copy);
        socket::end_writing(self.inner.as_raw_fd());
    }

    fn pass_one_down(&self, inputs: &SyncSender<Input>) -> io::Result<bool> {
        let source = Source {
            fd: self.controller.input.as_raw_fd(),
            ended: None,
        };
        let Some(head) = source.read(HEADER_SIZE)? else {
            return Ok(false);
        };
        let Some(header) = self.decode(&head) else {
            // The executor says what is wrong with it.
            return self.send_down(&head).map(|()| false);
        };
        let size = header.body_size;
        let collect = || source.read(usize::try_from(size).map_err(io::Error::other)?);
        if header.opcode == Opcode::Result && header.sequence >= OWN_CALLS {
            let answer = collect()?;
            self.controller.take_answer(header.sequence);
            return Ok(answer.is_some());
        }
        if header.opcode != Opcode::CallWrapper {
            self.send_down(&head)?;
            return self.pass_body_down(source, size);
        }
        match Service::from_tag(header.tag) {
            Some(Service::Input) if *self.output.lock() == Output::Forward => {
                let Some(body) = collect()? else {
                    return Ok(false);
                };
                let Ok(bytes) = sps::decode(&body.bytes) else {
                    // The executor says what is wrong with it.
                    self.send_down(&head)?;
                    return self.send_down(&body).map(|()| true);
                };
                let input = Input {
                    sequence: Some(header.sequence),
                    bytes,
                };
                Ok(inputs.send(input).is_ok())
            }
            Some(Service::Accept) => {
                let Some(body) = collect()? else {
                    return Ok(false);
                };
                let forward = sps::decode(&body.bytes)
                    .is_ok_and(|accept: Accept| accept.streams == Streams::Forwarded);
                if forward {
                    self.decide(Output::Forward);
                } else {
                    self.copy_output(inputs);
                }
                self.send_down(&head)?;
                self.send_down(&body).map(|()| true)
            }
            _ => {
                self.copy_output(inputs);
                self.send_down(&head)?;
                self.pass_body_down(source, size)
            }
        }
    }

    /// The controller takes no output, and so has no input either.
    fn copy_output(&self, inputs: &SyncSender<Input>) {
        if self.decide(Output::Copy) {
            let end = Input {
                sequence: None,
                bytes: Vec::new(),
            };
            // The first one finds room.
            let _ = inputs.send(end);
        }
    }

    /// The header that the bytes are, if it is one.
    fn decode(&self, head: &Piece) -> Option<MessageHeader> {
        let bytes = head.bytes.first_chunk()?;
        MessageHeader::decode(bytes, self.limits.max_message).ok()
    }

    fn pass_body_down(&self, source: Source, mut size: u64) -> io::Result<bool> {
        while size > 0 {
            let Some(piece) = source.read(size.min(PIECE as u64) as usize)? else {
                return Ok(false);
            };
            size -= piece.bytes.len() as u64;
            self.send_down(&piece)?;
        }
        Ok(true)
    }

    fn send_down(&self, piece: &Piece) -> io::Result<()> {
        let descriptors: Vec<RawFd> = piece.descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let (fd, kind) = (self.inner.as_raw_fd(), StreamKind::UnixSocket);
        socket::write_all(fd, kind, &[&piece.bytes], &descriptors)
    }

    /// Passes the executor's messages on to the controller until it has ended.
    pub(super) fn pass_up(&self) {
        while let Ok(true) = self.pass_one_up() {}
    }

    fn pass_one_up(&self) -> io::Result<bool> {
        let source = self.executor();
        let Some(head) = source.read(HEADER_SIZE)? else {
            return Ok(false);
        };
        // The executor is our own program, but what it runs may write to its connection.
        let Some(header) = self.decode(&head) else {
            return Ok(false);
        };
        let mut left = header.body_size as usize;
        let first = source.read(left.min(WHOLE_MAX))?;
        let Some(first) = first else {
            return Ok(false);
        };
        left -= first.bytes.len();
        let mut broken = self.controller.broken.lock();
        self.controller
            .write(&mut broken, &[&head.bytes, &first.bytes], &[]);
        while left > 0 {
            let Some(piece) = source.read(left.min(PIECE))? else {
                *broken = true;
                return Ok(false);
            };
            left -= piece.bytes.len();
            self.controller.write(&mut broken, &[&piece.bytes], &[]);
        }
        Ok(true)
    }
}
