//! Edge kinds of AArch64.
//!
//! Formulas use the letters of "ELF for the Arm 64-bit Architecture" (AAELF64):
//!
//! | letter | meaning |
//! |---|---|
//! | `S` | value of the edge's target symbol, or of the table entry or stub made for it |
//! | `A` | the edge's addend |
//! | `T` | value of the symbol that is subtracted, the target of the edge before |
//! | `P` | address of the place that is fixed up |
//! | `Page(x)` | `x` without its low 12 bits |
//! | `GOT` | the GOT's base, one per allocation |
//! | `TP` | offset of a thread-local variable from the thread pointer (positive) |
//!
//! An address takes two instructions: `adrp` makes the page, 4 GiB around the place, and `add`, or
//! the load itself, the low 12 bits. A branch reaches 128 MiB, a conditional one 1 MiB, and one that
//! tests a bit 32 KiB.
//!
//! **One row per kind says all**: the group, which value is computed, which bits of the place it
//! goes to, and what it must fit. [`super::fixup`] follows the row; [`super::lower`] says what requests
//! become.

use crate::cpu::{KindFacts, KindGroup, Kinds, Reach};
use crate::graph::EdgeKind;

/// What a fixup computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value {
    /// Nothing: the bytes do not depend on the target.
    Nothing,
    /// `S + A`.
    Absolute,
    /// `TP + A` of a thread-local variable.
    Offset,
    /// `S + A - P`.
    Delta,
    /// `Page(S + A) - Page(P)`.
    PageDelta,
    /// `S + A - T`.
    Difference,
    /// `S + A - GOT`.
    FromGot,
    /// `S + A - Page(GOT)`.
    FromGotPage,
}

/// Where a value goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// Nowhere.
    Nothing,
    /// So many bytes of data.
    Data(u8),
    /// `adr`: 21 bits in two pieces.
    Adr,
    /// `adrp`: the same, of the value without its low 12 bits.
    Adrp,
    /// Bits 0 to 11, as an unsigned immediate of `add` (scale 0) or of a load or store of
    /// 2^scale bytes.
    Low12(u8),
    /// Bits 12 to 23, as an immediate of `add` that is shifted by 12.
    High12,
    /// Bits 3 to 14, as the scaled offset of an 8-byte load.
    Low15,
    /// A distance in instructions, in so many bits: `ldr` of a literal and conditional branches
    /// (19), `tbz` (14), `b` and `bl` (26).
    Words(u8),
    /// Bits `16 n` and up, as the immediate of a `movz`, `movk` or `movn`.
    Move(u8),
    /// Bits 12 to 23 as the shifted immediate of the `add` that follows, and bits 0 to 11 as that of
    /// the one behind it.
    TwoAdds,
    /// As [`Self::Move`]; the instruction becomes `movz`, or `movn` of the inverted value if that is negative.
    MoveSigned(u8),
}

/// Which values fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fits {
    /// All: other instructions hold the remaining bits.
    Any,
    /// -2^(n-1) ..= 2^(n-1) - 1.
    Signed(u8),
    /// 0 ..= 2^n - 1.
    Unsigned(u8),
    /// -2^(n-1) ..= 2^n - 1.
    Either(u8),
}

/// What instruction stands at the place after the fixup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rewrite {
    /// The one that stood there.
    Kept,
    /// `ldr xT, [xN, #…]` → `add xT, xN, #…`.
    LoadToAdd,
    /// Any with a destination → `movz xD, #…, lsl #16`.
    MoveHigh,
    /// Any with a destination → `movk xD, #…`.
    MoveLow,
    /// Any with a destination → `movz xD, #0`.
    Zero,
    /// Any → `nop`.
    Nop,
    /// `adrp x0, …` → `mrs x0, tpidr_el0`.
    ThreadPointer,
    /// `add x0, x0, …; bl __tls_get_addr; nop` → `movk x0, #…; mrs x1, tpidr_el0; add x0, x1, x0`.
    GeneralDynamicCall,
    /// `add x0, x0, …; bl __tls_get_addr` → `nop; nop`.
    LocalDynamicCall,
    /// `adr x0, …; bl __tls_get_addr; nop` → `mrs x1, tpidr_el0; add x0, x1, #…, lsl #12; add x0, x0, #…`.
    GeneralDynamicAdr,
    /// `adr x0, …; bl __tls_get_addr` → `mrs x0, tpidr_el0; nop`.
    LocalDynamicAdr,
    /// `ldr x1, …` → `movz x0, #…, lsl #16`.
    DescriptorHigh,
    /// `adr x0, …` → `movk x0, #…`.
    DescriptorLow,
}

