//! What a crash of an executor comes to, in words: the signal and its cause, what lies at the address
//! that was accessed, and the calls that led there, by name, file and line.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::Arc;

use jit_core::executor::ExecutorControl;
use jit_core::graph::InputBytes;
use jit_core::session::Session;
use jit_core::symbolize::{PlacedCode, Symbolizer};
use orc_inputs::input::InputOpener;
use orc_inputs::process_map::{Mapping, ProcessMap};
use orc_shared::ExecutorAddr;
use orc_shared::remote::services::CrashReport;
use orc_target_process::host::crash;

use crate::mapped::MapFiles;
use crate::platform;

/// Addresses below this are fields of objects at null.
const NULL_END: u64 = 1 << 16;

/// Frames at one address that are all shown: endless recursion has thousands.
const REPEATED_MAX: usize = 3;

/// A stack that is overflowed is left by no more than a large frame.
const OVERFLOW_MAX: u64 = 1 << 16;

/// Has crashes of an executor put into words, with the names of a session's code.
pub(crate) fn watch(executor: &dyn ExecutorControl, session: &Session) {
    let files: Arc<dyn InputOpener> = match executor.has_own_files() {
        true => Arc::new(OutOfReach),
        false => Arc::new(MapFiles),
    };
    // Not the session: a thread that has received a crash must not be the one that ends it.
    let code = session.placed_code();
    executor.explain_crashes_with(Box::new(move |report| {
        explain(report, code.clone(), files.clone())
    }));
}

/// The files of a host whose executor has just died.
struct OutOfReach;

impl InputOpener for OutOfReach {
    fn open(&self, _path: &Path) -> io::Result<Arc<dyn InputBytes>> {
        Err(io::ErrorKind::NotConnected.into())
    }
}

/// Describes a crash in a process where `code` is; `files` are those of the process's host.
pub(crate) fn explain(
    report: &CrashReport,
    code: Arc<PlacedCode>,
    files: Arc<dyn InputOpener>,
) -> String {
    let text = String::from_utf8_lossy(&report.mappings);
    let map = Arc::new(ProcessMap::parse(&text, platform::formats(), files));
    let mut symbolizer = Symbolizer::new(code).with_natives(map.clone());
    let mut out = crash::cause(report.signal, report.code).to_owned();
    if let Some(place) = fault(report, &map, &mut symbolizer) {
        let _ = write!(out, "\n  {place}");
    }
    let mut lines = Vec::new();
    let mut index = 0;
    while let Some(&addr) = report.backtrace.get(index) {
        // All but the first are return addresses.
        let location = match index {
            0 => symbolizer.locate(addr),
            _ => symbolizer.locate_caller(addr),
        };
        let of_frame = match location {
            Some(location) => location.lines(),
            None => vec![unnamed(addr, &map)],
        };
        lines.extend(of_frame.iter().map(|line| format!("{addr} {line}")));
        let same = report.backtrace[index..].iter();
        let repeated = same.take_while(|other| **other == addr).count();
        if repeated > REPEATED_MAX {
            lines.push(format!("and {} times the same", repeated - 1));
            index += repeated;
        } else {
            index += 1;
        }
    }
    for (number, line) in lines.iter().enumerate() {
        let _ = write!(out, "\n  #{number:<2} {line}");
    }
    out
}

/// What lies at the address that was accessed, if one was.
fn fault(report: &CrashReport, map: &ProcessMap, symbolizer: &mut Symbolizer) -> Option<String> {
    let addr = report.fault_address;
    let is_access = [libc_signal::SEGV, libc_signal::BUS].contains(&report.signal);
    // Where an instruction is at fault, its address is that of the first frame.
    if !is_access || report.code <= 0 || report.code == libc_signal::KERNEL {
        return None;
    }
    let fetch = if report.backtrace.first() == Some(&addr) {
        "the jump"
    } else {
        "the access"
    };
    let what = if addr.value() < NULL_END {
        "a null pointer".to_owned()
    } else if is_stack_overflow(report, map) {
        "next to the stack pointer: the stack has overflowed".to_owned()
    } else if let Some(location) = symbolizer.locate(addr) {
        match map.mapping(addr) {
            Some(mapping) => format!("{location}, which is mapped {}", mapping.permissions),
            None => location.to_string(),
        }
    } else {
        match map.mapping(addr) {
            Some(mapping) => format!("in {}", describe(mapping)),
            None => "where nothing is".to_owned(),
        }
    };
    Some(format!("{fetch} was to {addr}, {what}"))
}

/// Whether the address is just outside the stack that the stack pointer leads to.
fn is_stack_overflow(report: &CrashReport, map: &ProcessMap) -> bool {
    let pointer = report
        .registers
        .iter()
        .find(|(name, _)| name == "rsp" || name == "sp");
    let Some((_, pointer)) = pointer else {
        return false;
    };
    let distance = report.fault_address.value().abs_diff(*pointer);
    let accessible = map
        .mapping(report.fault_address)
        .is_some_and(|mapping| mapping.permissions.starts_with("rw"));
    distance <= OVERFLOW_MAX && !accessible
}

fn describe(mapping: &Mapping) -> String {
    let name = match mapping.name.as_str() {
        "" => "memory without a name",
        name => name,
    };
    format!("{name}, which is mapped {}", mapping.permissions)
}

/// A frame that nothing is known of.
fn unnamed(addr: ExecutorAddr, map: &ProcessMap) -> String {
    match map.mapping(addr) {
        Some(mapping) => format!("in {}", describe(mapping)),
        None => "where nothing is".to_owned(),
    }
}

/// The numbers of Linux that decide what a report's fields mean.
mod libc_signal {
    pub(super) const SEGV: i32 = 11;
    pub(super) const BUS: i32 = 7;
    /// The kernel raised the signal and tells no address.
    pub(super) const KERNEL: i32 = 128;
}
