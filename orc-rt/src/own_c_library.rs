//! Handing the process over to a program that brings a C library of its own.
//!
//! A program that is linked with `-static` expects what the kernel gives a new process, and sets up
//! everything else itself: it finds its thread-locals through its program headers
//! (`AT_PHDR`), makes a block of them for each thread, and leads the thread pointer there. From then on nothing of this process's C library may run on that thread. Nothing
//! does: such a program ends by a system call, and calls nobody but itself.
//!
//! What it finds in memory and in the kernel is made what it would be:
//!
//! - *Program headers* are made: a `PT_TLS` with the thread-locals of linked code at the same distances
//!   from the thread pointer as in this process, the memory that linked code lies in, and its frames.
//! - *Signals* that are caught get their default action, as `execve` has it.
//! - *The end of the heap* (`brk`) is the program's to move. Both C libraries take what lies below it for
//!   somebody else's; this process's must only never move it back.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::ffi::{CStr, c_int, c_void};
use core::ops::Range;

use orc_shared::ExecutorAddr;

use crate::arch;
use crate::host;
use crate::registry::{Arguments, Outcome};

const AT_PHDR: usize = 3;
const AT_PHENT: usize = 4;
const AT_PHNUM: usize = 5;
const AT_BASE: usize = 7;
const AT_ENTRY: usize = 9;

/// Readable and writable.
const READ_WRITE: u32 = 6;

/// Thread-locals of one object, as the loader starts threads with them.
struct ThreadLocals {
    /// The loader's number of the object.
    module: usize,
    size: u64,
    template: u64,
    file_size: u64,
}

impl ThreadLocals {
    /// Distances of the first byte and of the end from the thread pointer. The loader is asked for them, because its list
    /// has none for an object that was loaded after this thread last asked for variables.
    fn place(&self, thread_pointer: u64) -> Outcome<Range<i64>> {
        let block = host::thread_locals_of(self.module)?;
        let start = block.wrapping_sub(thread_pointer).cast_signed();
        Ok(start..start.saturating_add_unsigned(self.size))
    }
}

/// What is found in the loader's list of objects.
struct Found {
    entry: u64,
    thread_pointer: u64,
    is_first: bool,
    headers: Vec<libc::Elf64_Phdr>,
    thread_locals: Vec<ThreadLocals>,
}

impl Found {
    /// Whether an address lies in a segment that is known.
    fn has_segment_around(&self, address: u64) -> bool {
        self.headers.iter().any(|header| {
            header.p_type == libc::PT_LOAD && address.wrapping_sub(header.p_vaddr) < header.p_memsz
        })
    }
}

/// Makes the process what the kernel would start the program in, whose first instruction is at `entry`,
/// and `arguments` the vectors that it would find.
///
/// # Errors
/// When the system does not show the auxiliary vector, or gives no memory.
pub fn hand_over(arguments: &Arguments, entry: ExecutorAddr) -> Outcome<()> {
    let mut found = Found {
        entry: entry.value(),
        thread_pointer: arch::thread_pointer(),
        is_first: true,
        headers: Vec::new(),
        thread_locals: Vec::new(),
    };
    // SAFETY: the function takes what the loader passes, and the pointer to `found`.
    unsafe { libc::dl_iterate_phdr(Some(look_at), (&raw mut found).cast()) };
    let template = template(&found.thread_locals, found.thread_pointer)?;
    found.headers.push(template);
    found.headers.push(libc::Elf64_Phdr {
        p_type: libc::PT_GNU_STACK,
        p_flags: READ_WRITE,
        ..header()
    });
    let headers = found.headers.leak();
    // SAFETY: the vectors end as `Arguments::leak` makes them.
    let vector = unsafe { auxiliary_vector(arguments) };
    let mut any = false;
    for pair in vector.chunks_exact_mut(2) {
        any |= pair[0] == AT_PHDR;
        match pair[0] {
            AT_PHDR => pair[1] = headers.as_ptr().addr(),
            AT_PHENT => pair[1] = size_of::<libc::Elf64_Phdr>(),
            AT_PHNUM => pair[1] = headers.len(),
            // No loader has loaded it.
            AT_BASE => pair[1] = 0,
            AT_ENTRY => pair[1] = entry.value() as usize,
            _ => {}
        }
    }
    if !any {
        return Err(
            "a static program needs /proc, in which the system shows the auxiliary vector"
                .to_string(),
        );
    }
    leave_the_process();
    Ok(())
}

const fn header() -> libc::Elf64_Phdr {
    libc::Elf64_Phdr {
        p_type: libc::PT_NULL,
        p_flags: 0,
        p_offset: 0,
        p_vaddr: 0,
        p_paddr: 0,
        p_filesz: 0,
        p_memsz: 0,
        p_align: 0,
    }
}

