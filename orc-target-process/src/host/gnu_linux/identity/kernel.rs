//! What the kernel shows of the process: `/proc/PID/cmdline`, `environ` and `auxv`.
//!
//! It reads the first two where they lie in the process's memory, and a process may say where that
//! is (`PR_SET_MM_MAP`, without privileges since Linux 3.18, if checkpointing is configured).

use std::fs::File;
use std::io::{self, Read};

use super::arguments::Vector;

/// `struct prctl_mm_map` (`linux/prctl.h`).
#[repr(C)]
struct MemoryMap {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arg_start: u64,
    arg_end: u64,
    env_start: u64,
    env_end: u64,
    auxv: *const u64,
    auxv_size: u32,
    exe_fd: u32,
}

const PR_SET_MM: libc::c_int = 35;
const PR_SET_MM_MAP: libc::c_ulong = 14;
/// More than the line of `/proc/self/stat`: 52 numbers. It is read at once.
const STAT_SIZE: usize = 1 << 10;
/// The executable stays.
const NO_FILE: u32 = u32::MAX;

/// Has the kernel show these arguments, this environment and this auxiliary vector.
pub(super) fn show(vector: &Vector) -> io::Result<()> {
    let mut stat = String::with_capacity(STAT_SIZE);
    File::open("/proc/self/stat")?.read_to_string(&mut stat)?;
    // The name, which may hold anything, ends with the last parenthesis; the third field follows.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let fields: Vec<u64> = fields
        .split_ascii_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    let field = |number: usize| fields.get(number - 3).copied();
    let field = |number| field(number).ok_or(io::ErrorKind::InvalidData);
    let addresses = |texts: &[u8]| {
        let start = texts.as_ptr().expose_provenance() as u64;
        (start, start + texts.len() as u64)
    };
    let (arg_start, arg_end) = addresses(vector.arguments);
    let (env_start, env_end) = addresses(vector.environment);
    let auxiliary = vector.auxiliary();
    let map = MemoryMap {
        start_code: field(26)?,
        end_code: field(27)?,
        start_data: field(45)?,
        end_data: field(46)?,
        start_brk: field(47)?,
        brk: current_break(),
        start_stack: field(28)?,
        arg_start,
        arg_end,
        env_start,
        env_end,
        auxv: auxiliary.as_ptr(),
        auxv_size: size_of_val(auxiliary) as u32,
        exe_fd: NO_FILE,
    };
    // SAFETY: the record is complete. What it says of code, data and the heap is what the kernel says of
    // them; the texts are never freed.
    let outcome = unsafe {
        libc::prctl(
            PR_SET_MM,
            PR_SET_MM_MAP,
            &raw const map,
            size_of::<MemoryMap>(),
            0,
        )
    };
    match outcome {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Where the heap ends, as the kernel knows it.
fn current_break() -> u64 {
    // SAFETY: an address that cannot be is a question.
    unsafe { libc::syscall(libc::SYS_brk, 0) as u64 }
}
