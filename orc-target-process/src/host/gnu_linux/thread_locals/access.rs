//! What linked code needs to reach thread-locals in modules of their own.
//!
//! Code of the general and local dynamic models calls `__tls_get_addr` with a module's number and an offset in
//! the module. So that code can be made before it is known whether a variable will be in a module of its own,
//! what is at a fixed offset has such a pair too: it is counted from the thread-locals of a module
//! that is at a fixed offset itself, the C library's.
//!
//! Code with TLS descriptors calls the descriptor's function, which changes no register but `%rax`. The
//! loader has such a function and tells nobody of it, and before glibc 2.40 it does not save vector registers. So
//! there is one here (`tls_descriptor`).

use std::sync::OnceLock;

use orc_shared::ExecutorAddr;
use orc_shared::api::TlsAccess;

use super::TlsError;
use crate::host::arch::threads::thread_pointer;
use crate::host::arch::tls_descriptor;
use crate::host::loader::{PT_TLS, loaded_objects, lookup};

/// See [`TlsAccess`].
///
/// # Errors
/// When the loader does not tell what has to be known.
pub fn access() -> Result<TlsAccess, TlsError> {
    static ACCESS: OnceLock<TlsAccess> = OnceLock::new();
    if let Some(access) = ACCESS.get() {
        return Ok(*access);
    }
    let access = find()?;
    Ok(*ACCESS.get_or_init(|| access))
}

fn find() -> Result<TlsAccess, TlsError> {
    // SAFETY: no precondition.
    let variable = unsafe { libc::__errno_location() }.expose_provenance() as u64;
    let module = loaded_objects().into_iter().find(|object| {
        let size = object.header(PT_TLS).map_or(0, |header| header.p_memsz);
        object.tls_block != 0 && variable.wrapping_sub(object.tls_block) < size
    });
    let module = module.ok_or_else(|| TlsError::NoModule("errno is in none".to_owned()))?;
    let get_address = lookup(c"__tls_get_addr", None)
        .ok_or_else(|| TlsError::NoModule("there is no __tls_get_addr".to_owned()))?;
    let function = tls_descriptor::function(get_address)
        .ok_or_else(|| TlsError::NoModule("there is no function of TLS descriptors".to_owned()))?;
    Ok(TlsAccess {
        module: module.tls_module,
        tp_offset: module
            .tls_block
            .wrapping_sub(thread_pointer())
            .cast_signed(),
        descriptor_function: ExecutorAddr::new(function.addr() as u64),
    })
}
