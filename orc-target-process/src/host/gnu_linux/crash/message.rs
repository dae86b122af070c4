//! The message of a crash, written into memory that was set aside.

use orc_shared::ExecutorAddr;
use orc_shared::remote::services::Notice;
use orc_shared::remote::{HEADER_SIZE, MessageHeader, Opcode};

/// Room for a message.
const ROOM: usize = 64 << 10;

/// The number of a call that nobody answers.
const SEQUENCE: u64 = u64::MAX;

/// Bytes of a message: the header, then SPS. What does not fit is left out, and the message is then
/// not complete.
pub(super) struct Message {
    bytes: [u8; ROOM],
    len: usize,
    overflow: bool,
}

impl Message {
    pub const fn new() -> Self {
        Self {
            bytes: [0; ROOM],
            len: HEADER_SIZE,
            overflow: false,
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        match self.bytes.get_mut(self.len..self.len + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.overflow = true,
        }
    }

    pub fn int(&mut self, value: i32) {
        self.put(&value.to_le_bytes());
    }

    pub fn word(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    /// A string or a sequence of bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        self.put(bytes);
    }

    /// Begins a sequence whose length is not known: [`Self::end_sequence`] gets what this returns.
    pub fn begin_sequence(&mut self) -> usize {
        let at = self.len;
        self.word(0);
        at
    }

    pub fn end_sequence(&mut self, at: usize, count: usize) {
        if let Some(room) = self.bytes.get_mut(at..at + 8) {
            room.copy_from_slice(&(count as u64).to_le_bytes());
        }
    }

    /// Appends elements to a sequence of bytes; nothing if they do not fit. Whether they do.
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        let fits = self.len + bytes.len() <= ROOM;
        if fits {
            self.put(bytes);
        }
        fits
    }

    /// The finished message; `None` if something did not fit.
    pub fn finish(&mut self) -> Option<&[u8]> {
        let header = MessageHeader {
            body_size: (self.len - HEADER_SIZE) as u64,
            opcode: Opcode::CallWrapper,
            sequence: SEQUENCE,
            tag: ExecutorAddr::new(Notice::Crashed.tag().value()),
        };
        self.bytes[..HEADER_SIZE].copy_from_slice(&header.encode());
        (!self.overflow).then(|| &self.bytes[..self.len])
    }
}
