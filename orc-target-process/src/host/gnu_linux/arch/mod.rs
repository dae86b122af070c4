//! What depends on the CPU. Each has a folder with the same files, and the same names in them.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::{
    code, dlopen, registers, stand_ins, synthesized, threads, tls_descriptor,
};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{code, dlopen, registers, stand_ins, synthesized, threads, tls_descriptor};

#[cfg(all(test, target_arch = "aarch64"))]
pub(crate) use aarch64::test_code;
#[cfg(all(test, target_arch = "x86_64"))]
pub(crate) use x86_64::test_code;
