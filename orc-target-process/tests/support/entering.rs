//! Entering programs in tests.

use std::ffi::c_int;

use orc_shared::api::{ImportValue, ProgramImage};
use orc_target_process::host::loader;
use orc_target_process::host::program::{self, OpenProgram};

use super::path;

/// Enters a program and returns what its imports were bound to.
pub fn enter(image: &ProgramImage) -> (OpenProgram, Vec<ImportValue>) {
    let mut values = Vec::new();
    let open = program::open(image, &mut |bound| {
        values = bound.to_vec();
        Ok(())
    });
    (open.unwrap_or_else(|error| panic!("{error}")), values)
}

pub fn enter_error(image: &ProgramImage) -> String {
    match program::open(image, &mut |_| panic!("must not get here")) {
        Ok(_) => panic!("must fail"),
        Err(error) => error.to_string(),
    }
}

pub fn call(addr: u64) -> c_int {
    // SAFETY: tests pass addresses of C functions without parameters.
    unsafe { std::mem::transmute::<u64, extern "C" fn() -> c_int>(addr)() }
}

pub fn is_loaded(library: &std::path::Path) -> bool {
    let path = path(library);
    loader::loaded_libraries().iter().any(|l| l.path == path)
}

pub extern "C" fn forty_two() -> c_int {
    42
}
