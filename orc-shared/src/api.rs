//! The vocabulary of an executor's services: plain requests and answers, in executor addresses.
//!
//! `jit_core::ExecutorControl` speaks in these types, whether the executor is this process or
//! another one.

mod wire;

use alloc::string::String;
use alloc::vec::Vec;

use crate::{AllocActionPair, ExecutorAddr, ExecutorAddrRange, Words};

/// Where in the address space a range should lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Placement {
    /// Near the process's libraries, so that 32-bit PC-relative references to them reach.
    NearLibraries,
    /// Below 2 GiB, for code with 32-bit absolute addresses (non-PIC).
    Low2GiB,
    /// Anywhere, for data that all code refers to with 64-bit fields, however much it is.
    Anywhere,
}

/// Names an open range. Unless it was opened for more than that, a range is at most 1 GiB. Any two places in
/// a range of less than 2 GiB reach each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct RangeId(pub u32);

/// What the pages of a segment allow once it is finalized.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum SegmentKind {
    /// Read and execute.
    Text,
    /// Read only. Also what a loader calls RELRO: nothing is written after the fixups.
    ReadOnly,
    /// Read and write.
    ReadWrite,
}

/// One segment to allocate: `content_size` bytes that the linker writes, then zeros up to `size`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentRequest {
    /// Permission after finalize.
    pub kind: SegmentKind,
    /// Bytes the controller will write. The rest up to `size` reads as zero and is not touched.
    pub content_size: u64,
    /// Bytes in all.
    pub size: u64,
    /// Alignment in bytes, a power of two.
    pub align: u64,
}

/// One allocation: segments and thread-local storage that live and die together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AllocationRequest {
    /// Where the segments go.
    pub range: RangeId,
    /// The segments.
    pub segments: Vec<SegmentRequest>,
    /// Thread-local storage.
    pub tls: Option<TlsRequest>,
    /// How many frame entries finalize will be given; guessed from the size of the text if absent.
    pub frames: Option<u64>,
}

/// What an allocation got.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Allocated {
    /// Names the allocation until it is abandoned or released.
    pub id: u64,
    /// Final addresses of the segments, in request order.
    pub addresses: Vec<ExecutorAddr>,
    /// The thread-local storage, if some was asked for and there was room where it was asked for.
    pub tls: Option<TlsBlock>,
}

/// What is done, in this order, when an allocation is finalized: commit thread-locals, put the
/// content in place, protect, flush the instruction cache, add frames, run the actions. Undone
/// in reverse at release.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FinalizeRequest {
    /// Frame-table entries of the allocation's code.
    pub frames: Vec<FrameEntry>,
    /// The `.eh_frame` bytes of the allocation, terminated by a zero length; used where frames
    /// have to be registered section by section.
    pub eh_frame: Option<ExecutorAddrRange>,
    /// Names of functions, for those who look an address up.
    pub functions: Vec<FunctionName>,
    /// Initial content of the allocation's thread-local storage; zeros follow shorter content.
    pub tls_image: Vec<u8>,
    /// Wrapper calls. An action's function may also be the number of a service
    /// (`orc_shared::remote::services`).
    pub actions: Vec<AllocActionPair>,
}

/// One allocation of a batch that a remote controller finalizes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finalization<'a> {
    /// The allocation.
    pub id: u64,
    /// `content_size` bytes for each of its segments, in request order.
    pub content: Vec<Content<'a>>,
    /// What else is done.
    pub request: FinalizeRequest,
}

/// The bytes that the controller made for a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content<'a> {
    /// The bytes themselves.
    Inline(&'a [u8]),
    /// They lie at this offset in the file that comes with the message. The segment's whole pages
    /// are mapped from it where they can be: if offset and address are equal modulo the
    /// page size. What follows the bytes in their last page must then be zero, and belong to no
    /// other segment.
    Shared(u64),
}

/// A function's place in the frame table: code at `pc` is described by the FDE at `fde`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub struct FrameEntry {
    /// First address of the code that the FDE covers.
    pub pc: ExecutorAddr,
    /// Address of the FDE's length field.
    pub fde: ExecutorAddr,
}