extern "C" fn look_at(info: *mut libc::dl_phdr_info, _size: usize, found: *mut c_void) -> c_int {
    // SAFETY: both are valid as the loader and `hand_over` pass them.
    let (info, found) = unsafe { (&*info, &mut *found.cast::<Found>()) };
    // SAFETY: the loader's headers of an object, and its name.
    let (headers, name) = unsafe {
        (
            core::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)),
            CStr::from_ptr(info.dlpi_name),
        )
    };
    let at = |header: &libc::Elf64_Phdr| info.dlpi_addr.wrapping_add(header.p_vaddr);
    let is_code = headers.iter().any(|header| {
        header.p_type == libc::PT_LOAD && found.entry.wrapping_sub(at(header)) < header.p_memsz
    });
    for header in headers {
        // The executable's thread-locals, and those of objects that are made for linked code.
        let is_ours = found.is_first || name.to_bytes().starts_with(b"/proc/");
        if header.p_type == libc::PT_TLS && is_ours {
            found.thread_locals.push(ThreadLocals {
                module: info.dlpi_tls_modid,
                size: header.p_memsz,
                template: at(header),
                file_size: header.p_filesz,
            });
        }
        let kept = match header.p_type {
            // Unwinders search segments that lie apart from each other. The memory of linked code has some
            // that lie in another.
            libc::PT_LOAD => !found.has_segment_around(at(header)),
            kind => kind == libc::PT_GNU_EH_FRAME,
        };
        if is_code && kept {
            found.headers.push(libc::Elf64_Phdr {
                p_vaddr: at(header),
                p_paddr: at(header),
                ..*header
            });
        }
    }
    found.is_first = false;
    0
}

/// The header of a template that holds all of these at their distances.
fn template(thread_locals: &[ThreadLocals], thread_pointer: u64) -> Outcome<libc::Elf64_Phdr> {
    let places = thread_locals.iter().map(|it| it.place(thread_pointer));
    let places = places.collect::<Outcome<Vec<Range<i64>>>>()?;
    let (first, size, align) = arch::template_around(places.iter().cloned());
    let mut start = 0;
    if size != 0 {
        // SAFETY: new memory, which nobody else has.
        let memory = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                size as usize,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err("no memory for the template of thread-locals".to_string());
        }
        for (it, place) in thread_locals.iter().zip(places) {
            let from = core::ptr::with_exposed_provenance::<u8>(it.template as usize);
            let at = place.start.wrapping_sub(first).cast_unsigned();
            if at.saturating_add(it.file_size) > size {
                return Err("thread-locals lie where a static program has none".to_string());
            }
            // SAFETY: the loader has the template there, and what is written fits the memory.
            unsafe {
                let to = memory.cast::<u8>().add(at as usize);
                to.copy_from(from, it.file_size as usize);
            }
        }
        start = memory.addr() as u64;
    }
    Ok(libc::Elf64_Phdr {
        p_type: libc::PT_TLS,
        p_flags: 4,
        p_vaddr: start,
        p_paddr: start,
        p_filesz: size,
        p_memsz: size,
        p_align: align,
        ..header()
    })
}

/// The pairs behind the environment, without the last.
///
/// # Safety
/// Argument, environment and pairs follow each other and end as the kernel has them.
unsafe fn auxiliary_vector(arguments: &Arguments) -> &'static mut [usize] {
    // SAFETY: what is read lies before the ends that the caller vouches for.
    unsafe {
        let mut at: *mut usize = arguments.argv.add(arguments.argc as usize + 1).cast();
        while at.read() != 0 {
            at = at.add(1);
        }
        let first = at.add(1);
        let mut words = 0;
        while first.add(words).read() != 0 {
            words += 2;
        }
        core::slice::from_raw_parts_mut(first, words)
    }
}

/// Takes back what this process has asked of the kernel for this thread, and for itself.
fn leave_the_process() {
    /// The kernel's `struct sigaction`.
    #[repr(C)]
    struct Action {
        handler: usize,
        flags: u64,
        restorer: usize,
        mask: u64,
    }
    const SIGNALS: c_int = 64;
    let none = || Action {
        handler: libc::SIG_DFL,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    let default = none();
    for signal in 1..=SIGNALS {
        let mut action = none();
        // SAFETY: the kernel reads and writes actions of this layout, with eight bytes of mask.
        unsafe {
            let nothing = core::ptr::null_mut::<Action>();
            libc::syscall(libc::SYS_rt_sigaction, signal, nothing, &raw mut action, 8);
            if action.handler != libc::SIG_DFL && action.handler != libc::SIG_IGN {
                libc::syscall(
                    libc::SYS_rt_sigaction,
                    signal,
                    &raw const default,
                    nothing,
                    8,
                );
            }
        }
    }
    let no_stack = libc::stack_t {
        ss_sp: core::ptr::null_mut(),
        ss_flags: libc::SS_DISABLE,
        ss_size: 0,
    };
    // SAFETY: this thread's stack for signals is not in use; other threads of ours go on with this
    // process's C library, which keeps what it has below the end of the heap.
    unsafe {
        libc::sigaltstack(&raw const no_stack, core::ptr::null_mut());
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
    }
}
