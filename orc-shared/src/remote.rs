//! The messages of SimpleRemoteEPC, the protocol between a controller and a remote executor.
//!
//! Every message is a 32-byte header of four little-endian `u64`s, then a body:
//!
//! | Field | Meaning |
//! |---|---|
//! | size | bytes of the whole message, **header included** |
//! | opcode | [`Opcode`] |
//! | sequence | number of the call; a result carries its call's number. 0 in setup and hangup |
//! | tag | call: address of what is called; otherwise 0 |
//!
//! The executor speaks first, with one setup message whose body is a [`Setup`]. Each side numbers
//! its own calls from 0, and may use a number again once its result has arrived. A result's body is what
//! the wrapper function returned, without any out-of-band error. The layout is that of LLVM 22
//! (`llvm/ExecutionEngine/Orc/Shared/SimpleRemoteEPCUtils.h`).

pub mod llvm;
pub mod services;
pub mod token;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::{ExecutorAddr, impl_sps_struct};

/// Bytes of a message's header.
pub const HEADER_SIZE: usize = 32;

/// What a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opcode {
    /// Executor to controller, first and once: who the executor is.
    Setup,
    /// The sender is about to close; the body is an SPS `Error`.
    Hangup,
    /// The result of a call.
    Result,
    /// A call of a wrapper function (controller to executor) or of a handler (executor to controller).
    CallWrapper,
}

/// A message's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageHeader {
    /// Bytes of the body: the message's size less that of the header.
    pub body_size: u64,
    /// What the message is.
    pub opcode: Opcode,
    /// The call's number.
    pub sequence: u64,
    /// What is called.
    pub tag: ExecutorAddr,
}

/// Why a header is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderError {
    /// The size does not even hold the header.
    TooSmall {
        /// The size that the message claims.
        size: u64,
    },
    /// The message is larger than the receiver accepts.
    TooLarge {
        /// The size that the message claims.
        size: u64,
        /// The largest size that is accepted.
        limit: u64,
    },
    /// No such opcode.
    UnknownOpcode(u64),
    /// A setup, hangup or result message with a tag, or a setup or hangup message with a number.
    StrayField {
        /// What the message is.
        opcode: Opcode,
        /// Its number.
        sequence: u64,
        /// Its tag.
        tag: u64,
    },
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooSmall { size } => write!(
                f,
                "message of {size} bytes is smaller than its {HEADER_SIZE}-byte header"
            ),
            Self::TooLarge { size, limit } => {
                write!(f, "message of {size} bytes exceeds the limit of {limit}")
            }
            Self::UnknownOpcode(opcode) => write!(f, "unknown message opcode {opcode}"),
            Self::StrayField {
                opcode,
                sequence,
                tag,
            } => write!(
                f,
                "{opcode:?} message with unexpected sequence number {sequence} or tag {tag:#x}"
            ),
        }
    }
}

impl core::error::Error for HeaderError {}

