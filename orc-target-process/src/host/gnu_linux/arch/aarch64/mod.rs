//! AArch64, as glibc and Linux have it.

pub(crate) mod code;
pub(crate) mod dlopen;
pub(crate) mod registers;
pub(crate) mod stand_ins;
pub(crate) mod synthesized;
#[cfg(test)]
pub(crate) mod test_code;
pub(crate) mod threads;
pub(crate) mod tls_descriptor;
