//! Work that is made for each CPU, and done for one.

use super::Cpu;
use super::aarch64::Aarch64;
use super::architecture::Architecture;
use super::x86_64::X86_64;

/// Work that is the same for all CPUs, made for each of them.
pub trait ForCpu {
    /// Its result.
    type Output;

    /// Does the work for a CPU.
    fn run<C: Cpu>(self) -> Self::Output;
}

impl Architecture {
    /// Does some work for this CPU.
    pub fn run<T: ForCpu>(self, work: T) -> T::Output {
        match self {
            Self::X86_64 => work.run::<X86_64>(),
            Self::Aarch64 => work.run::<Aarch64>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{KindGroup, Kinds};
    use crate::graph::EdgeKind;

    /// What holds for the kinds of every CPU.
    struct KindsAreSound;

    impl ForCpu for KindsAreSound {
        type Output = ();

        fn run<C: Cpu>(self) {
            for (number, &kind) in C::Kind::ALL.iter().enumerate() {
                assert_eq!(usize::from(kind.edge().0), number);
                assert_eq!(C::Kind::from_edge(kind.edge()), Some(kind));
                let facts = kind.facts();
                assert!(!facts.needs_low || facts.direct, "{kind:?}");
                assert!(facts.group == KindGroup::Fixup || !facts.direct, "{kind:?}");
                if let Some(close) = C::close(kind) {
                    assert_eq!(close.facts().group, KindGroup::Fixup, "{kind:?}");
                }
            }
            let end = EdgeKind(C::Kind::ALL.len() as u8);
            assert_eq!(C::Kind::from_edge(end), None);
            let none = C::Kind::from_edge(EdgeKind::NONE).map(Kinds::name);
            assert_eq!(none, Some("None"));
            let pointer = C::Kind::from_edge(EdgeKind::POINTER64).map(Kinds::name);
            assert_eq!(pointer, Some("Pointer64"));
            let subtrahend = C::Kind::from_edge(EdgeKind::SUBTRAHEND).map(Kinds::name);
            assert_eq!(subtrahend, Some("Subtrahend"));
            let differences = C::Kind::ALL.iter().filter(|kind| kind.facts().subtracts);
            let widths: Vec<u8> = differences.map(|kind| kind.facts().width).collect();
            assert_eq!(widths, [8, 4, 2, 1]);
            for stub in [C::STUB, C::VENEER, C::TRAMPOLINE] {
                assert!(stub.align.is_power_of_two());
                assert_eq!(stub.code.len() as u64 % stub.align, 0);
            }
        }
    }

    #[test]
    fn numbers_kinds_and_facts_of_every_cpu_correspond() {
        for architecture in [Architecture::X86_64, Architecture::Aarch64] {
            architecture.run(KindsAreSound);
        }
    }
}
