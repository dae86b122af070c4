//! Arbitrary bytes as what an executor sends.

use std::io::Write as _;
use std::os::unix::net::UnixStream;

use orc_shared::ExecutorAddr;
use orc_shared::remote::Setup;
use orc_shared::remote::services::{Accepted, CrashReport, ExitStatus};
use orc_shared::sps::{self, SpsDecode, SpsError, SpsExpected};

use super::incoming::{Arrival, Incoming};
use super::stream::Stream;
use crate::executor::Disconnect;
use crate::executor::api::{Allocated, ImportValue, LoadedLibrary, RangeId};

/// More is not taken than a socket holds without a reader.
const SIZE_MAX: usize = 64 << 10;

/// Receives the bytes and reads each message as every kind of notice and result. The entry of the fuzz
/// target.
pub fn fuzz_messages(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(SIZE_MAX)];
    let Ok((mut executor, own)) = UnixStream::pair() else {
        return;
    };
    if executor.write_all(bytes).is_err() {
        return;
    }
    drop(executor);
    let mut incoming = Incoming::new(Stream::Unix(own), SIZE_MAX as u64);
    while let Ok(message) = incoming.next(&mut until_nothing_comes) {
        read(&message.body);
    }
}

fn read(body: &[u8]) {
    decode::<Setup>(body);
    decode::<ExitStatus>(body);
    decode::<CrashReport>(body);
    decode::<(ExecutorAddr, &[u8])>(body);
    decode::<SpsError>(body);
    decode::<SpsExpected<Accepted>>(body);
    decode::<SpsExpected<(RangeId, orc_shared::ExecutorAddrRange)>>(body);
    decode::<SpsExpected<Vec<Option<Allocated>>>>(body);
    decode::<SpsExpected<Vec<LoadedLibrary>>>(body);
    decode::<SpsExpected<Vec<Option<ImportValue>>>>(body);
    decode::<SpsExpected<Option<u64>>>(body);
    decode::<SpsExpected<Vec<u8>>>(body);
    decode::<Vec<ImportValue>>(body);
}

fn decode<'a, T: SpsDecode<'a>>(body: &'a [u8]) {
    let _ = sps::decode::<T>(body);
}

/// Nothing that has not arrived yet will.
fn until_nothing_comes(arrival: Arrival) -> Result<(), Disconnect> {
    match arrival {
        Arrival::Bytes => Ok(()),
        Arrival::Nothing => Err(Disconnect::EndOfFile),
    }
}
