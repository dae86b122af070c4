//! Edge kinds of x86-64.
//!
//! Formulas use the letters of the System V psABI for x86-64:
//!
//! | letter | meaning |
//! |---|---|
//! | `S` | value of the edge's target symbol |
//! | `A` | the edge's addend |
//! | `P` | address of the place that is fixed up |
//! | `L` | address of the target's PLT stub, or `S` where the target is in reach |
//! | `G` | offset of the target's GOT entry from `GOT` |
//! | `GOT` | the GOT's base, one per allocation |
//! | `Z` | size of the target symbol |
//! | `TP` | offset of a thread-local variable from the thread pointer (negative) |
//!
//! There are three groups. *Fixups* are computed as they stand. *Requests* need a table entry, a
//! stub or a decision, and mirror the psABI's relocation types one by one: an object format maps
//! its relocation numbers to them and to fixups, and knows nothing more. *Rewrites* exist only
//! inside a link: a request whose instruction is replaced by a shorter way to the same value.
//! Lowering turns every request into a fixup or a rewrite; one that is left at fixup is an internal
//! error.

pub mod fixup;
pub mod lower;
pub mod stubs;
pub mod tls;

use crate::graph::EdgeKind;

/// Which part of a link may meet a kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// Computed as it stands; an object format may use it.
    Fixup,
    /// Lowered before layout; an object format may use it.
    Request,
    /// Made by lowering; no object format may use it.
    Rewrite,
}

