//! Edge kinds of x86-64.
//!
//! Formulas use the letters of the System V psABI for x86-64:
//!
//! | letter | meaning |
//! |---|---|
//! | `S` | value of the edge's target symbol |
//! | `A` | the edge's addend |
//! | `T` | value of the symbol that is subtracted, the target of the edge before |
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

use crate::cpu::{KindFacts, KindGroup, Kinds, Reach};
use crate::graph::EdgeKind;

/// What a kind computes, or asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value {
    /// Nothing of its target.
    Nothing,
    /// `S + A`.
    Absolute,
    /// `S + A - P`.
    Delta,
    /// `S + A - T`.
    Difference,
    /// `S + A - GOT`.
    FromGot,
    /// `GOT + A - P`.
    GotBase,
    /// `TP + A`.
    TpOffset,
    /// `TP + A`, or the offset in its module, and `A`.
    ModuleOffset,
    /// `L + A`, from the place or from the GOT.
    Branch,
    /// The place of a GOT entry.
    Entry,
    /// `Z + A`.
    Size,
    /// A part of a sequence that finds a thread-local variable.
    ThreadLocal,
    /// The same, of the local dynamic model.
    LocalDynamic,
}

macro_rules! kinds {
    ($($group:ident { $($(#[$doc:meta])* $name:ident = $value:ident, $width:literal;)* })*) => {
        /// How an edge of x86-64 code computes the bytes it writes.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Kind {
            $($($(#[$doc])* $name,)*)*
        }

        impl Kind {
            /// Every kind, in the order of its number.
            pub const ALL: &[Kind] = &[$($(Kind::$name,)*)*];

            /// Per kind: its name, group, value, and the bytes that it writes or looks at.
            const ROWS: &[(&str, KindGroup, Value, u8)] = &[
                $($((stringify!($name), KindGroup::$group, Value::$value, $width),)*)*
            ];
        }
    };
}

kinds! {
    Fixup {
        /// Writes nothing; the target stays alive with the place (`R_X86_64_NONE`).
        None = Nothing, 0;
        /// `S + A`, 64 bits (`R_X86_64_64`).
        Pointer64 = Absolute, 8;
        /// Writes nothing: its target is the `T` of the edge behind it, at the same place. (Mach-O's
        /// `X86_64_RELOC_SUBTRACTOR`.)
        Subtrahend = Nothing, 0;
        /// `S + A - T`, 64 bits.
        Difference64 = Difference, 8;
        /// `S + A - T`, 32 bits, either signedness: -2^31 ..= 2^32-1.
        Difference32 = Difference, 4;
        /// `S + A - T`, 16 bits, either signedness.
        Difference16 = Difference, 2;
        /// `S + A - T`, 8 bits, either signedness.
        Difference8 = Difference, 1;
        /// `S + A`, 32 bits, zero-extended: 0 ..= 2^32-1 (`R_X86_64_32`).
        Pointer32 = Absolute, 4;
        /// `S + A`, 32 bits, sign-extended: -2^31 ..= 2^31-1 (`R_X86_64_32S`).
        Pointer32Signed = Absolute, 4;
        /// `S + A`, 16 bits, either signedness: -2^15 ..= 2^16-1 (`R_X86_64_16`).
        Pointer16 = Absolute, 2;
        /// `S + A`, 8 bits, either signedness: -2^7 ..= 2^8-1 (`R_X86_64_8`).
        Pointer8 = Absolute, 1;
        /// `S + A - P`, 64 bits (`R_X86_64_PC64`).
        Delta64 = Delta, 8;
        /// `S + A - P`, 32 bits signed (`R_X86_64_PC32`).
        ///
        /// A direct reference. Lowering leads one that may not reach a native function through a
        /// stub, and gives one to native data a copy of the data.
        Delta32 = Delta, 4;
        /// `S + A - P`, 16 bits signed (`R_X86_64_PC16`).
        Delta16 = Delta, 2;
        /// `S + A - P`, 8 bits signed (`R_X86_64_PC8`).
        Delta8 = Delta, 1;
        /// `S + A - GOT`, 64 bits (`R_X86_64_GOTOFF64`).
        DeltaFromGot64 = FromGot, 8;
        /// `S + A - GOT`, 32 bits signed; no relocation asks for it, lowered `GOT32` uses it.
        DeltaFromGot32 = FromGot, 4;
        /// `GOT + A - P`, 64 bits (`R_X86_64_GOTPC64`). The target symbol is ignored.
        GotBaseDelta64 = GotBase, 8;
        /// `GOT + A - P`, 32 bits signed (`R_X86_64_GOTPC32`). The target symbol is ignored.
        GotBaseDelta32 = GotBase, 4;
        /// `TP + A`, 64 bits (`R_X86_64_TPOFF64`).
        TpOffset64 = TpOffset, 8;
        /// `TP + A`, 32 bits signed (`R_X86_64_TPOFF32`).
        TpOffset32 = TpOffset, 4;
        /// `TP + A`, 64 bits (`R_X86_64_DTPOFF64`): where accesses are rewritten to local-exec, the
        /// module's base is the thread pointer itself. For a variable in a module of its own, its offset
        /// there and `A`.
        ModuleOffset64 = ModuleOffset, 8;
        /// The same, 32 bits signed (`R_X86_64_DTPOFF32`).
        ModuleOffset32 = ModuleOffset, 4;
    }
    Request {
        /// `L + A - P`, 32 bits signed: a call or jump (`R_X86_64_PLT32`).
        Branch32 = Branch, 4;
        /// `L + A - GOT`, 64 bits (`R_X86_64_PLTOFF64`).
        PltOffset64 = Branch, 8;
        /// `G + A`, 32 bits signed (`R_X86_64_GOT32`).
        GotOffset32 = Entry, 4;
        /// `G + A`, 64 bits (`R_X86_64_GOT64`).
        GotOffset64 = Entry, 8;
        /// `G + A`, 64 bits, in a GOT part for PLT entries (`R_X86_64_GOTPLT64`); one GOT here.
        GotPltOffset64 = Entry, 8;
        /// `G + GOT + A - P`, 32 bits signed, any instruction (`R_X86_64_GOTPCREL`).
        GotDelta32 = Entry, 4;
        /// `G + GOT + A - P`, 64 bits (`R_X86_64_GOTPCREL64`).
        GotDelta64 = Entry, 8;
        /// `G + GOT + A - P`, 32 bits signed, in an instruction without a REX prefix that may be
        /// relaxed (`R_X86_64_GOTPCRELX`): opcode and ModRM lie at `P - 2`.
        GotDelta32Relaxable = Entry, 4;
        /// The same with a REX prefix at `P - 3` (`R_X86_64_REX_GOTPCRELX`).
        GotDelta32RexRelaxable = Entry, 4;
        /// The same with a REX2 prefix at `P - 4` (`R_X86_64_CODE_4_GOTPCRELX`, APX).
        GotDelta32Code4Relaxable = Entry, 4;
        /// The same in an instruction that starts at `P - 5` (`R_X86_64_CODE_5_GOTPCRELX`, APX).
        GotDelta32Code5Relaxable = Entry, 4;
        /// The same with an EVEX prefix at `P - 6` (`R_X86_64_CODE_6_GOTPCRELX`, APX).
        GotDelta32Code6Relaxable = Entry, 4;
        /// `Z + A`, 32 bits, zero-extended (`R_X86_64_SIZE32`).
        Size32 = Size, 4;
        /// `Z + A`, 64 bits (`R_X86_64_SIZE64`).
        Size64 = Size, 8;
        /// Global dynamic: the operand of the `lea` that passes the address of a GOT pair (module,
        /// offset) to `__tls_get_addr`; 32 bits signed, PC-relative (`R_X86_64_TLSGD`).
        TlsGeneralDynamic = ThreadLocal, 4;
        /// Local dynamic: the same for the module of the object itself (`R_X86_64_TLSLD`).
        TlsLocalDynamic = LocalDynamic, 4;
        /// Initial exec: a GOT entry that holds `TP`, 32 bits signed, PC-relative, in a `mov` or
        /// `add` (`R_X86_64_GOTTPOFF`).
        TlsInitialExec = ThreadLocal, 4;
        /// The same with a REX2 prefix at `P - 4` (`R_X86_64_CODE_4_GOTTPOFF`, APX).
        TlsInitialExecCode4 = ThreadLocal, 4;
        /// The same in an instruction that starts at `P - 5` (`R_X86_64_CODE_5_GOTTPOFF`, APX).
        TlsInitialExecCode5 = ThreadLocal, 4;
        /// The same with an EVEX prefix at `P - 6` (`R_X86_64_CODE_6_GOTTPOFF`, APX).
        TlsInitialExecCode6 = ThreadLocal, 4;
        /// The operand of the `lea` that loads a TLS descriptor's address
        /// (`R_X86_64_GOTPC32_TLSDESC`).
        TlsDescriptor = ThreadLocal, 4;
        /// The same with a REX2 prefix at `P - 4` (`R_X86_64_CODE_4_GOTPC32_TLSDESC`, APX).
        TlsDescriptorCode4 = ThreadLocal, 4;
        /// The same in an instruction that starts at `P - 5` (`R_X86_64_CODE_5_GOTPC32_TLSDESC`).
        TlsDescriptorCode5 = ThreadLocal, 4;
        /// The same with an EVEX prefix at `P - 6` (`R_X86_64_CODE_6_GOTPC32_TLSDESC`).
        TlsDescriptorCode6 = ThreadLocal, 4;
        /// Marks the `call *(%rax)` through a TLS descriptor; `P` is the instruction's first byte
        /// (`R_X86_64_TLSDESC_CALL`).
        TlsDescriptorCall = ThreadLocal, 2;
    }
    Rewrite {
        /// `mov x@GOTPCREL(%rip), %r` → `lea x(%rip), %r`; `S + A - P`, 32 bits signed.
        GotLoadToLea = Delta, 4;
        /// `call *x@GOTPCREL(%rip)` → `addr32 call x`; `S + A - P`, 32 bits signed.
        GotCallToCall = Delta, 4;
        /// `rex.W call *x@GOTPCREL(%rip)` → `rex.W call x; nop`; `S + A - (P - 1)`, 32 bits signed at
        /// `P - 1`. An `addr32` prefix may not stand behind a REX prefix.
        GotCallToCallNop = Delta, 4;
        /// `jmp *x@GOTPCREL(%rip)` → `jmp x; nop`; `S + A - (P - 1)`, 32 bits signed at `P - 1`.
        GotJumpToJump = Delta, 4;
        /// `mov x@GOTPCREL(%rip), %r` → `mov $x, %r`; `S + A + 4`, 32 bits signed.
        GotLoadToImmediate = Absolute, 4;
        /// The same behind a REX prefix.
        GotLoadToImmediateRex = Absolute, 4;
        /// The same behind a REX2 prefix.
        GotLoadToImmediateRex2 = Absolute, 4;
        /// `test %r, x@GOTPCREL(%rip)` → `test $x, %r`; `S + A + 4`, 32 bits signed.
        GotTestToImmediate = Absolute, 4;
        /// The same behind a REX prefix.
        GotTestToImmediateRex = Absolute, 4;
        /// The same behind a REX2 prefix.
        GotTestToImmediateRex2 = Absolute, 4;
        /// `op x@GOTPCREL(%rip), %r` → `op $x, %r` for the eight arithmetic operations; `S + A +
        /// 4`, 32 bits signed.
        GotBinopToImmediate = Absolute, 4;
        /// The same behind a REX prefix.
        GotBinopToImmediateRex = Absolute, 4;
        /// The same behind a REX2 prefix.
        GotBinopToImmediateRex2 = Absolute, 4;
        /// `lea x(%rip), %r` (REX.W) → `mov $x, %r`; `S + A + 4`, 32 bits signed: for targets near
        /// address zero, such as an undefined weak symbol.
        LeaToImmediate = Absolute, 4;
        /// An undefined weak symbol's use that is never executed: writes `A`.
        UnreachedNull = Nothing, 4;
        /// General dynamic → local exec: `mov %fs:0, %rax; lea x@tpoff(%rax), %rax`; `TP + A + 4`,
        /// 32 bits signed at `P + 8`.
        GeneralDynamicToLocalExec = TpOffset, 4;
        /// The same of the large code model, padded by a 6-byte `nop`; at `P + 9`.
        GeneralDynamicLargeToLocalExec = TpOffset, 4;
        /// Local dynamic → local exec: `mov %fs:0, %rax` over `lea` and a direct call (12 bytes).
        LocalDynamicToLocalExec = Nothing, 0;
        /// The same over `lea` and a 6-byte call (13 bytes).
        LocalDynamicIndirectToLocalExec = Nothing, 0;
        /// The same over the sequence of the large code model (22 bytes).
        LocalDynamicLargeToLocalExec = Nothing, 0;
        /// `mov x@gottpoff(%rip), %r` → `mov $x@tpoff, %r` (REX); `TP + A + 4`, 32 bits signed.
        InitialExecMovToLocalExec = TpOffset, 4;
        /// The same behind a REX2 prefix.
        InitialExecMovToLocalExecRex2 = TpOffset, 4;
        /// `add x@gottpoff(%rip), %r` → `add $x@tpoff, %r` (REX); `TP + A + 4`, 32 bits signed.
        InitialExecAddToLocalExec = TpOffset, 4;
        /// The same behind a REX2 prefix.
        InitialExecAddToLocalExecRex2 = TpOffset, 4;
        /// `lea x@tlsdesc(%rip), %r` → `mov $x@tpoff, %r` (REX); `TP + A + 4`, 32 bits signed.
        DescriptorToLocalExec = TpOffset, 4;
        /// The same behind a REX2 prefix.
        DescriptorToLocalExecRex2 = TpOffset, 4;
        /// `call *(%rax)` → `xchg %ax, %ax`.
        DescriptorCallToNop = Nothing, 2;
    }
}

impl Kind {
    /// The graph's number for the kind.
    #[must_use]
    pub const fn edge(self) -> EdgeKind {
        EdgeKind(self as u8)
    }

    /// Which part of a link may meet the kind.
    #[must_use]
    pub const fn group(self) -> KindGroup {
        Self::ROWS[self as usize].1
    }

    const fn facts_of_row(self) -> KindFacts {
        let (_, group, value, width) = Self::ROWS[self as usize];
        let is_fixup = matches!(group, KindGroup::Fixup);
        let has_place = matches!(value, Value::Delta | Value::GotBase);
        let needs_low = is_fixup && matches!(value, Value::Absolute) && width < 8;
        KindFacts {
            group,
            width,
            has_place,
            subtracts: matches!(value, Value::Difference),
            needs_low,
            direct: needs_low || (is_fixup && matches!(value, Value::Delta) && width < 8),
            through_table: matches!(value, Value::Branch | Value::Entry),
            is_branch: matches!(value, Value::Branch),
            in_one_module: matches!(value, Value::LocalDynamic | Value::ModuleOffset),
            reach: match has_place && width < 8 {
                true => Reach::Bits(8 * width),
                false => Reach::All,
            },
        }
    }
}

impl Kinds for Kind {
    const ALL: &'static [Self] = Self::ALL;

    fn facts(self) -> KindFacts {
        self.facts_of_row()
    }

    fn name(self) -> &'static str {
        Self::ROWS[self as usize].0
    }

    fn edge(self) -> EdgeKind {
        self.edge()
    }
}

impl From<Kind> for EdgeKind {
    fn from(kind: Kind) -> EdgeKind {
        kind.edge()
    }
}
