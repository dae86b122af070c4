//! Universal files: files for several CPUs in one, behind a header that tells where each is. The parts may be
//! objects, archives or libraries.

use std::ops::Range;

use jit_core::cpu::Architecture;
use object::macho::{self, CpuType};
use object::read::macho::{FatArch, MachOFatFile32, MachOFatFile64};
use orc_inputs::format::NoPart;

use crate::machine::Machine;

/// Parts that a message names; the rest are counted.
const NAMED_MAX: usize = 20;

/// A part: the CPU, as the file names it, and where the part is.
struct Part {
    cpu: CpuType,
    kind: u32,
    range: Range<u64>,
}

/// Where in a universal file the part for a CPU is. That for all machines with the CPU comes before one for some.
///
/// # Errors
/// When there is none, or the file is damaged.
pub(super) fn part_for(bytes: &[u8], architecture: Architecture) -> Result<Range<usize>, NoPart> {
    let damaged = |message: String| NoPart {
        is_foreign: false,
        message,
    };
    let parts = parts(bytes).map_err(damaged)?;
    let is_meant = |part: &&Part| {
        let machine = Machine::of(part.cpu);
        let is_for_it = machine.is_some_and(|machine| machine.architecture == architecture);
        is_for_it && !is_authenticated(part.cpu, part.kind)
    };
    let found = parts.iter().filter(is_meant);
    let Some(part) = found.min_by_key(|part| !is_general(part)) else {
        let message = format!(
            "is a universal file without code for {}: it has {}",
            name_of(architecture),
            orc_shared::listed(parts.iter().map(Part::text), ", ", NAMED_MAX),
        );
        return Err(NoPart {
            is_foreign: true,
            message,
        });
    };
    let place = |at: u64| usize::try_from(at).ok();
    let range = place(part.range.start)
        .zip(place(part.range.end))
        .map(|(start, end)| start..end)
        .filter(|range| bytes.get(range.clone()).is_some());
    range.ok_or_else(|| {
        let part = part.text();
        damaged(format!(
            "is a universal file that ends within its part for {part}: it is truncated"
        ))
    })
}

/// All parts.
fn parts(bytes: &[u8]) -> Result<Vec<Part>, String> {
    let damaged = |error| format!("is a universal file with a damaged header ({error})");
    if bytes.starts_with(&macho::FAT_MAGIC_64.to_be_bytes()) {
        let file = MachOFatFile64::parse(bytes).map_err(damaged)?;
        return file.arches().iter().map(part).collect();
    }
    let file = MachOFatFile32::parse(bytes).map_err(damaged)?;
    file.arches().iter().map(part).collect()
}

fn part<Arch: FatArch>(arch: &Arch) -> Result<Part, String> {
    let mut part = Part {
        cpu: arch.cputype(),
        kind: arch.cpusubtype().id().0,
        range: 0..0,
    };
    let (start, size) = arch.file_range();
    let end = start.checked_add(size).ok_or_else(|| {
        format!(
            "is a universal file whose part for {} has an impossible size",
            part.text()
        )
    })?;
    part.range = start..end;
    Ok(part)
}

impl Part {
    /// The CPU for messages, as macOS's tools call it.
    fn text(&self) -> String {
        let known = NAMES
            .iter()
            .find(|(cpu, kind, _)| *cpu == self.cpu && kind.is_none_or(|kind| kind == self.kind));
        match known {
            Some((.., name)) => (*name).to_owned(),
            None => format!("the CPU type {:#x}", self.cpu.0),
        }
    }
}

/// Whether the part is for all machines with its CPU.
fn is_general(part: &Part) -> bool {
    let general = match part.cpu {
        macho::CPU_TYPE_X86_64 => macho::CPU_SUBTYPE_X86_64_ALL,
        _ => macho::CPU_SUBTYPE_ARM64_ALL,
    };
    part.kind == general.0
}

/// Whether code is for arm64 with signed pointers (arm64e), which other CPUs do not run.
pub(crate) fn is_authenticated(cpu: CpuType, kind: u32) -> bool {
    cpu == macho::CPU_TYPE_ARM64 && kind == macho::CPU_SUBTYPE_ARM64E.0
}

/// What macOS calls a CPU.
fn name_of(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => "x86_64",
        Architecture::Aarch64 => "arm64",
    }
}

