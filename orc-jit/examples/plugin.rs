//! A library that a host opens with `dlopen`, and that runs linked code in the host's process: an
//! extension of Python, a plugin of a database.
//!
//! `cargo build -p orc-jit --example plugin` makes `target/debug/examples/libplugin.so`.

use std::ffi::{CStr, c_char, c_int};

use orc_jit::{Error, Jit};

/// Links an object file, which may be C++, and calls `int check(void)` in it. Returns its result; -1 after
/// a message if it cannot be linked.
///
/// # Safety
/// `path` is a C string, and `check` has that type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plugin_check(path: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    let path = unsafe { CStr::from_ptr(path) };
    check(&path.to_string_lossy()).unwrap_or_else(|error| {
        eprintln!("plugin: {error}");
        -1
    })
}

fn check(path: &str) -> Result<c_int, Error> {
    let jit = Jit::new()?;
    let dylib = jit.dylib("checked")?;
    dylib.add_library("stdc++")?;
    dylib.add_object_file(path)?;
    // SAFETY: the caller of the plugin says that it is of this type.
    let check = unsafe { dylib.function::<extern "C" fn() -> c_int>("check") }?;
    let result = check.call();
    drop(check);
    dylib.close()?;
    Ok(result)
}
