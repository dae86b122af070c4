//! Machine code that support objects are made of, per CPU.

use jit_core::cpu::{Architecture, StubEdge};

use super::{aarch64, x86_64};

/// Code that refers to one or two symbols.
pub(super) struct Code {
    pub bytes: &'static [u8],
    /// Its references to the first symbol.
    pub first: &'static [StubEdge],
    /// Its references to the second symbol, if there is one.
    pub second: &'static [StubEdge],
}

/// What support objects need of a CPU.
pub(super) struct SupportCode {
    /// `atexit`: passes the address of the dylib's header (the first symbol) on to `__cxa_atexit` (the
    /// second one), with its own argument.
    pub atexit: Code,
    /// A function of `main`'s type that jumps to the first symbol with the stack that the kernel gives a
    /// process (psABI, process initialization): the number of arguments, the arguments, the
    /// environment and the auxiliary vector, up from the stack pointer.
    pub process_start: Code,
    /// A call of the first symbol, in the middle of `_init`.
    pub profile_start: Code,
    /// The first instructions of `_init` and `_fini`, as `crti.o` has them: they align the stack.
    pub prologue: &'static [u8],
    /// Their last ones, as `crtn.o` has them.
    pub epilogue: &'static [u8],
    /// The alignment of instructions in bytes.
    pub code_align: u64,
}

impl SupportCode {
    /// The code for a CPU.
    pub(super) fn of(architecture: Architecture) -> &'static Self {
        match architecture {
            Architecture::X86_64 => &x86_64::CODE,
            Architecture::Aarch64 => &aarch64::CODE,
        }
    }
}