/// The name of a function, for `dladdr` and backtraces.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FunctionName {
    /// Its first address.
    pub start: ExecutorAddr,
    /// Its size in bytes.
    pub size: u64,
    /// Address of its name: a C string in the same allocation.
    pub name: ExecutorAddr,
}

/// Thread-local storage to allocate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TlsRequest {
    /// Size in bytes.
    pub size: u64,
    /// Alignment in bytes, a power of two.
    pub align: u64,
    /// Where it may be.
    pub room: TlsRoom,
}

/// Where thread-local storage may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum TlsRoom {
    /// At an offset from the thread pointer. It is an error if there is no room.
    Fixed,
    /// The same, but if there is no room, the allocation gets none.
    FixedIfFree,
    /// In a module of its own, which code reaches through `__tls_get_addr`.
    Module,
}

/// A piece of thread-local storage that every thread has a copy of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TlsBlock {
    /// Identifies the block for commit and release.
    pub id: u64,
    /// Where its first byte is.
    pub place: TlsPlace,
    /// Size in bytes.
    pub size: u64,
}

/// Where a thread-local variable is. As a number ([`Self::value`]) it is what symbols of thread-local
/// variables have for an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum TlsPlace {
    /// At an offset from every thread's pointer, in bytes (negative on x86-64).
    Fixed(i64),
    /// At an offset in a thread's copy of a module's thread-locals.
    Module {
        /// The module's number with the loader, at least 1.
        module: u32,
        /// Bytes from the start of the copy.
        offset: u32,
    },
}

impl TlsPlace {
    /// The place as one number: an offset from the thread pointer is that offset. It has all its upper 32 bits
    /// equal; a module's number, which is neither zero nor that large, stands there otherwise. So
    /// a number counted up by less than 4 GiB is a place in the same module.
    #[must_use]
    pub const fn value(self) -> u64 {
        match self {
            Self::Fixed(offset) => offset.cast_unsigned(),
            Self::Module { module, offset } => (module as u64) << 32 | offset as u64,
        }
    }

    /// The place that a number stands for.
    #[must_use]
    pub const fn from_value(value: u64) -> Self {
        match (value >> 32) as u32 {
            0 | u32::MAX => Self::Fixed(value.cast_signed()),
            module => Self::Module {
                module,
                offset: value as u32,
            },
        }
    }
}

/// What code needs to reach thread-local variables wherever they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TlsAccess {
    /// A module whose thread-locals are at a fixed offset from the thread pointer.
    pub module: u64,
    /// That offset. A variable at an offset from the thread pointer is, as `__tls_get_addr` is concerned,
    /// in this module, at the difference of the two.
    pub tp_offset: i64,
    /// The function of TLS descriptors whose second word is the address of a pair as `__tls_get_addr`
    /// takes it.
    pub descriptor_function: ExecutorAddr,
}

/// A library that the process has loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoadedLibrary {
    /// Absolute path of its file; the executable's own path for the main program.
    pub path: String,
    /// Difference between addresses in memory and in the file (`l_addr`).
    pub load_bias: ExecutorAddr,
    /// Its place in memory, from the first to the last loaded page.
    pub range: ExecutorAddrRange,
}

/// What kind of thing a native symbol names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum NativeKind {
    /// Code, or a function chosen at load time (IFUNC): reached through calls and pointers.
    Function,
    /// Data.
    Data,
    /// A thread-local variable.
    ThreadLocal,
}

/// What the linker wants to know of an imported symbol once the loader has bound it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ImportKind {
    /// Its address.
    Address,
    /// The module id and offset that `__tls_get_addr` takes (`DTPMOD64`, `DTPOFF64`).
    TlsModuleAndOffset,
    /// Its offset from the thread pointer (`TPOFF64`); the loader places the library in static TLS.
    TpOffset,
}

