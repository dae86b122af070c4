//! What differs between operating systems: one file per question and system.

#[cfg(target_os = "linux")]
#[path = "linux_code_writer.rs"]
pub(crate) mod code_writer;
#[cfg(target_os = "linux")]
#[path = "linux_confinement.rs"]
pub(crate) mod confinement;
#[cfg(target_os = "linux")]
#[path = "linux_fd.rs"]
pub(crate) mod fd;
#[cfg(target_os = "linux")]
#[path = "linux_leak_checker.rs"]
pub(crate) mod leak_checker;
#[cfg(target_os = "linux")]
#[path = "linux_limits.rs"]
pub(crate) mod limits;
#[cfg(target_os = "linux")]
#[path = "linux_loaded_range.rs"]
pub(crate) mod loaded_range;
#[cfg(target_os = "linux")]
#[path = "linux_memory.rs"]
pub(crate) mod memory;
#[cfg(target_os = "linux")]
#[path = "linux_process.rs"]
pub(crate) mod process;
#[cfg(target_os = "linux")]
#[path = "linux_race_checker.rs"]
pub(crate) mod race_checker;
#[cfg(target_os = "linux")]
#[path = "linux_shared.rs"]
pub(crate) mod shared;
#[cfg(target_os = "linux")]
#[path = "linux_socket.rs"]
pub(crate) mod socket;
#[cfg(target_os = "linux")]
#[path = "linux_thread.rs"]
pub(crate) mod thread;
#[cfg(target_os = "linux")]
#[path = "linux_unwinder.rs"]
pub(crate) mod unwinder;

/// Addresses to try for a range in the low 2 GiB: above where executables without PIE lie, and
/// below what their heap grows into.
pub(crate) const LOW_HINTS: [u64; 6] = [
    0x1000_0000,
    0x2000_0000,
    0x3000_0000,
    0x4000_0000,
    0x6000_0000,
    0x0800_0000,
];

/// End of the addresses that fit a positive signed 32-bit value.
pub(crate) const LOW_END: u64 = 0x8000_0000;
