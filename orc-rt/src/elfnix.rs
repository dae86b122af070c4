//! Entry points of LLVM's platform for ELF: what its controller calls when it links and unlinks.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use crate::call::{Tag, wrapper_functions};
use crate::loader;
use crate::registry::{self, Outcome};
use crate::{arch, frames, host};

/// Names the controller's handler: `Expected<Seq<(Addr header, Seq<Addr> deps)>>(Addr header)`.
#[unsafe(no_mangle)]
pub static mut __orc_rt_elfnix_push_initializers_tag: Tag = 0;

/// Names the controller's handler: `Expected<Addr>(Addr header, String name)`.
#[unsafe(no_mangle)]
pub static mut __orc_rt_elfnix_symbol_lookup_tag: Tag = 0;

/// Any number serves as key: thread-locals are found by address (see [`crate::tls`]).
const THREAD_DATA_KEY: u64 = 1;

/// Starts the runtime.
fn bootstrap(header: ExecutorAddr) -> Outcome<()> {
    arch::prepare();
    let mut registry = registry::lock();
    registry.platform = header;
    let first = !core::mem::replace(&mut registry.fork_handlers, true);
    drop(registry);
    if first {
        host::register_atfork(
            fork_handler_before,
            fork_handler_parent,
            fork_handler_child,
            loader::runtime_key(),
        );
    }
    Ok(())
}

/// # Safety
/// Called by the C library before it forks, on the thread that does; one of the others follows on it.
unsafe extern "C" fn fork_handler_before() {
    registry::before_fork();
}

/// # Safety
/// Called by the C library after a fork, on the thread that forked, after `fork_handler_before`.
unsafe extern "C" fn fork_handler_parent() {
    // SAFETY: the C library called `fork_handler_before` on this thread.
    unsafe { registry::after_fork_in_parent() };
}

/// # Safety
/// Called by the C library after a fork, on the thread that forked, after `fork_handler_before`.
unsafe extern "C" fn fork_handler_child() {
    // SAFETY: the C library called `fork_handler_before` on this thread.
    unsafe { registry::after_fork_in_child() };
}

/// Takes the last equal range out of `ranges`: undoing happens in reverse order, so it is near the
/// end.
pub(crate) fn remove_range(
    ranges: &mut Vec<ExecutorAddrRange>,
    range: ExecutorAddrRange,
    what: &str,
) -> Outcome<usize> {
    let index = ranges
        .iter()
        .rposition(|known| *known == range)
        .ok_or_else(|| {
            format!(
                "no {what} section is registered at {}..{}",
                range.start, range.end
            )
        })?;
    ranges.remove(index);
    Ok(index)
}

wrapper_functions! {
    /// `Error(Addr header)`: starts the runtime, which is part of the dylib with this header.
    fn __orc_rt_elfnix_platform_bootstrap(header: ExecutorAddr) => error {
        bootstrap(header)
    }

    /// `Error()`: ends the runtime. Nothing of it is called afterwards.
    fn __orc_rt_elfnix_platform_shutdown() => error {
        loader::shut_down();
        Ok(())
    }

    /// `Error(String name, Addr header)`: there is a new dylib.
    fn __orc_rt_elfnix_register_jitdylib(name: String, header: ExecutorAddr) => error {
        registry::lock().add_dylib(header, &name)
    }

    /// `Error(Addr header)`: a dylib goes away. What it had registered for later is forgotten.
    fn __orc_rt_elfnix_deregister_jitdylib(header: ExecutorAddr) => error {
        let mut registry = registry::lock();
        registry.remove_dylib(header)?.records.forget();
        Ok(())
    }

    /// `Error(Addr header, Seq<Range>)`: arrays of initializers, to be run when the dylib is opened
    /// or updated next, in this order.
    fn __orc_rt_elfnix_register_init_sections(
        header: ExecutorAddr,
        sections: Vec<ExecutorAddrRange>,
    ) => error {
        registry::lock().dylib(header)?.init_sections.extend(sections);
        Ok(())
    }

    /// `Error(Addr header, Seq<Range>)`: these arrays go away.
    fn __orc_rt_elfnix_deregister_init_sections(
        header: ExecutorAddr,
        sections: Vec<ExecutorAddrRange>,
    ) => error {
        let mut registry = registry::lock();
        let dylib = registry.dylib(header)?;
        for section in sections.into_iter().rev() {
            let index = remove_range(&mut dylib.init_sections, section, "initializer")?;
            if index < dylib.init_sections_run {
                dylib.init_sections_run -= 1;
            }
        }
        Ok(())
    }

    /// `Error((Range eh_frame, Range thread_data))`: the sections of a new object; empty if absent.
    fn __orc_rt_elfnix_register_object_sections(
        eh_frame: ExecutorAddrRange,
        thread_data: ExecutorAddrRange,
    ) => error {
        if !thread_data.is_empty() {
            registry::lock().tls.add(thread_data)?;
        }
        if eh_frame.is_empty() {
            return Ok(());
        }
        // SAFETY: the controller says that a section is there, until it deregisters it.
        let registered = unsafe { frames::register(eh_frame) };
        if registered.is_err() && !thread_data.is_empty() {
            // A failed registration leaves nothing behind.
            registry::lock().tls.remove(thread_data)?;
        }
        registered
    }

    /// `Error((Range eh_frame, Range thread_data))`: the object goes away.
    fn __orc_rt_elfnix_deregister_object_sections(
        eh_frame: ExecutorAddrRange,
        thread_data: ExecutorAddrRange,
    ) => error {
        let data = if thread_data.is_empty() {
            Ok(())
        } else {
            registry::lock().tls.remove(thread_data)
        };
        if !eh_frame.is_empty() {
            // SAFETY: the controller calls before it frees the section.
            unsafe { frames::deregister(eh_frame)? };
        }
        data
    }

    /// `Expected<u64>()`: a number to put beside the address of a thread-local.
    fn __orc_rt_elfnix_create_pthread_key() => expected {
        Ok(THREAD_DATA_KEY)
    }
}