/// A symbol that JIT'd code takes from the process's libraries.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Import {
    /// The symbol's name, without a version.
    pub name: Vec<u8>,
    /// Its version and the library (soname) that defines that version, if the reference names one.
    pub version: Option<(Vec<u8>, Vec<u8>)>,
    /// What to find out.
    pub kind: ImportKind,
    /// Whether it may be missing; it is then zero.
    pub weak: bool,
}

/// What the loader bound an import to; zero for a missing weak symbol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ImportValue {
    /// Address, module id or offset from the thread pointer, as `ImportKind` asked.
    pub value: u64,
    /// The second word of `TlsModuleAndOffset`; otherwise zero.
    pub tls_offset: u64,
}

/// A symbol of the program that its libraries may bind to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Export {
    /// The symbol's name.
    pub name: Vec<u8>,
    /// Its version, where the program defines one.
    pub version: Option<Vec<u8>>,
    /// Where the program defines it; for a thread-local variable, its offset from the thread pointer.
    pub addr: ExecutorAddr,
    /// Size in bytes.
    pub size: u64,
    /// What it is.
    pub kind: NativeKind,
    /// Whether libraries loaded before the program also have to be redirected to it, slot by slot:
    /// a copy relocation, or a definition of a name that an earlier library defines (`malloc`).
    pub redirect_loaded: bool,
}

/// Initialized data of a library that the program has its own copy of (`R_*_COPY`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyRelocation {
    /// The symbol's name, for messages.
    pub name: Vec<u8>,
    /// Path of the library that defines it.
    pub library: String,
    /// The symbol's value in that library's file: its address less the load bias.
    pub file_addr: u64,
    /// Where the program's copy lies.
    pub to: ExecutorAddr,
    /// Bytes to copy.
    pub size: u64,
    /// Whether the copy lies in memory that nobody may write to.
    pub read_only: bool,
}

/// Who the program is, to itself and to those who look at its process.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProgramIdentity {
    /// Its arguments, its name first.
    pub args: Vec<Vec<u8>>,
    /// The file that a linker would have written, an absolute path: what `/proc/self/exe` leads linked code
    /// to. Without one, that is the executor's file.
    pub path: Option<Vec<u8>>,
    /// A command that runs the program again, if the file is not there: `--argv0 NAME -- ARGUMENTS` is
    /// to follow.
    pub again: Words,
}

/// What the program is to the loader: a synthesized shared object made of this is opened
/// `RTLD_GLOBAL`, and the loader itself binds both directions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProgramImage {
    /// Libraries to load with it, in order: sonames or paths (`DT_NEEDED`).
    pub needed: Vec<String>,
    /// Directories the loader searches first (`DT_RUNPATH`).
    pub search_path: Vec<String>,
    /// Whether they hold for what the libraries need, too (`DT_RPATH`).
    pub search_path_for_all: bool,
    /// What the libraries may take from the program.
    pub exports: Vec<Export>,
    /// What the program takes from the libraries.
    pub imports: Vec<Import>,
    /// Data copied after the libraries are relocated and before their constructors run.
    pub copies: Vec<CopyRelocation>,
    /// Arrays of functions to call before the libraries' constructors, in this order
    /// (`.preinit_array`).
    pub preinit_arrays: Vec<ExecutorAddrRange>,
    /// What those functions are passed as the program's arguments, its name first.
    pub args: Vec<Vec<u8>>,
    /// Its code runs from stacks (`PT_GNU_STACK`).
    pub executable_stack: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_thread_locals_are_numbers() {
        let module = TlsPlace::Module {
            module: 3,
            offset: 0x10,
        };
        for place in [
            TlsPlace::Fixed(-0x1000),
            TlsPlace::Fixed(0),
            TlsPlace::Fixed(i64::from(i32::MIN)),
            TlsPlace::Fixed(0xffff_ffff),
            module,
            TlsPlace::Module {
                module: 1,
                offset: u32::MAX,
            },
        ] {
            assert_eq!(TlsPlace::from_value(place.value()), place);
        }
        assert_eq!(module.value(), 0x3_0000_0010);
    }
}
