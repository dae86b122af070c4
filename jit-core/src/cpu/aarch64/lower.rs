//! What an edge of AArch64 code becomes, given what is known of its target before layout.
//!
//! The decision is a pure function of the edge, the instructions around it and the target's
//! [`TargetClass`]; `link::lower` makes the table entries and stubs it asks for.

use super::kinds::Kind;
use super::tls;
use crate::cpu::{KindGroup, Lowered, Place, Refusal, TargetClass, Via, difference};
use crate::graph::Edge;

/// What [`lower`] makes of an edge of `kind` to a target within reach of a branch and outside
/// thread-local storage, where that does not depend on the instruction: what nearly all edges become.
#[must_use]
pub const fn close(kind: Kind) -> Option<Kind> {
    match kind {
        Kind::Branch26 => Some(Kind::Delta26),
        Kind::Branch32 => Some(Kind::Delta32),
        _ if tls::is_offset(kind) => None,
        _ => match kind.group() {
            KindGroup::Fixup => Some(kind),
            KindGroup::Request | KindGroup::Rewrite => None,
        },
    }
}

/// Lowers one edge.
///
/// # Errors
/// For a thread-local access in an instruction sequence that no ABI document describes, or against
/// a symbol that is not thread-local.
pub fn lower(
    edge: &Edge,
    kind: Kind,
    class: TargetClass,
    place: &Place<'_>,
) -> Result<Lowered<Kind>, Refusal> {
    Ok(match kind {
        Kind::Branch26 => branch(edge, Kind::Delta26, class)?,
        Kind::Branch32 => branch(edge, Kind::Delta32, class)?,
        Kind::Adr21 | Kind::Page21 | Kind::Literal19 if class == TargetClass::Null => {
            Lowered::direct(Kind::AddressToZero)
        }
        Kind::ConditionalBranch19 | Kind::TestBranch14 if class == TargetClass::Null => {
            Lowered::direct(Kind::BranchToNop)
        }
        Kind::Subtrahend
        | Kind::Difference64
        | Kind::Difference32
        | Kind::Difference16
        | Kind::Difference8 => difference(kind, class)?,
        Kind::GotPage21 => match is_load_pair(place, edge.offset as usize, 0) && is_near(class) {
            true => Lowered::direct(Kind::Page21),
            false => Lowered::via(Kind::Page21, Via::Got),
        },
        Kind::GotLow12 => match is_load_pair(place, edge.offset as usize, 4) && is_near(class) {
            true => Lowered::direct(Kind::GotLoadToAdd),
            false => Lowered::via(Kind::Access64Low12, Via::Got),
        },
        Kind::GotPageOffset15 => Lowered::via(Kind::FromGotPage15, Via::Got),
        Kind::GotLiteral19 => Lowered::via(Kind::Literal19, Via::Got),
        Kind::GotDelta32 => Lowered::via(Kind::Delta32, Via::Got),
        Kind::TlsPairPage21 => tls::general_dynamic_page(class)?,
        Kind::TlsPairLow12 => tls::general_dynamic_low(edge, class, place)?,
        Kind::TlsPairAdr21 => tls::general_dynamic_adr(edge, class, place)?,
        Kind::TlsModuleAdr21 => tls::local_dynamic_adr(edge, place)?,
        Kind::TlsModulePage21 => Lowered::direct(Kind::LocalDynamicToThreadPointer),
        Kind::TlsModuleLow12 => tls::local_dynamic_low(edge, place)?,
        Kind::TlsOffsetPage21 => tls::initial_exec_page(edge, class, place)?,
        Kind::TlsOffsetLow12 => tls::initial_exec_low(edge, class, place)?,
        Kind::TlsOffsetLiteral19 => tls::initial_exec_literal(class)?,
        Kind::TlsDescriptorPage21 => tls::descriptor(Kind::ToTpHigh, class)?,
        Kind::TlsDescriptorLoad => tls::descriptor(Kind::ToTpLow, class)?,
        Kind::TlsDescriptorLiteral19 => tls::descriptor_literal(edge, class, place)?,
        Kind::TlsDescriptorAdr21 => tls::descriptor_adr(edge, class, place)?,
        Kind::TlsDescriptorAdd | Kind::TlsDescriptorCall => tls::descriptor(Kind::ToNop, class)?,
        Kind::TpHigh12
        | Kind::TpLow12
        | Kind::TpLow12Unchecked
        | Kind::TpAccess8
        | Kind::TpAccess8Unchecked
        | Kind::TpAccess16
        | Kind::TpAccess16Unchecked
        | Kind::TpAccess32
        | Kind::TpAccess32Unchecked
        | Kind::TpAccess64
        | Kind::TpAccess64Unchecked
        | Kind::TpAccess128
        | Kind::TpAccess128Unchecked
        | Kind::TpMove0
        | Kind::TpMove0Unchecked
        | Kind::TpMove1
        | Kind::TpMove1Unchecked
        | Kind::TpMove2
        | Kind::TpOffset64 => tls::offset(kind, class)?,
        Kind::None
        | Kind::Pointer64
        | Kind::Pointer32
        | Kind::Pointer16
        | Kind::Delta64
        | Kind::Delta32
        | Kind::Delta16
        | Kind::FromGot64
        | Kind::FromGot32
        | Kind::Adr21
        | Kind::Page21
        | Kind::Page21Unchecked
        | Kind::AddLow12
        | Kind::Access8Low12
        | Kind::Access16Low12
        | Kind::Access32Low12
        | Kind::Access64Low12
        | Kind::Access128Low12
        | Kind::Literal19
        | Kind::ConditionalBranch19
        | Kind::TestBranch14
        | Kind::Delta26
        | Kind::MoveUnsigned0
        | Kind::Move0
        | Kind::MoveUnsigned1
        | Kind::Move1
        | Kind::MoveUnsigned2
        | Kind::Move2
        | Kind::Move3
        | Kind::MoveSigned0
        | Kind::MoveSigned1
        | Kind::MoveSigned2
        | Kind::MoveDelta0
        | Kind::MoveDelta0Unchecked
        | Kind::MoveDelta1
        | Kind::MoveDelta1Unchecked
        | Kind::MoveDelta2
        | Kind::MoveDelta2Unchecked
        | Kind::MoveDelta3
        | Kind::FromGotPage15
        | Kind::GotLoadToAdd
        | Kind::AddressToZero
        | Kind::BranchToNop
        | Kind::UnreachedNull
        | Kind::ToTpHigh
        | Kind::ToTpLow
        | Kind::ToNop
        | Kind::GeneralDynamicToLocalExec
        | Kind::LocalDynamicToThreadPointer
        | Kind::LocalDynamicCallToNops
        | Kind::GeneralDynamicAdrToLocalExec
        | Kind::LocalDynamicAdrToThreadPointer
        | Kind::DescriptorToTpHigh
        | Kind::DescriptorToTpLow => Lowered::direct(kind),
    })
}

