//! Symbols: what a lookup finds.

use std::ffi::{c_char, c_void};

use orc_jit::{Jit, Symbol};

use super::dylib::OrcJitDylib;
use super::error::{OrcJitError, answer_with, free, handle};
use super::text::text;

/// A function or a variable of linked code. Its memory stays until this is freed, also when its tracker is removed.
pub struct OrcJitSymbol {
    symbol: Symbol,
    /// Keeps the runtime, which the code may call.
    jit: Jit,
}

/// Finds a symbol by its name. What it needs is linked, and initializers run, before this returns.
///
/// # Safety
/// `dylib` is a dylib of this interface that is not freed; `name` is a text; `symbol` can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_dylib_lookup(
    dylib: *const OrcJitDylib,
    name: *const c_char,
    symbol: *mut *mut OrcJitSymbol,
) -> *mut OrcJitError {
    let find = || {
        // SAFETY: the caller's promise.
        let (dylib, name) = unsafe { (handle(dylib, "dylib")?, text(name, "name")?) };
        let symbol = dylib.dylib.symbol(name)?;
        let jit = dylib.jit.clone();
        Ok(OrcJitSymbol { symbol, jit })
    };
    // SAFETY: the caller's promise.
    unsafe { answer_with(symbol, find) }
}

/// Where the symbol is in this process. NULL if its code runs in another process.
///
/// # Safety
/// `symbol` is a symbol of this interface that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_symbol_pointer(symbol: *const OrcJitSymbol) -> *mut c_void {
    // SAFETY: the caller's promise.
    let symbol = unsafe { symbol.as_ref() };
    let here = symbol.filter(|it| it.jit.executor().control().is_this_process());
    let addr = here.map_or(0, |it| it.symbol.addr().value());
    std::ptr::with_exposed_provenance_mut(addr as usize)
}

/// Where the symbol is, as a number: in the process where its code runs.
///
/// # Safety
/// `symbol` is a symbol of this interface that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_symbol_address(symbol: *const OrcJitSymbol) -> u64 {
    // SAFETY: the caller's promise.
    let symbol = unsafe { symbol.as_ref() };
    symbol.map_or(0, |it| it.symbol.addr().value())
}

/// Frees the handle. Its code may go then. NULL is allowed.
///
/// # Safety
/// `symbol` is NULL or a symbol of this interface, and neither it nor its code is used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn orc_jit_symbol_free(symbol: *mut OrcJitSymbol) {
    // SAFETY: the caller's promise.
    unsafe { free(symbol) }
}
