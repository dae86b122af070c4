//! Which CPU a session links for.

use super::Cpu;
use super::aarch64::Aarch64;
use super::x86_64::X86_64;

/// A CPU that code is linked for: the executor's, whatever the controller runs on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Architecture {
    /// x86-64 (AMD64).
    X86_64,
    /// AArch64 (arm64), little-endian.
    Aarch64,
}

/// Work that is the same for all CPUs, made for each of them.
pub trait ForCpu {
    /// Its result.
    type Output;

    /// Does the work for a CPU.
    fn run<C: Cpu>(self) -> Self::Output;
}

impl Architecture {
    /// The CPU that this process runs on, if code can be linked for it.
    #[must_use]
    pub const fn of_this_process() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Aarch64)
        } else {
            None
        }
    }

    /// The CPU of a target triple, as in "x86_64-pc-linux-gnu".
    #[must_use]
    pub fn of_triple(triple: &str) -> Option<Self> {
        match triple.split('-').next()? {
            "x86_64" | "amd64" => Some(Self::X86_64),
            "aarch64" | "arm64" => Some(Self::Aarch64),
            _ => None,
        }
    }

    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86-64",
            Self::Aarch64 => "AArch64",
        }
    }

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
    use crate::cpu::{Group, Kinds};
    use crate::graph::EdgeKind;

    #[test]
    fn triples_name_their_cpu() {
        let of = Architecture::of_triple;
        assert_eq!(of("x86_64-unknown-linux-gnu"), Some(Architecture::X86_64));
        assert_eq!(of("aarch64-unknown-linux-gnu"), Some(Architecture::Aarch64));
        assert_eq!(of("arm64-apple-darwin"), Some(Architecture::Aarch64));
        assert_eq!(of("riscv64gc-unknown-linux-gnu"), None);
        assert_eq!(of(""), None);
    }

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
                assert!(facts.group == Group::Fixup || !facts.direct, "{kind:?}");
                if let Some(close) = C::close(kind) {
                    assert_eq!(close.facts().group, Group::Fixup, "{kind:?}");
                }
            }
            let end = EdgeKind(C::Kind::ALL.len() as u8);
            assert_eq!(C::Kind::from_edge(end), None);
            let none = C::Kind::from_edge(EdgeKind::NONE).map(Kinds::name);
            assert_eq!(none, Some("None"));
            let pointer = C::Kind::from_edge(EdgeKind::POINTER64).map(Kinds::name);
            assert_eq!(pointer, Some("Pointer64"));
            for stub in [C::STUB, C::VENEER] {
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
