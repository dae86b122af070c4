//! GNU/Linux: glibc and the Linux kernel. One file or folder per question.

pub(crate) mod arch;
pub(crate) mod c_heap;
pub(crate) mod code_writer;
#[cfg(feature = "relay")]
pub(crate) mod confinement;
pub mod crash;
pub(crate) mod debugger;
pub(crate) mod descriptors;
pub(crate) mod elf;
pub mod identity;
pub(crate) mod leak_checker;
#[cfg(feature = "libunwind")]
pub mod libunwind;
pub(crate) mod limits;
pub mod loader;
pub(crate) mod maps;
#[cfg(feature = "llvm")]
pub(crate) mod named_memory;
pub(crate) mod pages;
pub mod process;
pub(crate) mod race_checker;
pub(crate) mod range;
pub(crate) mod socket;
pub(crate) mod stand_ins;
pub(crate) mod thread;
pub(crate) mod unwinder;
