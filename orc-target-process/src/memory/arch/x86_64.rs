//! x86-64: instruction fetch is coherent with stores.

use std::ops::Range;

/// `e_machine` of the CPU's ELF files (`EM_X86_64`).
pub(crate) const ELF_MACHINE: u16 = 62;

/// DWARF number of the return address column.
pub(crate) const RETURN_ADDRESS_COLUMN: u8 = 16;

/// Makes code that was written to `range` visible to instruction fetch. Nothing to do here.
pub(crate) fn flush_instruction_cache(_range: Range<u64>) {}
