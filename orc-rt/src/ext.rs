//! Entry points that LLVM's runtime does not have. Controllers look them up weakly.
//!
//! LLVM's own suffice to link and to run; these give a program the rest of what a loader gives it:
//! finalizers, initializers in an order the controller chose, and `main` with the start and the end
//! that it has in a linked program.

use alloc::vec::Vec;

use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use crate::call::wrapper_functions;
use crate::elfnix::remove_range;
use crate::loader::Loader;
use crate::registry::{self, Arguments};
use crate::run_program::{self, Program, Start};
use crate::{exit, loader, thread_exit, thunk};

wrapper_functions! {
    /// `Error(Addr header, Seq<Range>)`: arrays of finalizers, in memory order. They are run
    /// backwards when the dylib is closed or the process exits, each range from its last word.
    ///
    /// An empty range stands for the entry that the compiler's start-up file would have at this
    /// place in `.fini_array`, which runs the dylib's `__cxa_atexit` handlers; see
    /// `loader::finalize`.
    fn __orc_rt_ext_elfnix_register_fini_sections(
        header: ExecutorAddr,
        sections: Vec<ExecutorAddrRange>,
    ) => error {
        registry::lock().dylib(header)?.fini_sections.extend(sections);
        Ok(())
    }

    /// `Error(Addr header, Seq<Range>)`: these arrays go away.
    fn __orc_rt_ext_elfnix_deregister_fini_sections(
        header: ExecutorAddr,
        sections: Vec<ExecutorAddrRange>,
    ) => error {
        let mut registry = registry::lock();
        let dylib = registry.dylib(header)?;
        for section in sections.into_iter().rev() {
            if let Some(index) = dylib.fini_sections_run.iter().rposition(|run| *run == section) {
                dylib.fini_sections_run.swap_remove(index);
                continue;
            }
            let index = remove_range(&mut dylib.fini_sections, section, "finalizer")?;
            if index < dylib.fini_sections_due {
                dylib.fini_sections_due -= 1;
            }
        }
        Ok(())
    }

    /// `Error(Addr header, Seq<Range>)`: the dylib has data there, which has its first values.
    fn __orc_rt_ext_elfnix_register_data(
        header: ExecutorAddr,
        sections: Vec<ExecutorAddrRange>,
    ) => error {
        let mut registry = registry::lock();
        let dylib = registry.dylib(header)?;
        if !dylib.stays_open {
            for section in sections {
                // SAFETY: the controller says that data is there, until it takes that back.
                unsafe { dylib.data.add(section, dylib.opened_at.is_some()) };
            }
        }
        Ok(())
    }

    /// `Error(Addr header, Seq<Range>)`: these data go away.
    fn __orc_rt_ext_elfnix_deregister_data(
        header: ExecutorAddr,
        sections: Vec<ExecutorAddrRange>,
    ) => error {
        let mut registry = registry::lock();
        let dylib = registry.dylib(header)?;
        for section in sections {
            dylib.data.remove(section.start);
        }
        Ok(())
    }

    /// `Error(Seq<Addr header>)`: opens dylibs in this order. Everything they need is linked and
    /// registered. Those that are open get their new initializers run.
    fn __orc_rt_ext_elfnix_initialize(headers: Vec<ExecutorAddr>) => error {
        // Whoever opens the same dylib at the same time returns when it is initialized.
        let _loader = Loader::acquire();
        for header in headers {
            loader::open_linked(header)?;
        }
        Ok(())
    }

    /// `Error(Addr services)`: the process's [`ExitServices`](orc_shared::ExitServices), which outlive the
    /// runtime. Called before anything is registered for later.
    fn __orc_rt_ext_elfnix_set_exit_services(services: ExecutorAddr) => error {
        // SAFETY: the controller passes on what the process has said of itself.
        unsafe { thunk::set(services) };
        Ok(())
    }

    /// `Expected<u64>(Addr header)`: closes a dylib whoever has it open; this thread's thread-locals of
    /// it are destroyed before. Returns the number of its thread-local destructors that other threads
    /// still have to run: its memory must stay until then.
    fn __orc_rt_ext_elfnix_close(header: ExecutorAddr) => expected {
        let _loader = Loader::acquire();
        // SAFETY: the controller closes a dylib that nothing runs in.
        unsafe { thread_exit::run_of_dylib(header, None) };
        loader::close(header)?;
        Ok(exit::pending_thread_destructors(&mut registry::lock(), header, None))
    }

    /// `Expected<u64>(Addr header, Seq<Range>)`: part of a dylib is removed by this thread. Runs and
    /// forgets the thread's destructors of thread-locals that lead into the ranges, then what
    /// `finalize_ranges` does.
    fn __orc_rt_ext_elfnix_remove_ranges(
        header: ExecutorAddr,
        ranges: Vec<ExecutorAddrRange>,
    ) => expected {
        registry::lock().dylib(header)?;
        // SAFETY: the controller calls before it frees the ranges.
        unsafe {
            thread_exit::run_of_dylib(header, Some(&ranges));
            loader::finalize_ranges(header, &ranges)?;
        }
        Ok(exit::pending_thread_destructors(&mut registry::lock(), header, Some(&ranges)))
    }

    /// `Expected<u64>(Addr header, Seq<Range>)`: part of a dylib goes away. Runs and forgets the
    /// finalizers and exit handlers that lead into the ranges. Returns the number of thread-local
    /// destructors that lead there and that threads still have to run.
    fn __orc_rt_ext_elfnix_finalize_ranges(
        header: ExecutorAddr,
        ranges: Vec<ExecutorAddrRange>,
    ) => expected {
        // SAFETY: the controller calls before it frees the ranges.
        unsafe { loader::finalize_ranges(header, &ranges)? };
        Ok(exit::pending_thread_destructors(&mut registry::lock(), header, Some(&ranges)))
    }

    /// `Error(Seq<String>)`: the command line that initializers of libraries are passed.
    fn __orc_rt_ext_elfnix_set_arguments(arguments: Vec<Vec<u8>>) => error {
        let arguments = Arguments::leak(&arguments)?;
        registry::lock().arguments = Some(arguments);
        Ok(())
    }

    /// `Expected<i64>(Addr header, Seq<Addr> libraries, Addr entry, Seq<String> argv, bool exit, u8
    /// start)`: runs a program whose parts are linked and registered; see [`run_program::run_main`].
    fn __orc_rt_ext_elfnix_run_main(
        header: ExecutorAddr,
        libraries: Vec<ExecutorAddr>,
        entry: ExecutorAddr,
        argv: Vec<Vec<u8>>,
        then_exit: bool,
        start: u8,
    ) => expected {
        let arguments = Arguments::leak(&argv)?;
        let start = Start::from_number(start)?;
        let program = Program { header, libraries, entry, arguments, start };
        // SAFETY: the controller asks for the program to be run.
        unsafe { run_program::run_main(&program, then_exit) }
    }
}
