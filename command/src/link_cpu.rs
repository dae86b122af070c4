//! The CPU that this command links for: that of the executor.
//!
//! It decides which compilers are asked and called where the user names none, and where libraries are looked
//! for. One command is one link, so it is said once, before anything is asked.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::OnceLock;

use jit_core::cpu::Architecture;
use jit_core::remote::Place;
use orc_inputs::library_search::compiler_for;

/// What GNU ld calls a CPU's programs: the emulation (`-m`), and the format of files (`--oformat`).
const NAMES: [(Architecture, &str, &str); 2] = [
    (Architecture::X86_64, "elf_x86_64", "elf64-x86-64"),
    (Architecture::Aarch64, "aarch64linux", "elf64-littleaarch64"),
];

static CPU: OnceLock<Architecture> = OnceLock::new();

/// Says which it is. The first answer counts.
pub(super) fn set(cpu: Architecture) {
    let _ = CPU.set(cpu);
}

/// Which it is: this process's, if nobody has said anything else.
pub(super) fn get() -> Architecture {
    let own = Architecture::of_this_process().unwrap_or(Architecture::X86_64);
    CPU.get().copied().unwrap_or(own)
}

/// The compiler driver to call, by what it is called for this process's CPU: `cc` or `c++`.
pub(super) fn compiler(driver: &str) -> String {
    compiler_for(get(), driver)
}

/// The CPU whose emulation or file format has this name.
pub(super) fn named(name: &str) -> Option<Architecture> {
    let known = NAMES
        .iter()
        .find(|(_, emulation, format)| *emulation == name || *format == name);
    known.map(|(cpu, ..)| *cpu)
}

/// The names of the CPU that this command links for: its emulation and its file format.
pub(super) fn own_names() -> (&'static str, &'static str) {
    let own = get();
    let known = NAMES.iter().find(|(cpu, ..)| *cpu == own);
    known.map_or(("", ""), |(_, emulation, format)| (emulation, format))
}

/// The CPU of an executor that is yet to be started, if that can be told.
pub(super) fn of_place(place: &Place) -> Option<Architecture> {
    match place {
        Place::Emulated(cpu) => Some(*cpu),
        Place::Spawn(Some(path)) => of_program(path),
        Place::Spawn(None) | Place::Llvm(_) => Architecture::of_this_process(),
        Place::Unix(_) | Place::Tcp(_) | Place::Command(_) | Place::Ssh(_) => None,
    }
}

/// That of a program; of a script, which may start anything, this process's.
fn of_program(path: &Path) -> Option<Architecture> {
    let mut start = [0; 64];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    let formats = orc_jit::formats();
    let is_foreign = |cpu: &Architecture| formats.is_foreign(&start, *cpu);
    let (foreign, own): (Vec<_>, Vec<_>) = Architecture::ALL.into_iter().partition(is_foreign);
    match (read, &own[..], foreign.is_empty()) {
        (Ok(()), &[cpu], false) => Some(cpu),
        _ => Architecture::of_this_process(),
    }
}
