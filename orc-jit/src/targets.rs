//! What code for another CPU needs of this project: its runtime, and an executor that an emulator can run.
//!
//! Those for this CPU are part of this crate. Others need a cross compiler and a standard library to be
//! built, which few machines have, so they are files, found when they are wanted: in the directory that
//! the environment variable [`VARIABLE`] names, or in `orc-jit-targets` beside the running program. Each CPU has
//! a directory there. `cargo run -p xtask -- cross` makes them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use jit_core::cpu::Architecture;
use jit_core::remote::Emulator;

use crate::error::Error;

/// The variable that names the directory.
const VARIABLE: &str = "ORC_JIT_TARGETS";

/// The directory beside the program.
const DIRECTORY: &str = "orc-jit-targets";

/// The variable in which qemu's users name the directory with the other machine's files.
const QEMU_ROOT: &str = "QEMU_LD_PREFIX";

/// The runtime's archive for a CPU that is not this one's.
///
/// # Errors
/// When there is none.
pub(crate) fn runtime(cpu: Architecture) -> Result<PathBuf, Error> {
    find(cpu, "liborc_rt.a")
}

/// qemu, and an executor for a CPU.
///
/// # Errors
/// When there is no such executor.
pub(crate) fn emulator(cpu: Architecture) -> Result<Emulator, Error> {
    let name = cpu.triple_name();
    Ok(Emulator {
        command: format!("qemu-{name}").into(),
        // Where Debian's cross compilers have the C library.
        root: match std::env::var_os(QEMU_ROOT) {
            Some(_) => None,
            None => {
                Some(format!("/usr/{name}-linux-gnu").into()).filter(|it: &PathBuf| it.is_dir())
            }
        },
        program: find(cpu, "orc-executor")?,
    })
}

fn find(cpu: Architecture, file: &str) -> Result<PathBuf, Error> {
    let beside = std::env::current_exe().ok();
    let beside = beside.as_deref().and_then(Path::parent);
    let beside = beside.map(|directory| directory.join(DIRECTORY));
    let directory = std::env::var_os(VARIABLE).filter(|value: &OsString| !value.is_empty());
    let directory = directory.map(PathBuf::from).or(beside).unwrap_or_default();
    let path = directory.join(cpu.triple_name()).join(file);
    match path.is_file() {
        true => Ok(path),
        false => Err(Error::NoTarget { cpu, path }),
    }
}
