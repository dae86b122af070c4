//! What is known of a symbol beside its address.

use core::ops::{BitOr, BitOrAssign};

use crate::ExecutorAddr;

/// A set of symbol properties, with the bits of LLVM's `JITSymbolFlags`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(transparent)]
pub struct SymbolFlags(u8);

impl SymbolFlags {
    /// No property.
    pub const NONE: Self = Self(0);
    /// The symbol could not be materialized.
    pub const HAS_ERROR: Self = Self(1 << 0);
    /// A weak definition: a strong one replaces it.
    pub const WEAK: Self = Self(1 << 1);
    /// A common (tentative) definition.
    pub const COMMON: Self = Self(1 << 2);
    /// The address is a plain number, not a place in a section.
    pub const ABSOLUTE: Self = Self(1 << 3);
    /// Visible to other dylibs.
    pub const EXPORTED: Self = Self(1 << 4);
    /// Known to be code.
    pub const CALLABLE: Self = Self(1 << 5);
    /// Has no address: looking it up only has effects.
    pub const MATERIALIZATION_SIDE_EFFECTS_ONLY: Self = Self(1 << 6);

    /// The set with exactly these bits.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// The bits of the set.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether every property of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set without the properties of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the definition is neither weak nor common.
    #[must_use]
    pub const fn is_strong(self) -> bool {
        self.0 & (Self::WEAK.0 | Self::COMMON.0) == 0
    }
}

impl BitOr for SymbolFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for SymbolFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Where a symbol is and what it is; on the wire `(address, (flags, target flags))`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct ExecutorSymbolDef {
    /// Its address in the executor.
    pub addr: ExecutorAddr,
    /// Its properties.
    pub flags: SymbolFlags,
    /// Bits whose meaning depends on the CPU (Thumb code on ARM).
    pub target_flags: u8,
}

impl crate::sps::SpsEncode for SymbolFlags {
    fn sps_size(&self) -> usize {
        1
    }
    fn sps_encode(&self, out: &mut alloc::vec::Vec<u8>) {
        self.0.sps_encode(out);
    }
}

impl<'a> crate::sps::SpsDecode<'a> for SymbolFlags {
    const MIN_SIZE: usize = 1;
    fn sps_decode(input: &mut crate::sps::SpsReader<'a>) -> crate::sps::SpsResult<Self> {
        u8::sps_decode(input).map(Self)
    }
}

crate::impl_sps_struct!(ExecutorSymbolDef {
    addr: ExecutorAddr,
    flags: SymbolFlags,
    target_flags: u8
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exported_has_the_bit_that_llvm_executors_send() {
        assert_eq!(SymbolFlags::EXPORTED.bits(), 0x10);
    }

    #[test]
    fn weak_and_common_are_not_strong() {
        assert!(SymbolFlags::EXPORTED.is_strong());
        assert!(!(SymbolFlags::WEAK | SymbolFlags::EXPORTED).is_strong());
        assert!(!SymbolFlags::COMMON.is_strong());
    }

    #[test]
    fn a_symbol_definition_takes_ten_bytes() {
        let def = ExecutorSymbolDef {
            addr: ExecutorAddr::new(0x1122),
            flags: SymbolFlags::EXPORTED | SymbolFlags::CALLABLE,
            target_flags: 7,
        };
        let bytes = crate::sps::encode(&def);
        assert_eq!(bytes, [0x22, 0x11, 0, 0, 0, 0, 0, 0, 0x30, 7]);
        assert_eq!(crate::sps::decode(&bytes), Ok(def));
    }
}