/// Names of CPUs: the number, that of the variant if it has a name of its own, the name.
const NAMES: &[(CpuType, Option<u32>, &str)] = &[
    (macho::CPU_TYPE_X86_64, Some(8), "x86_64h"),
    (macho::CPU_TYPE_X86_64, None, "x86_64"),
    (macho::CPU_TYPE_ARM64, Some(2), "arm64e"),
    (macho::CPU_TYPE_ARM64, None, "arm64"),
    (macho::CPU_TYPE_ARM64_32, None, "arm64_32"),
    (macho::CPU_TYPE_X86, None, "i386"),
    (macho::CPU_TYPE_ARM, None, "arm"),
    (macho::CPU_TYPE_POWERPC, None, "ppc"),
    (macho::CPU_TYPE_POWERPC64, None, "ppc64"),
];

#[cfg(test)]
mod tests {
    use super::*;

    const I386: (u32, u32) = (7, 3);
    const X86_64: (u32, u32) = (0x0100_0007, 3);
    const X86_64H: (u32, u32) = (0x0100_0007, 8);
    const ARM64: (u32, u32) = (0x0100_000c, 0);
    const ARM64E: (u32, u32) = (0x0100_000c, 0x8000_0002);

    /// A universal file whose parts are a word each, their numbers; `wide` for places of 64 bits.
    fn file(parts: &[(u32, u32)], wide: bool) -> Vec<u8> {
        let magic = if wide { 0xcafe_babfu32 } else { 0xcafe_babe };
        let entry = if wide { 32 } else { 20 };
        let mut bytes = [magic, parts.len() as u32].map(u32::to_be_bytes).concat();
        let data = 8 + entry * parts.len() as u64;
        for (number, (cpu, kind)) in (0u64..).zip(parts) {
            let at = data + 4 * number;
            bytes.extend([*cpu, *kind].map(u32::to_be_bytes).concat());
            if wide {
                bytes.extend([at, 4, 2 << 32].map(u64::to_be_bytes).concat());
            } else {
                bytes.extend([at as u32, 4, 2].map(u32::to_be_bytes).concat());
            }
        }
        bytes.extend((0..parts.len() as u32).flat_map(u32::to_le_bytes));
        bytes
    }

    /// The number of the part for a CPU.
    fn chosen(parts: &[(u32, u32)], cpu: Architecture) -> Result<u32, NoPart> {
        let mut found = Vec::new();
        for wide in [false, true] {
            let bytes = file(parts, wide);
            let part = part_for(&bytes, cpu).map(|range| bytes[range].to_vec());
            let number = |part: Vec<u8>| u32::from_le_bytes(part.try_into().expect("a word"));
            found.push(part.map(number));
        }
        assert_eq!(found[0], found[1], "headers of both kinds say the same");
        found.swap_remove(0)
    }

    #[test]
    fn the_part_for_the_cpu_is_taken() {
        use Architecture::{Aarch64, X86_64 as Amd64};
        assert_eq!(chosen(&[I386, X86_64, ARM64], Amd64), Ok(1));
        assert_eq!(chosen(&[I386, X86_64, ARM64], Aarch64), Ok(2));
        assert_eq!(chosen(&[X86_64H, X86_64], Amd64), Ok(1), "for all machines");
        assert_eq!(chosen(&[X86_64H], Amd64), Ok(0), "there is no other");
        assert_eq!(chosen(&[ARM64E, ARM64], Aarch64), Ok(1));
    }

    #[test]
    fn a_file_without_the_cpu_tells_which_it_has() {
        let error = chosen(&[I386, X86_64H, ARM64E, (99, 0)], Architecture::Aarch64);
        let error = error.expect_err("there is none");
        assert!(error.is_foreign);
        assert_eq!(
            error.message,
            "is a universal file without code for arm64: \
             it has i386, x86_64h, arm64e, the CPU type 0x63"
        );
    }

    #[test]
    fn damaged_files_are_errors() {
        for wide in [false, true] {
            let bytes = file(&[X86_64, ARM64], wide);
            for length in 4..bytes.len() {
                let error = part_for(&bytes[..length], Architecture::Aarch64);
                let error = error.expect_err("it is cut off");
                assert!(!error.is_foreign, "{length}: {}", error.message);
            }
        }
        let mut bytes = file(&[X86_64], true);
        bytes[16..32].fill(0xff);
        let error = part_for(&bytes, Architecture::X86_64).expect_err("it is damaged");
        let expected = "is a universal file whose part for x86_64 has an impossible size";
        assert_eq!(error.message, expected);
    }
}
