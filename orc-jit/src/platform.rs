//! What sessions are linked for, and the object formats that they read: the one module that names a platform
//! crate. The rest of this crate, and the command, ask it for what is the same on each platform.

use std::sync::{Arc, OnceLock};

use orc_inputs::format::Formats;
use platform_elf::format::Elf;

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
    let known = FORMATS.get_or_init(|| Formats::new(Arc::new(Elf), &[]));
    known.clone()
}
