//! The machines that objects are for: one file per machine, with its relocation numbers.

mod aarch64;
mod x86_64;

use jit_core::cpu::Architecture;
use jit_core::graph::EdgeKind;
use object::macho::{CpuType, RelocationInfo, RelocationType};

/// A machine, as Mach-O files name it.
#[derive(Debug)]
pub(crate) struct Machine {
    /// `cputype` of its files.
    pub number: CpuType,
    /// The CPU that its code runs on.
    pub architecture: Architecture,
    /// What a relocation means, given the bytes from its place on.
    meaning: fn(&RelocationInfo, &[u8]) -> Meaning,
    /// The names of relocations, by their numbers.
    names: &'static [&'static str],
    /// Edges that compute `S + A - T`: bytes of the field, kind.
    differences: &'static [(u8, EdgeKind)],
    /// The edge of a distance from its own place, in 8 and in 4 bytes.
    pub distances: [EdgeKind; 2],
    /// The edge of a distance to a word that has the target's address, in 4 bytes, and its addend.
    pub table_distance: (EdgeKind, i64),
    /// The edge of a thread-local variable's offset from the thread pointer, in 8 bytes.
    pub thread_offset: EdgeKind,
    /// Relocations that are for the descriptors of thread-locals alone.
    pub thread_local: &'static [RelocationType],
    /// Functions of macOS that are added to objects that refer to them, with their names as C has them.
    pub added: &'static [(&'static str, Code)],
    /// An initializer that tells a function of a table of sections ([`FUNCTION`], [`TABLE`]).
    pub register: &'static Code,
    /// What compact unwind entries of this machine say.
    pub unwinding: Unwinding,
}

/// What [`Machine::register`] refers to: the table, and the function that is told of it.
pub(crate) const TABLE: &str = "table";
pub(crate) const FUNCTION: &str = "function";

/// A function that the reader adds to objects.
#[derive(Debug)]
pub(crate) struct Code {
    /// Its bytes.
    pub bytes: &'static [u8],
    /// Its references: offset, name, kind, addend.
    pub edges: &'static [(u32, &'static str, EdgeKind, i64)],
    /// Call frame instructions, from the state at its entry on.
    pub frame: &'static [u8],
}

/// What frames of a machine look like.
#[derive(Debug)]
pub(crate) struct Unwinding {
    /// What CIEs of this machine begin with after the augmentation: the alignment factors of code and data, and
    /// the register that has the return address.
    pub factors: [u8; 3],
    /// The state at the entry of a function.
    pub entry: &'static [u8],
    /// Whether this encoding has the entry lead to DWARF.
    pub is_dwarf: fn(u32) -> bool,
    /// Call frame instructions for an encoding, given the code of the function; `None` for one that says
    /// nothing that can be used.
    pub rules: fn(u32, &[u8]) -> Option<Vec<u8>>,
}

/// What a relocation means to the linker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Meaning {
    /// An edge.
    Edge(Form),
    /// The symbol is subtracted from that of the next relocation.
    Subtractor,
    /// The addend of the next relocation, in place of a symbol.
    Addend,
    /// Nothing that can be linked: why.
    Refused(&'static str),
}

/// The form of a relocation that becomes an edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Form {
    /// The edge's kind.
    pub kind: EdgeKind,
    /// Bytes of the field.
    pub width: u8,
    /// Whether the field holds the addend.
    pub implicit: bool,
    /// For a distance from the end of an instruction: how far that is from the field's first byte, in the form
    /// for sections and in that for symbols.
    pub end: Option<(i64, i64)>,
    /// Whether a `SUBTRACTOR` may stand before it.
    pub is_data: bool,
}

/// All machines.
static MACHINES: [&Machine; 2] = [&x86_64::MACHINE, &aarch64::MACHINE];

impl Machine {
    /// The machine with this number, if objects for it can be linked.
    pub(crate) fn of(number: CpuType) -> Option<&'static Self> {
        MACHINES
            .into_iter()
            .find(|machine| machine.number == number)
    }

    /// What the relocation means, given the bytes from its place on.
    pub(crate) fn meaning(&self, info: &RelocationInfo, field: &[u8]) -> Meaning {
        (self.meaning)(info, field)
    }

    /// The relocation for messages: "`X86_64_RELOC_BRANCH`".
    pub(crate) fn relocation_text(&self, number: RelocationType) -> String {
        match self.names.get(usize::from(number.0)) {
            Some(name) => (*name).to_owned(),
            None => format!("of unknown type {}", number.0),
        }
    }

    /// The edge that computes the difference of two symbols in so many bytes.
    pub(crate) fn difference(&self, width: u8) -> Option<EdgeKind> {
        let known = self.differences.iter().find(|(bytes, _)| *bytes == width);
        known.map(|(_, kind)| *kind)
    }
}

/// `DW_CFA_offset`: the register lies so many words below the frame.
fn push_offset(rules: &mut Vec<u8>, register: u8, words: u32) {
    match register {
        0..0x40 => rules.push(0x80 | register),
        // DW_CFA_offset_extended.
        _ => rules.extend([0x05, register]),
    }
    push_uleb(rules, u64::from(words));
}

fn push_uleb(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// The addend that lies in the field itself, sign-extended.
pub(crate) fn implicit_addend(field: &[u8]) -> i64 {
    match *field {
        [a] => i64::from(a.cast_signed()),
        [a, b] => i64::from(i16::from_le_bytes([a, b])),
        [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => i64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_found_by_number() {
        for machine in MACHINES {
            let found = Machine::of(machine.number).map(|found| found.architecture);
            assert_eq!(found, Some(machine.architecture));
        }
        assert!(Machine::of(object::macho::CPU_TYPE_POWERPC64).is_none());
    }

    #[test]
    fn implicit_addends_are_sign_extended() {
        assert_eq!(implicit_addend(&[0xff]), -1);
        assert_eq!(implicit_addend(&[0xfe, 0xff]), -2);
        assert_eq!(implicit_addend(&[4, 0, 0, 0x80]), -0x7fff_fffc);
        assert_eq!(implicit_addend(&(-5i64).to_le_bytes()), -5);
    }
}
