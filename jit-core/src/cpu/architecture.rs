//! Which CPU a session links for.

/// A CPU that code is linked for: the executor's, whatever the controller runs on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Architecture {
    /// x86-64 (AMD64).
    X86_64,
    /// AArch64 (arm64), little-endian.
    Aarch64,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

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

    /// The CPU of this name, as triples and emulators have it.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cpu| cpu.triple_name() == name)
    }

    /// Its name in triples, and in the names of emulators.
    #[must_use]
    pub const fn triple_name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triples_name_their_cpu() {
        let of = Architecture::of_triple;
        assert_eq!(of("x86_64-unknown-linux-gnu"), Some(Architecture::X86_64));
        assert_eq!(of("aarch64-unknown-linux-gnu"), Some(Architecture::Aarch64));
        assert_eq!(of("arm64-apple-darwin"), Some(Architecture::Aarch64));
        assert_eq!(of("riscv64gc-unknown-linux-gnu"), None);
        assert_eq!(of(""), None);
    }
}
