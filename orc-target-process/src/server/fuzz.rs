//! Arbitrary bytes as what a controller sends.

use std::io::Write as _;
use std::os::unix::net::UnixStream;

use orc_shared::api::{AllocationRequest, Finalization, Import, Placement, ProgramImage};
use orc_shared::remote::Opcode;
use orc_shared::remote::services::{Accept, Prepare};
use orc_shared::sps::{self, SpsDecode, SpsError};
use orc_shared::{AllocAction, ExecutorAddr, ExecutorAddrRange};

use super::connection::{Message, Reader};

/// More is not taken than a socket holds without a reader.
const SIZE_MAX: usize = 64 << 10;

/// Receives the bytes and reads each message as the arguments of every service, which is not called: a
/// controller may have any code run. The entry of the fuzz target.
pub fn fuzz_messages(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(SIZE_MAX)];
    let Ok((mut controller, own)) = UnixStream::pair() else {
        return;
    };
    if controller.write_all(bytes).is_err() {
        return;
    }
    drop(controller);
    let Ok(mut reader) = Reader::new(own.into(), SIZE_MAX as u64) else {
        return;
    };
    while let Ok(Some(message)) = reader.receive() {
        read(&message);
    }
}

fn read(message: &Message) {
    let body = &message.body[..];
    if message.opcode != Opcode::CallWrapper {
        decode::<SpsError>(body);
        return;
    }
    decode::<Accept>(body);
    decode::<Prepare>(body);
    decode::<Placement>(body);
    decode::<Vec<AllocationRequest>>(body);
    decode::<Vec<Finalization<'_>>>(body);
    decode::<Vec<u64>>(body);
    decode::<Vec<Import>>(body);
    decode::<ProgramImage>(body);
    decode::<&str>(body);
    decode::<(ExecutorAddr, &[u8])>(body);
    // LLVM's.
    decode::<(ExecutorAddr, Vec<ExecutorAddr>)>(body);
    decode::<(ExecutorAddr, &str, u64)>(body);
    decode::<(ExecutorAddr, Vec<(&[u8], bool)>)>(body);
    decode::<Vec<AllocAction>>(body);
    decode::<(ExecutorAddrRange, bool)>(body);
}

fn decode<'a, T: SpsDecode<'a>>(body: &'a [u8]) {
    let _ = sps::decode::<T>(body);
}
