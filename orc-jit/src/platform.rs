//! What sessions are linked for, and the object formats that they read: the one module that names a platform
//! crate. The rest of this crate, and the command, ask it for what is the same on each platform.

use std::sync::{Arc, OnceLock};

use orc_inputs::format::Formats;
use platform_elf::format::Elf;
use platform_macho::format::MachO;
use platform_macho::platform::{Host, Languages, Sections, linux};

pub use platform_elf::platform::AddPasses;

pub(crate) use platform_elf::assignments::{Assigned, assign, provided};
pub(crate) use platform_elf::platform::{
    ElfPlatform as SessionPlatform, ElfRuntime as Runtime, ProcessLibrary, ProgramCall,
    ProgramStart,
};

/// The object formats that are read, for [`orc_inputs`].
#[must_use]
pub fn formats() -> Formats {
    static FORMATS: OnceLock<Formats> = OnceLock::new();
    let known =
        FORMATS.get_or_init(|| Formats::new(Arc::new(Elf), &[Arc::new(MachO::on(&MACHO_HOST))]));
    known.clone()
}

/// Where objects for macOS are run: in processes of Linux, under a platform whose sections have these names.
static MACHO_HOST: Host = Host {
    sections: Sections {
        code: ".text",
        constants: ".rodata",
        relocated_constants: ".data.rel.ro",
        data: ".data",
        zeros: ".bss",
        thread_data: ".tdata",
        thread_zeros: ".tbss",
        initializers: ".init_array",
        finalizers: ".fini_array",
        frames: ".eh_frame",
        exception_tables: ".gcc_except_table",
    },
    meaning: linux::meaning,
    stands_for: linux::stands_for,
    languages: Languages::Absent,
};