/// One row of the table of kinds.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The kind's name, as in "Page21".
    pub name: &'static str,
    /// Which part of a link may meet the kind.
    pub group: KindGroup,
    /// What is computed.
    pub value: Value,
    /// Where it goes.
    pub field: Field,
    /// What it must fit.
    pub fits: Fits,
    /// What becomes of the instruction.
    pub rewrite: Rewrite,
}

macro_rules! kinds {
    ($($group:ident { $($(#[$doc:meta])* $name:ident = $value:ident, $field:expr, $fits:expr, $rewrite:ident;)* })*) => {
        /// How an edge of AArch64 code computes the bytes it writes.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Kind {
            $($($(#[$doc])* $name,)*)*
        }

        impl Kind {
            /// Every kind, in the order of its number.
            pub const ALL: &[Kind] = &[$($(Kind::$name,)*)*];

            const ROWS: &[Row] = {
                use self::Field::*;
                use self::Fits::*;
                &[$($(Row {
                    name: stringify!($name),
                    group: KindGroup::$group,
                    value: Value::$value,
                    field: $field,
                    fits: $fits,
                    rewrite: Rewrite::$rewrite,
                },)*)*]
            };
        }
    };
}

kinds! {
    Fixup {
        /// Writes nothing; the target stays alive with the place (`R_AARCH64_NONE`).
        None = Nothing, Nothing, Any, Kept;
        /// `S + A` (`R_AARCH64_ABS64`).
        Pointer64 = Absolute, Data(8), Any, Kept;
        /// Writes nothing: its target is the `T` of the edge behind it, at the same place. (Mach-O's
        /// `ARM64_RELOC_SUBTRACTOR`.)
        Subtrahend = Nothing, Nothing, Any, Kept;
        /// `S + A - T`.
        Difference64 = Difference, Data(8), Any, Kept;
        /// `S + A - T`, of either signedness.
        Difference32 = Difference, Data(4), Either(32), Kept;
        /// `S + A - T`, of either signedness.
        Difference16 = Difference, Data(2), Either(16), Kept;
        /// `S + A - T`, of either signedness.
        Difference8 = Difference, Data(1), Either(8), Kept;
        /// `S + A`, of either signedness (`R_AARCH64_ABS32`).
        Pointer32 = Absolute, Data(4), Either(32), Kept;
        /// `S + A`, of either signedness (`R_AARCH64_ABS16`).
        Pointer16 = Absolute, Data(2), Either(16), Kept;
        /// `S + A - P` (`R_AARCH64_PREL64`).
        Delta64 = Delta, Data(8), Any, Kept;
        /// `S + A - P`, of either signedness (`R_AARCH64_PREL32`).
        Delta32 = Delta, Data(4), Either(32), Kept;
        /// `S + A - P`, of either signedness (`R_AARCH64_PREL16`).
        Delta16 = Delta, Data(2), Either(16), Kept;
        /// `S + A - GOT` (`R_AARCH64_GOTREL64`).
        FromGot64 = FromGot, Data(8), Any, Kept;
        /// `S + A - GOT` (`R_AARCH64_GOTREL32`).
        FromGot32 = FromGot, Data(4), Signed(32), Kept;
        /// `S + A - P` in `adr` (`R_AARCH64_ADR_PREL_LO21`).
        Adr21 = Delta, Adr, Signed(21), Kept;
        /// `Page(S + A) - Page(P)` in `adrp` (`R_AARCH64_ADR_PREL_PG_HI21`).
        Page21 = PageDelta, Adrp, Signed(33), Kept;
        /// The same without a check (`R_AARCH64_ADR_PREL_PG_HI21_NC`).
        Page21Unchecked = PageDelta, Adrp, Any, Kept;
        /// Low bits of `S + A` in `add` (`R_AARCH64_ADD_ABS_LO12_NC`).
        AddLow12 = Absolute, Low12(0), Any, Kept;
        /// The same in a load or store of a byte (`R_AARCH64_LDST8_ABS_LO12_NC`).
        Access8Low12 = Absolute, Low12(0), Any, Kept;
        /// The same of 2 bytes (`R_AARCH64_LDST16_ABS_LO12_NC`).
        Access16Low12 = Absolute, Low12(1), Any, Kept;
        /// The same of 4 bytes (`R_AARCH64_LDST32_ABS_LO12_NC`).
        Access32Low12 = Absolute, Low12(2), Any, Kept;
        /// The same of 8 bytes (`R_AARCH64_LDST64_ABS_LO12_NC`).
        Access64Low12 = Absolute, Low12(3), Any, Kept;
        /// The same of 16 bytes (`R_AARCH64_LDST128_ABS_LO12_NC`).
        Access128Low12 = Absolute, Low12(4), Any, Kept;
        /// `S + A - P` in `ldr` of a literal (`R_AARCH64_LD_PREL_LO19`).
        Literal19 = Delta, Words(19), Signed(21), Kept;
        /// `S + A - P` in a conditional branch (`R_AARCH64_CONDBR19`).
        ConditionalBranch19 = Delta, Words(19), Signed(21), Kept;
        /// `S + A - P` in a branch that tests a bit (`R_AARCH64_TSTBR14`).
        TestBranch14 = Delta, Words(14), Signed(16), Kept;
        /// `S + A - P` in `b` or `bl`: what `Branch26` becomes where it reaches.
        Delta26 = Delta, Words(26), Signed(28), Kept;
        /// `S + A`, bits 0 to 15 (`R_AARCH64_MOVW_UABS_G0`).
        MoveUnsigned0 = Absolute, Move(0), Unsigned(16), Kept;
        /// The same without a check (`R_AARCH64_MOVW_UABS_G0_NC`).
        Move0 = Absolute, Move(0), Any, Kept;
        /// `S + A`, bits 16 to 31 (`R_AARCH64_MOVW_UABS_G1`).
        MoveUnsigned1 = Absolute, Move(1), Unsigned(32), Kept;
        /// The same without a check (`R_AARCH64_MOVW_UABS_G1_NC`).
        Move1 = Absolute, Move(1), Any, Kept;
        /// `S + A`, bits 32 to 47 (`R_AARCH64_MOVW_UABS_G2`).
        MoveUnsigned2 = Absolute, Move(2), Unsigned(48), Kept;
        /// The same without a check (`R_AARCH64_MOVW_UABS_G2_NC`).
        Move2 = Absolute, Move(2), Any, Kept;
        /// `S + A`, bits 48 to 63 (`R_AARCH64_MOVW_UABS_G3`).
        Move3 = Absolute, Move(3), Any, Kept;
        /// `S + A`, bits 0 to 15, signed (`R_AARCH64_MOVW_SABS_G0`).
        MoveSigned0 = Absolute, MoveSigned(0), Signed(17), Kept;
        /// `S + A`, bits 16 to 31, signed (`R_AARCH64_MOVW_SABS_G1`).
        MoveSigned1 = Absolute, MoveSigned(1), Signed(33), Kept;
        /// `S + A`, bits 32 to 47, signed (`R_AARCH64_MOVW_SABS_G2`).
        MoveSigned2 = Absolute, MoveSigned(2), Signed(49), Kept;
        /// `S + A - P`, bits 0 to 15 (`R_AARCH64_MOVW_PREL_G0`).
        MoveDelta0 = Delta, MoveSigned(0), Signed(17), Kept;
        /// The same without a check, in a `movk` (`R_AARCH64_MOVW_PREL_G0_NC`).
        MoveDelta0Unchecked = Delta, Move(0), Any, Kept;
        /// `S + A - P`, bits 16 to 31 (`R_AARCH64_MOVW_PREL_G1`).
        MoveDelta1 = Delta, MoveSigned(1), Signed(33), Kept;
        /// The same without a check, in a `movk` (`R_AARCH64_MOVW_PREL_G1_NC`).
        MoveDelta1Unchecked = Delta, Move(1), Any, Kept;
        /// `S + A - P`, bits 32 to 47 (`R_AARCH64_MOVW_PREL_G2`).
        MoveDelta2 = Delta, MoveSigned(2), Signed(49), Kept;
        /// The same without a check, in a `movk` (`R_AARCH64_MOVW_PREL_G2_NC`).
        MoveDelta2Unchecked = Delta, Move(2), Any, Kept;
        /// `S + A - P`, bits 48 to 63 (`R_AARCH64_MOVW_PREL_G3`).
        MoveDelta3 = Delta, MoveSigned(3), Any, Kept;
        /// `S + A - Page(GOT)` in an 8-byte load, `S` being a GOT entry: what `GotPageOffset15`
        /// becomes.
        FromGotPage15 = FromGotPage, Low15, Unsigned(15), Kept;
        /// `TP + A`, bits 12 to 23, in `add` (`R_AARCH64_TLSLE_ADD_TPREL_HI12`, and
        /// `TLSLD_ADD_DTPREL_HI12`: the module's base is the thread pointer itself).
        TpHigh12 = Offset, High12, Unsigned(24), Kept;
        /// `TP + A`, bits 0 to 11, in `add` (`R_AARCH64_TLSLE_ADD_TPREL_LO12`).
        TpLow12 = Offset, Low12(0), Unsigned(12), Kept;
        /// The same without a check (`R_AARCH64_TLSLE_ADD_TPREL_LO12_NC`).
        TpLow12Unchecked = Offset, Low12(0), Any, Kept;
        /// `TP + A` in a load or store of a byte (`R_AARCH64_TLSLE_LDST8_TPREL_LO12`).
        TpAccess8 = Offset, Low12(0), Unsigned(12), Kept;
        /// The same without a check (`R_AARCH64_TLSLE_LDST8_TPREL_LO12_NC`).
        TpAccess8Unchecked = Offset, Low12(0), Any, Kept;
        /// The same of 2 bytes (`R_AARCH64_TLSLE_LDST16_TPREL_LO12`).
        TpAccess16 = Offset, Low12(1), Unsigned(12), Kept;
        /// The same without a check (`R_AARCH64_TLSLE_LDST16_TPREL_LO12_NC`).
        TpAccess16Unchecked = Offset, Low12(1), Any, Kept;
        /// The same of 4 bytes (`R_AARCH64_TLSLE_LDST32_TPREL_LO12`).
        TpAccess32 = Offset, Low12(2), Unsigned(12), Kept;
        /// The same without a check (`R_AARCH64_TLSLE_LDST32_TPREL_LO12_NC`).
        TpAccess32Unchecked = Offset, Low12(2), Any, Kept;
        /// The same of 8 bytes (`R_AARCH64_TLSLE_LDST64_TPREL_LO12`).
        TpAccess64 = Offset, Low12(3), Unsigned(12), Kept;
        /// The same without a check (`R_AARCH64_TLSLE_LDST64_TPREL_LO12_NC`).
        TpAccess64Unchecked = Offset, Low12(3), Any, Kept;
        /// The same of 16 bytes (`R_AARCH64_TLSLE_LDST128_TPREL_LO12`).
        TpAccess128 = Offset, Low12(4), Unsigned(12), Kept;
        /// The same without a check (`R_AARCH64_TLSLE_LDST128_TPREL_LO12_NC`).
        TpAccess128Unchecked = Offset, Low12(4), Any, Kept;
        /// `TP + A`, bits 0 to 15, signed (`R_AARCH64_TLSLE_MOVW_TPREL_G0`).
        TpMove0 = Offset, MoveSigned(0), Signed(17), Kept;
        /// The same without a check, in a `movk` (`R_AARCH64_TLSLE_MOVW_TPREL_G0_NC`).
        TpMove0Unchecked = Offset, Move(0), Any, Kept;
        /// `TP + A`, bits 16 to 31, signed (`R_AARCH64_TLSLE_MOVW_TPREL_G1`).
        TpMove1 = Offset, MoveSigned(1), Signed(33), Kept;
        /// The same without a check, in a `movk` (`R_AARCH64_TLSLE_MOVW_TPREL_G1_NC`).
        TpMove1Unchecked = Offset, Move(1), Any, Kept;
        /// `TP + A`, bits 32 to 47, signed (`R_AARCH64_TLSLE_MOVW_TPREL_G2`).
        TpMove2 = Offset, MoveSigned(2), Signed(49), Kept;
        /// `TP + A`, 64 bits of data (a GOT entry).
        TpOffset64 = Offset, Data(8), Any, Kept;
    }
    Request {
        /// `S + A - P` in `b` or `bl`, to the target or to a stub (`R_AARCH64_CALL26`,
        /// `R_AARCH64_JUMP26`).
        Branch26 = Delta, Words(26), Signed(28), Kept;
        /// The same as 4 bytes of data (`R_AARCH64_PLT32`).
        Branch32 = Delta, Data(4), Signed(32), Kept;
        /// `Page` of the GOT entry, in `adrp` (`R_AARCH64_ADR_GOT_PAGE`).
        GotPage21 = PageDelta, Adrp, Signed(33), Kept;
        /// Low bits of the GOT entry's address, in an 8-byte load (`R_AARCH64_LD64_GOT_LO12_NC`).
        GotLow12 = Absolute, Low12(3), Any, Kept;
        /// Distance of the GOT entry from the page of the GOT, in an 8-byte load
        /// (`R_AARCH64_LD64_GOTPAGE_LO15`).
        GotPageOffset15 = FromGotPage, Low15, Unsigned(15), Kept;
        /// Distance of the GOT entry, in `ldr` of a literal (`R_AARCH64_GOT_LD_PREL19`).
        GotLiteral19 = Delta, Words(19), Signed(21), Kept;
        /// Distance of the GOT entry, as data (`R_AARCH64_GOTPCREL32`).
        GotDelta32 = Delta, Data(4), Signed(32), Kept;
        /// General dynamic: page of the GOT pair, in `adrp` (`R_AARCH64_TLSGD_ADR_PAGE21`).
        TlsPairPage21 = PageDelta, Adrp, Signed(33), Kept;
        /// General dynamic: low bits of the pair's address, in `add` before the call
        /// (`R_AARCH64_TLSGD_ADD_LO12_NC`).
        TlsPairLow12 = Absolute, Low12(0), Any, Kept;
        /// General dynamic, tiny code model: distance of the pair, in `adr` before the call
        /// (`R_AARCH64_TLSGD_ADR_PREL21`).
        TlsPairAdr21 = Delta, Adr, Signed(21), Kept;
        /// Local dynamic, tiny code model: distance of the module's pair, in `adr` before the call
        /// (`R_AARCH64_TLSLD_ADR_PREL21`).
        TlsModuleAdr21 = Delta, Adr, Signed(21), Kept;
        /// Local dynamic: page of the module's GOT pair, in `adrp` (`R_AARCH64_TLSLD_ADR_PAGE21`).
        TlsModulePage21 = PageDelta, Adrp, Signed(33), Kept;
        /// Local dynamic: low bits of the pair's address, in `add` before the call
        /// (`R_AARCH64_TLSLD_ADD_LO12_NC`).
        TlsModuleLow12 = Absolute, Low12(0), Any, Kept;
        /// Initial exec: page of the GOT entry that holds `TP`, in `adrp`
        /// (`R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21`).
        TlsOffsetPage21 = PageDelta, Adrp, Signed(33), Kept;
        /// Initial exec: low bits of that entry's address, in an 8-byte load
        /// (`R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC`).
        TlsOffsetLow12 = Absolute, Low12(3), Any, Kept;
        /// Initial exec: distance of that entry, in `ldr` of a literal
        /// (`R_AARCH64_TLSIE_LD_GOTTPREL_PREL19`).
        TlsOffsetLiteral19 = Delta, Words(19), Signed(21), Kept;
        /// Page of the TLS descriptor, in `adrp` (`R_AARCH64_TLSDESC_ADR_PAGE21`).
        TlsDescriptorPage21 = Nothing, Nothing, Any, Kept;
        /// Low bits of the descriptor's address, in the load of its function
        /// (`R_AARCH64_TLSDESC_LD64_LO12`).
        TlsDescriptorLoad = Nothing, Nothing, Any, Kept;
        /// Low bits of the descriptor's address, in `add` (`R_AARCH64_TLSDESC_ADD_LO12`).
        TlsDescriptorAdd = Nothing, Nothing, Any, Kept;
        /// Tiny code model: distance of the descriptor, in the load of its function
        /// (`R_AARCH64_TLSDESC_LD_PREL19`).
        TlsDescriptorLiteral19 = Nothing, Nothing, Any, Kept;
        /// Tiny code model: distance of the descriptor, in `adr` (`R_AARCH64_TLSDESC_ADR_PREL21`).
        TlsDescriptorAdr21 = Nothing, Nothing, Any, Kept;
        /// Marks the call through a descriptor, `blr x1` (`R_AARCH64_TLSDESC_CALL`).
        TlsDescriptorCall = Nothing, Nothing, Any, Kept;
    }
    Rewrite {
        /// `ldr xT, [xN, :got_lo12:x]` → `add xT, xN, :lo12:x`.
        GotLoadToAdd = Absolute, Low12(0), Any, LoadToAdd;
        /// `adrp`, `adr` or `ldr` of a literal, with an undefined weak symbol → `movz xD, #0`.
        AddressToZero = Nothing, Nothing, Any, Zero;
        /// A branch to an undefined weak symbol → `nop`.
        BranchToNop = Nothing, Nothing, Any, Nop;
        /// An undefined weak symbol's use that is never executed: nothing is written.
        UnreachedNull = Nothing, Nothing, Any, Kept;
        /// A first instruction of two → `movz xD, #:tprel_g1:x, lsl #16`.
        ToTpHigh = Offset, Move(1), Unsigned(32), MoveHigh;
        /// A second instruction of two → `movk xD, #:tprel_g0_nc:x`.
        ToTpLow = Offset, Move(0), Any, MoveLow;
        /// An instruction of a rewritten sequence that is not needed any more → `nop`.
        ToNop = Nothing, Nothing, Any, Nop;
        /// General dynamic: the `add` and the call behind it → local exec.
        GeneralDynamicToLocalExec = Offset, Move(0), Any, GeneralDynamicCall;
        /// Local dynamic: `adrp x0, …` → `mrs x0, tpidr_el0`.
        LocalDynamicToThreadPointer = Nothing, Nothing, Any, ThreadPointer;
        /// Local dynamic: the `add` and the call behind it → `nop; nop`.
        LocalDynamicCallToNops = Nothing, Nothing, Any, LocalDynamicCall;
        /// General dynamic of the tiny code model: the `adr` and the call behind it → local exec.
        GeneralDynamicAdrToLocalExec = Offset, TwoAdds, Unsigned(24), GeneralDynamicAdr;
        /// Local dynamic of the tiny code model: the `adr` and the call behind it → `mrs x0, tpidr_el0; nop`.
        LocalDynamicAdrToThreadPointer = Nothing, Nothing, Any, LocalDynamicAdr;
        /// A descriptor of the tiny code model: `ldr x1, …` → `movz x0, #:tprel_g1:x, lsl #16`.
        DescriptorToTpHigh = Offset, Move(1), Unsigned(32), DescriptorHigh;
        /// A descriptor of the tiny code model: `adr x0, …` → `movk x0, #:tprel_g0_nc:x`.
        DescriptorToTpLow = Offset, Move(0), Any, DescriptorLow;
    }
}

impl Kind {
    /// The kind's row in the table.
    #[must_use]
    pub const fn row(self) -> &'static Row {
        &Self::ROWS[self as usize]
    }

    /// Which part of a link may meet the kind.
    #[must_use]
    pub const fn group(self) -> KindGroup {
        self.row().group
    }

    /// The graph's number for the kind.
    #[must_use]
    pub const fn edge(self) -> EdgeKind {
        EdgeKind(self as u8)
    }

    const fn facts_of_row(self) -> KindFacts {
        let row = self.row();
        let has_place = matches!(row.value, Value::Delta | Value::PageDelta);
        let is_fixup = matches!(row.group, KindGroup::Fixup);
        // Instructions that hold a part of a distance each hold all of it together.
        let is_part = matches!(
            row.field,
            Field::Data(8) | Field::Move(_) | Field::MoveSigned(_)
        );
        KindFacts {
            group: row.group,
            width: match row.field {
                Field::Data(bytes) => bytes,
                _ if matches!(self, Kind::None | Kind::Subtrahend) => 0,
                _ => 4,
            },
            has_place,
            subtracts: matches!(row.value, Value::Difference),
            needs_low: self.needs_low(),
            direct: self.needs_low() || (is_fixup && has_place && !is_part),
            through_table: matches!(
                self,
                Kind::Branch26
                    | Kind::Branch32
                    | Kind::GotPage21
                    | Kind::GotLow12
                    | Kind::GotPageOffset15
                    | Kind::GotLiteral19
                    | Kind::GotDelta32
            ),
            is_branch: matches!(self, Kind::Branch26),
            in_one_module: false,
            reach: match (row.value, row.fits) {
                (Value::Delta | Value::PageDelta, Fits::Signed(bits) | Fits::Either(bits)) => {
                    Reach::Bits(bits)
                }
                _ => Reach::All,
            },
        }
    }

    /// Whether the kind holds an absolute address in less than 48 bits.
    const fn needs_low(self) -> bool {
        let row = self.row();
        let is_address =
            matches!(row.value, Value::Absolute) && matches!(row.group, KindGroup::Fixup);
        match row.fits {
            Fits::Any => false,
            Fits::Signed(bits) | Fits::Unsigned(bits) | Fits::Either(bits) => {
                is_address && bits < 48
            }
        }
    }
}

impl Kinds for Kind {
    const ALL: &'static [Self] = Self::ALL;

    fn facts(self) -> KindFacts {
        self.facts_of_row()
    }

    fn name(self) -> &'static str {
        self.row().name
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