impl MessageHeader {
    /// The header of a message whose body consists of `parts`.
    #[must_use]
    pub fn of(opcode: Opcode, sequence: u64, tag: ExecutorAddr, parts: &[&[u8]]) -> Self {
        Self {
            body_size: parts.iter().map(|part| part.len() as u64).sum(),
            opcode,
            sequence,
            tag,
        }
    }

    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_SIZE] {
        let opcode: u64 = match self.opcode {
            Opcode::Setup => 0,
            Opcode::Hangup => 1,
            Opcode::Result => 2,
            Opcode::CallWrapper => 3,
        };
        let size = self.body_size.saturating_add(HEADER_SIZE as u64);
        let mut bytes = [0; HEADER_SIZE];
        for (field, value) in
            bytes
                .chunks_exact_mut(8)
                .zip([size, opcode, self.sequence, self.tag.value()])
        {
            field.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    /// Reads a header. `limit` is the largest message size, header included, that is accepted.
    ///
    /// # Errors
    /// When the size is out of bounds, the opcode unknown, or a field set that must be zero.
    pub fn decode(bytes: &[u8; HEADER_SIZE], limit: u64) -> Result<Self, HeaderError> {
        let field = |index: usize| {
            let mut value = [0; 8];
            value.copy_from_slice(&bytes[index * 8..index * 8 + 8]);
            u64::from_le_bytes(value)
        };
        let (size, sequence, tag) = (field(0), field(2), field(3));
        let Some(body_size) = size.checked_sub(HEADER_SIZE as u64) else {
            return Err(HeaderError::TooSmall { size });
        };
        if size > limit {
            return Err(HeaderError::TooLarge { size, limit });
        }
        let opcode = match field(1) {
            0 => Opcode::Setup,
            1 => Opcode::Hangup,
            2 => Opcode::Result,
            3 => Opcode::CallWrapper,
            unknown => return Err(HeaderError::UnknownOpcode(unknown)),
        };
        let stray = match opcode {
            Opcode::Setup | Opcode::Hangup => sequence != 0 || tag != 0,
            Opcode::Result => tag != 0,
            Opcode::CallWrapper => false,
        };
        if stray {
            return Err(HeaderError::StrayField {
                opcode,
                sequence,
                tag,
            });
        }
        Ok(Self {
            body_size,
            opcode,
            sequence,
            tag: ExecutorAddr::new(tag),
        })
    }
}

/// Body of the setup message: who the executor is, and where its services are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Setup {
    /// The target triple, as in "x86_64-pc-linux-gnu".
    pub triple: String,
    /// Page size in bytes.
    pub page_size: u64,
    /// Named values. A controller ignores names it does not know.
    pub values: Vec<(String, Vec<u8>)>,
    /// Named addresses: wrapper functions and instances of services.
    pub symbols: Vec<(String, ExecutorAddr)>,
}

impl_sps_struct!(Setup {
    triple: String,
    page_size: u64,
    values: Vec<(String, Vec<u8>)>,
    symbols: Vec<(String, ExecutorAddr)>,
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sps;
    use alloc::string::ToString;
    use alloc::vec;

    const LIMIT: u64 = 1 << 20;

    fn call() -> MessageHeader {
        MessageHeader {
            body_size: 5,
            opcode: Opcode::CallWrapper,
            sequence: 7,
            tag: ExecutorAddr::new(0x7f12_3456_789a),
        }
    }

    #[test]
    fn header_bytes_are_llvms() {
        let mut expected = vec![37, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
        expected.extend([
            7, 0, 0, 0, 0, 0, 0, 0, 0x9a, 0x78, 0x56, 0x34, 0x12, 0x7f, 0, 0,
        ]);
        assert_eq!(call().encode().to_vec(), expected);
    }

    #[test]
    fn headers_survive_a_round_trip() {
        for opcode in [
            Opcode::Setup,
            Opcode::Hangup,
            Opcode::Result,
            Opcode::CallWrapper,
        ] {
            let header = MessageHeader {
                body_size: 100,
                opcode,
                sequence: 0,
                tag: ExecutorAddr::NULL,
            };
            assert_eq!(MessageHeader::decode(&header.encode(), LIMIT), Ok(header));
        }
        assert_eq!(MessageHeader::decode(&call().encode(), LIMIT), Ok(call()));
    }

    #[test]
    fn hostile_headers_are_refused() {
        let with = |index: usize, value: u64| {
            let mut bytes = call().encode();
            bytes[index * 8..index * 8 + 8].copy_from_slice(&value.to_le_bytes());
            MessageHeader::decode(&bytes, LIMIT)
                .expect_err("hostile")
                .to_string()
        };
        assert_eq!(
            with(0, 31),
            "message of 31 bytes is smaller than its 32-byte header"
        );
        assert_eq!(
            with(0, 1 << 63),
            "message of 9223372036854775808 bytes exceeds the limit of 1048576"
        );
        assert_eq!(with(1, 4), "unknown message opcode 4");
        assert_eq!(
            with(1, 2),
            "Result message with unexpected sequence number 7 or tag 0x7f123456789a"
        );
    }

    #[test]
    fn every_truncation_of_a_setup_is_an_error() {
        let setup = Setup {
            triple: "x86_64-pc-linux-gnu".into(),
            page_size: 4096,
            values: vec![("offers".into(), vec![1, 2])],
            symbols: vec![("service".into(), ExecutorAddr::new(0x1000))],
        };
        let bytes = sps::encode(&setup);
        assert_eq!(sps::decode::<Setup>(&bytes), Ok(setup));
        for end in 0..bytes.len() {
            assert!(sps::decode::<Setup>(&bytes[..end]).is_err(), "{end} bytes");
        }
    }
}
