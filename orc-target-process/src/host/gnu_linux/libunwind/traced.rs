//! The stack of another process, through `ptrace`.
//!
//! libunwind finds frames in the files that mappings come from. A range of linked code has no file, but it
//! begins with an ELF header like a file's, which leads to its table of frames.

use std::ffi::{CString, c_int, c_void};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use libunwind_sys::{
    _UPT_access_fpreg, _UPT_access_mem, _UPT_access_reg, _UPT_create, _UPT_destroy,
    _UPT_find_proc_info, _UPT_put_unwind_info, unw_accessors_t, unw_addr_space_t,
    unw_create_addr_space, unw_cursor_t, unw_destroy_addr_space, unw_dyn_info_t,
    unw_error_t_UNW_ENOINFO, unw_fpreg_t, unw_init_remote, unw_proc_info_t, unw_regnum_t,
    unw_word_t,
};

use crate::host::maps::Buffer;

/// Bytes of an ELF header and of a program header (System V gABI, 64-bit).
const EHDR_SIZE: usize = size_of::<libc::Elf64_Ehdr>();
const PHDR_SIZE: usize = size_of::<libc::Elf64_Phdr>();

/// More program headers than this are not a range's.
const PHDRS_MAX: usize = 64;

/// `DW_EH_PE_udata4`, and `DW_EH_PE_datarel | DW_EH_PE_sdata4` (LSB, `.eh_frame_hdr`).
const UDATA4: u8 = 0x03;
const DATAREL_SDATA4: u8 = 0x3b;

unsafe extern "C" {
    /// Searches a table like that of an `.eh_frame_hdr`; libunwind's own accessors use it.
    #[link_name = "_Ux86_64_dwarf_search_unwind_table"]
    fn search_unwind_table(
        space: unw_addr_space_t,
        ip: unw_word_t,
        table: *mut unw_dyn_info_t,
        info: *mut unw_proc_info_t,
        need_unwind_info: c_int,
        argument: *mut c_void,
    ) -> c_int;
}