macro_rules! kinds {
    ($($group:ident { $($(#[$doc:meta])* $name:ident,)* })*) => {
        /// How an edge of x86-64 code computes the bytes it writes.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Kind {
            $($($(#[$doc])* $name,)*)*
        }

        impl Kind {
            /// Every kind, in the order of its number.
            pub const ALL: &[Kind] = &[$($(Kind::$name,)*)*];

            /// Which part of a link may meet the kind.
            #[must_use]
            pub const fn group(self) -> Group {
                match self {
                    $($(Kind::$name)|* => Group::$group,)*
                }
            }

            /// The kind's name, as in "Delta32".
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Kind::$name => stringify!($name),)*)*
                }
            }
        }
    };
}

kinds! {
    Fixup {
        /// Writes nothing; the target stays alive with the place (`R_X86_64_NONE`).
        None,
        /// `S + A`, 64 bits (`R_X86_64_64`).
        Pointer64,
        /// `S + A`, 32 bits, zero-extended: 0 ..= 2^32-1 (`R_X86_64_32`).
        Pointer32,
        /// `S + A`, 32 bits, sign-extended: -2^31 ..= 2^31-1 (`R_X86_64_32S`).
        Pointer32Signed,
        /// `S + A`, 16 bits, either signedness: -2^15 ..= 2^16-1 (`R_X86_64_16`).
        Pointer16,
        /// `S + A`, 8 bits, either signedness: -2^7 ..= 2^8-1 (`R_X86_64_8`).
        Pointer8,
        /// `S + A - P`, 64 bits (`R_X86_64_PC64`).
        Delta64,
        /// `S + A - P`, 32 bits signed (`R_X86_64_PC32`).
        ///
        /// A direct reference. Lowering leads one that may not reach a native function through a
        /// stub, and gives one to native data a copy of the data.
        Delta32,
        /// `S + A - P`, 16 bits signed (`R_X86_64_PC16`).
        Delta16,
        /// `S + A - P`, 8 bits signed (`R_X86_64_PC8`).
        Delta8,
        /// `S + A - GOT`, 64 bits (`R_X86_64_GOTOFF64`).
        DeltaFromGot64,
        /// `S + A - GOT`, 32 bits signed; no relocation asks for it, lowered `GOT32` uses it.
        DeltaFromGot32,
        /// `GOT + A - P`, 64 bits (`R_X86_64_GOTPC64`). The target symbol is ignored.
        GotBaseDelta64,
        /// `GOT + A - P`, 32 bits signed (`R_X86_64_GOTPC32`). The target symbol is ignored.
        GotBaseDelta32,
        /// `TP + A`, 64 bits (`R_X86_64_TPOFF64`).
        TpOffset64,
        /// `TP + A`, 32 bits signed (`R_X86_64_TPOFF32`).
        TpOffset32,
        /// `TP + A`, 64 bits (`R_X86_64_DTPOFF64`): where accesses are rewritten to local-exec, the
        /// module's base is the thread pointer itself. For a variable in a module of its own, its offset
        /// there and `A`.
        ModuleOffset64,
        /// The same, 32 bits signed (`R_X86_64_DTPOFF32`).
        ModuleOffset32,
    }
    Request {
        /// `L + A - P`, 32 bits signed: a call or jump (`R_X86_64_PLT32`).
        Branch32,
        /// `L + A - GOT`, 64 bits (`R_X86_64_PLTOFF64`).
        PltOffset64,
        /// `G + A`, 32 bits signed (`R_X86_64_GOT32`).
        GotOffset32,
        /// `G + A`, 64 bits (`R_X86_64_GOT64`).
        GotOffset64,
        /// `G + A`, 64 bits, in a GOT part for PLT entries (`R_X86_64_GOTPLT64`); one GOT here.
        GotPltOffset64,
        /// `G + GOT + A - P`, 32 bits signed, any instruction (`R_X86_64_GOTPCREL`).
        GotDelta32,
        /// `G + GOT + A - P`, 64 bits (`R_X86_64_GOTPCREL64`).
        GotDelta64,
        /// `G + GOT + A - P`, 32 bits signed, in an instruction without a REX prefix that may be
        /// relaxed (`R_X86_64_GOTPCRELX`): opcode and ModRM lie at `P - 2`.
        GotDelta32Relaxable,
        /// The same with a REX prefix at `P - 3` (`R_X86_64_REX_GOTPCRELX`).
        GotDelta32RexRelaxable,
        /// The same with a REX2 prefix at `P - 4` (`R_X86_64_CODE_4_GOTPCRELX`, APX).
        GotDelta32Code4Relaxable,
        /// The same in an instruction that starts at `P - 5` (`R_X86_64_CODE_5_GOTPCRELX`, APX).
        GotDelta32Code5Relaxable,
        /// The same with an EVEX prefix at `P - 6` (`R_X86_64_CODE_6_GOTPCRELX`, APX).
        GotDelta32Code6Relaxable,
        /// `Z + A`, 32 bits, zero-extended (`R_X86_64_SIZE32`).
        Size32,
        /// `Z + A`, 64 bits (`R_X86_64_SIZE64`).
        Size64,
        /// Global dynamic: the operand of the `lea` that passes the address of a GOT pair (module,
        /// offset) to `__tls_get_addr`; 32 bits signed, PC-relative (`R_X86_64_TLSGD`).
        TlsGeneralDynamic,
        /// Local dynamic: the same for the module of the object itself (`R_X86_64_TLSLD`).
        TlsLocalDynamic,
        /// Initial exec: a GOT entry that holds `TP`, 32 bits signed, PC-relative, in a `mov` or
        /// `add` (`R_X86_64_GOTTPOFF`).
        TlsInitialExec,
        /// The same with a REX2 prefix at `P - 4` (`R_X86_64_CODE_4_GOTTPOFF`, APX).
        TlsInitialExecCode4,
        /// The same in an instruction that starts at `P - 5` (`R_X86_64_CODE_5_GOTTPOFF`, APX).
        TlsInitialExecCode5,
        /// The same with an EVEX prefix at `P - 6` (`R_X86_64_CODE_6_GOTTPOFF`, APX).
        TlsInitialExecCode6,
        /// The operand of the `lea` that loads a TLS descriptor's address
        /// (`R_X86_64_GOTPC32_TLSDESC`).
        TlsDescriptor,
        /// The same with a REX2 prefix at `P - 4` (`R_X86_64_CODE_4_GOTPC32_TLSDESC`, APX).
        TlsDescriptorCode4,
        /// The same in an instruction that starts at `P - 5` (`R_X86_64_CODE_5_GOTPC32_TLSDESC`).
        TlsDescriptorCode5,
        /// The same with an EVEX prefix at `P - 6` (`R_X86_64_CODE_6_GOTPC32_TLSDESC`).
        TlsDescriptorCode6,
        /// Marks the `call *(%rax)` through a TLS descriptor; `P` is the instruction's first byte
        /// (`R_X86_64_TLSDESC_CALL`).
        TlsDescriptorCall,
    }
    Rewrite {
        /// `mov x@GOTPCREL(%rip), %r` → `lea x(%rip), %r`; `S + A - P`, 32 bits signed.
        GotLoadToLea,
        /// `call *x@GOTPCREL(%rip)` → `addr32 call x`; `S + A - P`, 32 bits signed.
        GotCallToCall,
        /// `rex.W call *x@GOTPCREL(%rip)` → `rex.W call x; nop`; `S + A - (P - 1)`, 32 bits signed at
        /// `P - 1`. An `addr32` prefix may not stand behind a REX prefix.
        GotCallToCallNop,
        /// `jmp *x@GOTPCREL(%rip)` → `jmp x; nop`; `S + A - (P - 1)`, 32 bits signed at `P - 1`.
        GotJumpToJump,
        /// `mov x@GOTPCREL(%rip), %r` → `mov $x, %r`; `S + A + 4`, 32 bits signed.
        GotLoadToImmediate,
        /// The same behind a REX prefix.
        GotLoadToImmediateRex,
        /// The same behind a REX2 prefix.
        GotLoadToImmediateRex2,
        /// `test %r, x@GOTPCREL(%rip)` → `test $x, %r`; `S + A + 4`, 32 bits signed.
        GotTestToImmediate,
        /// The same behind a REX prefix.
        GotTestToImmediateRex,
        /// The same behind a REX2 prefix.
        GotTestToImmediateRex2,
        /// `op x@GOTPCREL(%rip), %r` → `op $x, %r` for the eight arithmetic operations; `S + A +
        /// 4`, 32 bits signed.
        GotBinopToImmediate,
        /// The same behind a REX prefix.
        GotBinopToImmediateRex,
        /// The same behind a REX2 prefix.
        GotBinopToImmediateRex2,
        /// `lea x(%rip), %r` (REX.W) → `mov $x, %r`; `S + A + 4`, 32 bits signed: for targets near
        /// address zero, such as an undefined weak symbol.
        LeaToImmediate,
        /// An undefined weak symbol's use that is never executed: writes `A`.
        UnreachedNull,
        /// General dynamic → local exec: `mov %fs:0, %rax; lea x@tpoff(%rax), %rax`; `TP + A + 4`,
        /// 32 bits signed at `P + 8`.
        GeneralDynamicToLocalExec,
        /// The same of the large code model, padded by a 6-byte `nop`; at `P + 9`.
        GeneralDynamicLargeToLocalExec,
        /// Local dynamic → local exec: `mov %fs:0, %rax` over `lea` and a direct call (12 bytes).
        LocalDynamicToLocalExec,
        /// The same over `lea` and a 6-byte call (13 bytes).
        LocalDynamicIndirectToLocalExec,
        /// The same over the sequence of the large code model (22 bytes).
        LocalDynamicLargeToLocalExec,
        /// `mov x@gottpoff(%rip), %r` → `mov $x@tpoff, %r` (REX); `TP + A + 4`, 32 bits signed.
        InitialExecMovToLocalExec,
        /// The same behind a REX2 prefix.
        InitialExecMovToLocalExecRex2,
        /// `add x@gottpoff(%rip), %r` → `add $x@tpoff, %r` (REX); `TP + A + 4`, 32 bits signed.
        InitialExecAddToLocalExec,
        /// The same behind a REX2 prefix.
        InitialExecAddToLocalExecRex2,
        /// `lea x@tlsdesc(%rip), %r` → `mov $x@tpoff, %r` (REX); `TP + A + 4`, 32 bits signed.
        DescriptorToLocalExec,
        /// The same behind a REX2 prefix.
        DescriptorToLocalExecRex2,
        /// `call *(%rax)` → `xchg %ax, %ax`.
        DescriptorCallToNop,
    }
}

impl Kind {
    /// The kind behind a graph's kind number, if it is one of x86-64.
    #[must_use]
    pub fn from_edge(kind: EdgeKind) -> Option<Kind> {
        Self::ALL.get(kind.0 as usize).copied()
    }

    /// The graph's number for the kind.
    #[must_use]
    pub const fn edge(self) -> EdgeKind {
        EdgeKind(self as u8)
    }
}

impl From<Kind> for EdgeKind {
    fn from(kind: Kind) -> EdgeKind {
        kind.edge()
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod kind_tests {
    use super::*;

    #[test]
    fn numbers_and_kinds_correspond() {
        for (number, &kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(kind as usize, number);
            assert_eq!(Kind::from_edge(kind.edge()), Some(kind));
        }
        assert_eq!(Kind::from_edge(EdgeKind(Kind::ALL.len() as u8)), None);
        assert!(Kind::ALL.len() <= 128, "sets of kinds are 128-bit masks");
    }
}