/// `b` and `bl` reach 128 MiB, and what the linker cannot place that close gets a stub that stands
/// near the branch. One to an undefined weak symbol is passed over (AAELF64, "Weak References").
fn branch(edge: &Edge, kind: Kind, class: TargetClass) -> Result<Lowered<Kind>, Refusal> {
    let is_instruction = matches!(kind, Kind::Delta26);
    Ok(match class {
        TargetClass::Near { close: true, .. } => Lowered::direct(kind),
        TargetClass::Near { .. } if !is_instruction => Lowered::direct(kind),
        TargetClass::Null if is_instruction => Lowered::direct(Kind::BranchToNop),
        TargetClass::Near { .. } | TargetClass::Far | TargetClass::Small | TargetClass::Null => {
            // In an instruction, the addend tells where in the target it leads; in data (a table of
            // distances), it belongs to the distance.
            match is_instruction && edge.addend != 0 {
                true => Lowered::via(kind, Via::BranchStub),
                false => Lowered::via(kind, Via::Stub),
            }
        }
        TargetClass::ThreadLocal
        | TargetClass::NativeThreadLocal
        | TargetClass::ModuleThreadLocal
        | TargetClass::LateThreadLocal => {
            return Err("a call or jump to a thread-local variable");
        }
    })
}

const fn is_near(class: TargetClass) -> bool {
    matches!(class, TargetClass::Near { .. })
}

/// Whether something is loaded from the GOT by two instructions next to each other, of which the one at `at` is
/// `back` bytes from the first: `adrp xN, :got:x; ldr xN, [xN, :got_lo12:x]`. Then both may be changed to make
/// what they load. Loads into another register leave the page where it is, and others may use it: compilers
/// load the canary of a stack twice so, at the start of a function and at its end.
pub(super) fn is_load_pair(place: &Place<'_>, at: usize, back: usize) -> bool {
    let Some([adrp, load]) = place.instructions(at, back) else {
        return false;
    };
    let (page, base, to) = (adrp & 0x1f, (load >> 5) & 0x1f, load & 0x1f);
    is_adrp(adrp) && is_load_64(load) && page == base && base == to
}

/// `adrp xD, …`
const fn is_adrp(word: u32) -> bool {
    word & 0x9f00_0000 == 0x9000_0000
}

/// `ldr xT, [xN, #…]`
const fn is_load_64(word: u32) -> bool {
    word & 0xffc0_0000 == 0xf940_0000
}
