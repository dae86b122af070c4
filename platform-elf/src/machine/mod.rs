//! The machines that objects are for: one file per machine, with its relocation numbers.

mod aarch64;
mod x86_64;

use jit_core::cpu::Architecture;
use jit_core::graph::EdgeKind;
use object::elf::{self, RelocationType, SectionType};

/// A machine, as ELF files name it.
#[derive(Debug)]
pub(crate) struct Machine {
    /// `e_machine` of its files.
    pub number: elf::Machine,
    /// The CPU that its code runs on.
    pub architecture: Architecture,
    /// Per relocation number: what it means.
    meanings: &'static [Meaning],
    /// The names of relocations that only linked files have.
    linked: &'static [(RelocationType, &'static str)],
    /// Relocations that debug information has: number, bytes of the field, and whether it counts from
    /// the thread pointer.
    data: &'static [(RelocationType, usize, bool)],
    /// Types of sections that it has, and whether such a section may be loaded into memory.
    section_types: &'static [(SectionType, bool)],
}

/// What a relocation means to the linker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Meaning {
    /// An edge of this kind, whose field has this many bytes.
    Edge(EdgeKind, u8),
    /// Nothing: a hint to linkers that may be ignored.
    Ignored,
    /// Not a relocation that objects may have.
    Unsupported,
}

/// All machines.
static MACHINES: [&Machine; 2] = [&x86_64::MACHINE, &aarch64::MACHINE];

impl Machine {
    /// The machine with this number, if objects for it can be linked.
    pub(crate) fn of(number: elf::Machine) -> Option<&'static Self> {
        MACHINES
            .into_iter()
            .find(|machine| machine.number == number)
    }

    /// The machine with this CPU.
    pub(crate) fn with(architecture: Architecture) -> &'static Self {
        match architecture {
            Architecture::X86_64 => &x86_64::MACHINE,
            Architecture::Aarch64 => &aarch64::MACHINE,
        }
    }

    /// What the relocation number means.
    #[inline]
    pub(crate) fn meaning(&self, r_type: RelocationType) -> Meaning {
        match self.meanings.get(r_type.0 as usize) {
            Some(&meaning) => meaning,
            None => Meaning::Unsupported,
        }
    }

    /// The relocation for messages: "R_X86_64_COPY (5), which only linked files may have,".
    pub(crate) fn relocation_text(&self, r_type: RelocationType) -> String {
        match self.linked.iter().find(|(known, _)| *known == r_type) {
            Some((_, name)) => format!("{name} ({}), which only linked files may have,", r_type.0),
            None => format!("of unknown type {}", r_type.0),
        }
    }

    /// Whether its sections may have this type, one of those that each machine has its own of.
    pub(crate) fn has_section_type(&self, kind: SectionType, is_loaded: bool) -> bool {
        let mut known = self.section_types.iter();
        known.any(|(known, may_be_loaded)| *known == kind && (*may_be_loaded || !is_loaded))
    }

    /// The bytes of a field that debug information has, and whether it counts from the thread pointer;
    /// `None` for relocations that debug information has no use for.
    pub(crate) fn data_field(&self, r_type: RelocationType) -> Option<(usize, bool)> {
        let known = self.data.iter().find(|(known, ..)| *known == r_type)?;
        Some((known.1, known.2))
    }
}

/// The addend that lies in the field itself (`SHT_REL`), sign-extended: the psABIs have no such
/// relocations for 64-bit machines, but assemblers can be told to write them.
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
    use jit_core::cpu::{Cpu, ForCpu, KindGroup, Kinds};

    /// The kinds of a CPU that a machine's objects may have and have no relocation for.
    struct KindsWithoutNumber(&'static Machine);

    impl ForCpu for KindsWithoutNumber {
        type Output = Vec<&'static str>;

        fn run<C: Cpu>(self) -> Self::Output {
            let meant: Vec<EdgeKind> = (0..2000)
                .filter_map(|number| match self.0.meaning(RelocationType(number)) {
                    Meaning::Edge(kind, width) => {
                        let facts = C::Kind::from_edge(kind).expect("a kind").facts();
                        assert_ne!(facts.group, KindGroup::Rewrite, "{number}");
                        assert_eq!(facts.width, width, "{number}");
                        Some(kind)
                    }
                    Meaning::Ignored | Meaning::Unsupported => None,
                })
                .collect();
            let missing = C::Kind::ALL.iter().filter(|kind| {
                kind.facts().group != KindGroup::Rewrite && !meant.contains(&kind.edge())
            });
            missing.map(|kind| kind.name()).collect()
        }
    }

    #[test]
    fn every_request_and_fixup_an_object_may_ask_for_has_a_number() {
        let missing =
            |machine: &'static Machine| machine.architecture.run(KindsWithoutNumber(machine));
        // Another format asks for these.
        let differences = [
            "Subtrahend",
            "Difference64",
            "Difference32",
            "Difference16",
            "Difference8",
        ];
        let with = |made: &[&'static str]| [&differences[..], made].concat();
        assert_eq!(missing(&x86_64::MACHINE), with(&["DeltaFromGot32"]));
        // What `Branch26` and `GotPageOffset15` become, and what lies in GOT entries.
        let made = ["Delta26", "FromGotPage15", "TpOffset64"];
        assert_eq!(missing(&aarch64::MACHINE), with(&made));
    }

    #[test]
    fn dynamic_relocations_are_refused() {
        for number in [5, 6, 7, 8, 16, 36, 37, 38, 52, 1000] {
            let meaning = x86_64::MACHINE.meaning(RelocationType(number));
            assert_eq!(meaning, Meaning::Unsupported, "{number}");
        }
        for number in 1024..1040 {
            let meaning = aarch64::MACHINE.meaning(RelocationType(number));
            assert_eq!(meaning, Meaning::Unsupported, "{number}");
        }
    }

    #[test]
    fn machines_are_found_by_number_and_by_cpu() {
        for machine in MACHINES {
            let number = Machine::of(machine.number).map(|found| found.architecture);
            assert_eq!(number, Some(machine.architecture));
            assert_eq!(Machine::with(machine.architecture).number, machine.number);
        }
        assert!(Machine::of(elf::EM_RISCV).is_none());
    }

    #[test]
    fn implicit_addends_are_sign_extended() {
        assert_eq!(implicit_addend(&[0xff]), -1);
        assert_eq!(implicit_addend(&[0xfe, 0xff]), -2);
        assert_eq!(implicit_addend(&[4, 0, 0, 0x80]), -0x7fff_fffc);
        assert_eq!(implicit_addend(&(-5i64).to_le_bytes()), -5);
    }
}
