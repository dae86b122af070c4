//! Reading and writing the executor's memory for its controller.

use orc_shared::ExecutorAddr;
use orc_shared::sps::SpsEncode;

use crate::executor::trust::Trust;
use crate::server::services::{Arguments, Violation};

/// Writes values to their addresses.
pub(super) fn write_values<T: Copy>(trust: Trust, writes: Vec<(ExecutorAddr, T)>) {
    for (addr, value) in writes {
        trust.write(addr, value);
    }
}

/// Writes bytes to their addresses.
pub(super) fn write_buffers(trust: Trust, writes: Vec<(ExecutorAddr, &[u8])>) {
    for (addr, bytes) in writes {
        trust.write_bytes(addr, bytes);
    }
}

/// The values at addresses.
pub(super) fn read_values<T: Copy + SpsEncode>(
    trust: Trust,
    addresses: Vec<ExecutorAddr>,
) -> Vec<T> {
    addresses.into_iter().map(|it| trust.read(it)).collect()
}

/// Bytes at addresses; all of them have to fit a message.
pub(super) fn read_buffers(
    trust: Trust,
    arguments: &Arguments<'_>,
    largest: u64,
) -> Result<Vec<u8>, Violation> {
    arguments.fallible(|reads: Vec<(ExecutorAddr, u64)>| {
        let sizes = reads.iter().map(|(_, size)| *size);
        check_size(sizes.fold(0, u64::saturating_add), largest)?;
        let read = |(addr, size)| trust.read_bytes(addr, size as usize);
        Ok(reads.into_iter().map(read).collect::<Vec<_>>())
    })
}

/// C strings at addresses; all of them have to fit a message.
pub(super) fn read_strings(
    trust: Trust,
    arguments: &Arguments<'_>,
    largest: u64,
) -> Result<Vec<u8>, Violation> {
    arguments.fallible(|addresses: Vec<ExecutorAddr>| {
        let strings = addresses.into_iter();
        let strings: Vec<Vec<u8>> = strings.map(|it| trust.read_string(it)).collect();
        check_size(strings.iter().map(|it| it.len() as u64).sum(), largest)?;
        Ok(strings)
    })
}

fn check_size(size: u64, largest: u64) -> Result<(), Violation> {
    if size < largest {
        return Ok(());
    }
    Err(Violation(format!(
        "a read of {size} bytes, which no message of {largest} can hold"
    )))
}