/// The stack of a thread of another process: addresses of instructions, innermost first. The
/// thread is stopped, and this thread traces it with `ptrace`.
///
/// # Errors
/// When the process cannot be read.
pub fn backtrace_of(thread: i32) -> io::Result<Vec<u64>> {
    let traced = Traced::new(thread)?;
    let mut accessors = accessors();
    // SAFETY: the accessors outlive the address space.
    let space = unsafe { unw_create_addr_space(&raw mut accessors, 0) };
    if space.is_null() {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    let mut cursor = MaybeUninit::<unw_cursor_t>::uninit();
    let argument = (&raw const traced).cast_mut().cast::<c_void>();
    // SAFETY: the accessors take the argument for what it is, and it lives until the walk is done; the
    // thread is stopped.
    let addresses = unsafe {
        let ready = unw_init_remote(cursor.as_mut_ptr(), space, argument);
        (ready == 0).then(|| super::walk(cursor.assume_init_mut()))
    };
    // SAFETY: it was made above, and nothing uses it any more.
    unsafe { unw_destroy_addr_space(space) };
    addresses
        .ok_or_else(|| io::Error::other(format!("thread {thread} is not traced or not stopped")))
}

/// What the accessors need.
struct Traced {
    /// libunwind's own state.
    state: *mut c_void,
    memory: File,
    mappings: Vec<Range<u64>>,
}

impl Drop for Traced {
    fn drop(&mut self) {
        // SAFETY: made by `_UPT_create`, and used by nobody any more.
        unsafe { _UPT_destroy(self.state) };
    }
}

impl Traced {
    fn new(thread: i32) -> io::Result<Self> {
        let memory = File::open(format!("/proc/{thread}/mem"))?;
        let list = CString::new(format!("/proc/{thread}/maps"))?;
        let mut mappings = Vec::new();
        Buffer::new().for_each_in(&list, |mapping| mappings.push(mapping.range.clone()));
        // SAFETY: no precondition.
        let state = unsafe { _UPT_create(thread) };
        if state.is_null() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(Self {
            state,
            memory,
            mappings,
        })
    }

    fn read<const N: usize>(&self, addr: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.memory.read_exact_at(&mut bytes, addr).ok()?;
        Some(bytes)
    }

    /// The table of frames of the range that `ip` is in.
    fn table(&self, ip: u64) -> Option<unw_dyn_info_t> {
        let start = self.start_of_object(ip)?;
        let (code, header) = self.segments(start, ip)?;
        let [version, _, count_encoding, table_encoding] = self.read(header)?;
        if (version, count_encoding, table_encoding) != (1, UDATA4, DATAREL_SDATA4) {
            return None;
        }
        let count = u32::from_le_bytes(self.read(header + 8)?);
        let count = u64::from(count);
        Some(super::frame_table(code, header, header + 12, count))
    }

    /// Goes down from `ip`, through mappings without a gap, to one that begins with an ELF header.
    fn start_of_object(&self, ip: u64) -> Option<u64> {
        let after = self.mappings.partition_point(|mapping| mapping.start <= ip);
        let mut above = None;
        for mapping in self.mappings[..after].iter().rev() {
            let touches = above.map_or(mapping.contains(&ip), |above| mapping.end == above);
            if !touches {
                return None;
            }
            if self.read(mapping.start) == Some(*b"\x7fELF") {
                return Some(mapping.start);
            }
            above = Some(mapping.start);
        }
        None
    }

    /// All addresses of the object at `start` if `ip` is among them, and where its `PT_GNU_EH_FRAME` is.
    fn segments(&self, start: u64, ip: u64) -> Option<(Range<u64>, u64)> {
        let ehdr: [u8; EHDR_SIZE] = self.read(start)?;
        let headers = start.checked_add(word(&ehdr, 32))?;
        let count = usize::from(u16::from_le_bytes([ehdr[56], ehdr[57]]));
        let (mut frames, mut end) = (None, start);
        for index in 0..count.min(PHDRS_MAX) {
            let phdr: [u8; PHDR_SIZE] = self.read(headers + (index * PHDR_SIZE) as u64)?;
            let addr = start.checked_add(word(&phdr, 16))?;
            match u32::from_le_bytes([phdr[0], phdr[1], phdr[2], phdr[3]]) {
                libc::PT_LOAD => end = end.max(addr.checked_add(word(&phdr, 40))?),
                libc::PT_GNU_EH_FRAME => frames = Some(addr),
                _ => {}
            }
        }
        let all = start..end;
        all.contains(&ip).then_some((all, frames?))
    }
}

/// The little-endian word at an offset.
fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

/// libunwind's accessors for `ptrace`, but for one.
fn accessors() -> unw_accessors_t {
    // SAFETY: a structure of optional functions and numbers, for which zero is none.
    let mut accessors: unw_accessors_t = unsafe { std::mem::zeroed() };
    accessors.find_proc_info = Some(find_proc_info);
    accessors.put_unwind_info = Some(put_unwind_info);
    accessors.get_dyn_info_list_addr = Some(get_dyn_info_list_addr);
    accessors.access_mem = Some(access_mem);
    accessors.access_reg = Some(access_reg);
    accessors.access_fpreg = Some(access_fpreg);
    accessors
}

/// What all accessors get as their last argument.
///
/// # Safety
/// It is the one of [`backtrace_of`].
unsafe fn traced<'a>(argument: *mut c_void) -> &'a Traced {
    // SAFETY: the caller vouches for it, and nobody writes to it.
    unsafe { &*argument.cast::<Traced>() }
}

// SAFETY of all accessors: libunwind calls them with the argument of `unw_init_remote` and with valid
// places, while `backtrace_of` runs.

/// # Safety
/// Called by libunwind as its table of accessors says; the last argument is the `Traced` that it was given.
unsafe extern "C" fn find_proc_info(
    space: unw_addr_space_t,
    ip: unw_word_t,
    info: *mut unw_proc_info_t,
    need_unwind_info: c_int,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: see above.
    let traced = unsafe { traced(argument) };
    if let Some(mut table) = traced.table(ip) {
        let table = &raw mut table;
        // SAFETY: the table is of this process's code, and `ip` is in it; see above for the others.
        let found =
            unsafe { search_unwind_table(space, ip, table, info, need_unwind_info, argument) };
        if found >= 0 {
            return found;
        }
    }
    // SAFETY: see above.
    unsafe { _UPT_find_proc_info(space, ip, info, need_unwind_info, traced.state) }
}

/// # Safety
/// Called by libunwind as its table of accessors says; the last argument is the `Traced` that it was given.
unsafe extern "C" fn put_unwind_info(
    space: unw_addr_space_t,
    info: *mut unw_proc_info_t,
    argument: *mut c_void,
) {
    // SAFETY: see above.
    unsafe { _UPT_put_unwind_info(space, info, traced(argument).state) }
}

/// # Safety
/// Called by libunwind as its table of accessors says; the last argument is the `Traced` that it was given.
unsafe extern "C" fn get_dyn_info_list_addr(
    _: unw_addr_space_t,
    _: *mut unw_word_t,
    _: *mut c_void,
) -> c_int {
    -(unw_error_t_UNW_ENOINFO as c_int)
}

/// # Safety
/// Called by libunwind as its table of accessors says; the last argument is the `Traced` that it was given.
unsafe extern "C" fn access_mem(
    space: unw_addr_space_t,
    addr: unw_word_t,
    value: *mut unw_word_t,
    write: c_int,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: see above.
    unsafe { _UPT_access_mem(space, addr, value, write, traced(argument).state) }
}

/// # Safety
/// Called by libunwind as its table of accessors says; the last argument is the `Traced` that it was given.
unsafe extern "C" fn access_reg(
    space: unw_addr_space_t,
    register: unw_regnum_t,
    value: *mut unw_word_t,
    write: c_int,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: see above.
    unsafe { _UPT_access_reg(space, register, value, write, traced(argument).state) }
}

/// # Safety
/// Called by libunwind as its table of accessors says; the last argument is the `Traced` that it was given.
unsafe extern "C" fn access_fpreg(
    space: unw_addr_space_t,
    register: unw_regnum_t,
    value: *mut unw_fpreg_t,
    write: c_int,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: see above.
    unsafe { _UPT_access_fpreg(space, register, value, write, traced(argument).state) }
}
