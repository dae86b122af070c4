//! What depends on the CPU. Each CPU's file has the same items in the same order:
//!
//! - `RECORD_THUNK`, the code of [`crate::thunk`];
//! - `publish_code`, which makes code that was written one that can be run;
//! - `thread_pointer`, which thread-locals lie at distances from, and `template_around`, which says on
//!   which side of it;
//! - `call_outermost`, which calls code as a process's first frame;
//! - `___orc_rt_elfnix_tls_get_addr` and `___orc_rt_elfnix_tlsdesc_resolver`;
//! - `__orc_rt_sysv_reenter` and `__orc_rt_reoptimize`;
//! - `prepare`, which finds out what of the CPU's state these have to save.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "aarch64")]
pub use aarch64::*;
#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;
