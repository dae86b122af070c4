//! What the system knows of this process and of others: to see that nothing is left behind.

use std::fs;
use std::time::{Duration, Instant};

/// What a process holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holdings {
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// Children, those that have ended included.
    pub children: usize,
    /// Mappings, but for those of threads' stacks: the C library keeps some of threads that have ended.
    pub mappings: usize,
    /// Memory in use, in KiB.
    pub resident_kib: u64,
    /// Addresses in use, in KiB.
    pub address_space_kib: u64,
}

impl Holdings {
    /// What it holds now.
    ///
    /// # Panics
    /// Without Linux's `/proc`.
    pub fn now() -> Self {
        // SAFETY: it gives free pages back to the system, of all arenas, and changes nothing else.
        unsafe { libc::malloc_trim(0) };
        let own = Self::of(u64::from(std::process::id()));
        Self {
            // The directory that is read is open, too.
            descriptors: own.descriptors - 1,
            ..own
        }
    }

    /// What another process holds now.
    ///
    /// # Panics
    /// If there is no such process.
    pub fn of(process: u64) -> Self {
        let path = |name: &str| format!("/proc/{process}/{name}");
        let entries = |name: &str| fs::read_dir(path(name)).expect("Linux has it").count();
        let text = |name: &str| fs::read_to_string(path(name)).expect("Linux has it");
        let (maps, status) = (text("maps"), text("status"));
        let kib = |name: &str| -> u64 {
            let number = status.lines().find_map(|line| {
                let number = line.strip_prefix(name)?.trim().strip_suffix(" kB")?;
                number.trim().parse().ok()
            });
            number.expect("a process has memory")
        };
        Self {
            descriptors: entries("fd"),
            threads: entries("task"),
            children: children(process),
            mappings: maps.lines().count() - 2 * stacks(&maps),
            resident_kib: kib("VmRSS:"),
            address_space_kib: kib("VmSize:"),
        }
    }
}

/// Keeps the memory of all threads together from now on. The allocator has a heap for each of several
/// threads otherwise, and keeps in each what was freed there: more or less of it from run to run.
pub fn share_one_heap() {
    // SAFETY: it changes what the allocator does from now on.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Bytes that this process has from the allocator, and has not given back.
#[must_use]
pub fn heap_in_use() -> usize {
    // SAFETY: it counts.
    unsafe { libc::mallinfo2() }.uordblks
}

/// How many stacks of threads there are among mappings: each follows a page that guards it.
fn stacks(maps: &str) -> usize {
    /// The size of a thread's stack in Rust's standard library.
    const SIZE: u64 = 2 << 20;
    let mapping = |line: &str| -> Option<(u64, u64, bool)> {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let address = |text| u64::from_str_radix(text, 16).ok();
        let is_guard = fields.next()? == "---p";
        Some((address(start)?, address(end)?, is_guard))
    };
    let mappings: Vec<_> = maps.lines().filter_map(mapping).collect();
    let pairs = mappings.windows(2);
    let stacks = pairs.filter(|pair| {
        let ((_, guard_end, is_guard), (start, end, is_other)) = (pair[0], pair[1]);
        is_guard && !is_other && guard_end == start && end - start == SIZE
    });
    stacks.count()
}

/// The children of all threads of a process.
fn children(process: u64) -> usize {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("Linux has it");
    let of_task = |task: fs::DirEntry| fs::read_to_string(task.path().join("children"));
    let lists = tasks.filter_map(|task| of_task(task.ok()?).ok());
    lists.map(|list| list.split_whitespace().count()).sum()
}

/// Processes whose environment has this variable, ended ones aside.
pub fn with_variable(variable: &str) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("Linux has it");
    let has_it = |process: fs::DirEntry| {
        let id: u32 = process.file_name().to_str()?.parse().ok()?;
        let environment = fs::read(process.path().join("environ")).ok()?;
        let mut variables = environment.split(|&byte| byte == 0);
        variables.any(|v| v == variable.as_bytes()).then_some(id)
    };
    processes
        .filter_map(|process| has_it(process.ok()?))
        .collect()
}

/// Waits until no process has the variable, and returns those that still have it then.
pub fn wait_until_gone(variable: &str, limit: Duration) -> Vec<u32> {
    let start = Instant::now();
    loop {
        let left = with_variable(variable);
        if left.is_empty() || start.elapsed() > limit {
            return left;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
