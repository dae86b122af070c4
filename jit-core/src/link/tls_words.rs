//! Where code finds thread-locals that it calls for.
//!
//! Which module a variable is in, and where in it, is known when everything has its place. Then the words
//! that lowering has asked for get their values: GOT pairs for `__tls_get_addr`, and TLS descriptors.
//! A variable may be at a fixed offset after all: then it is counted from a module that is.

use super::state::{Link, Part, TlsValue};
use crate::error::LinkError;
use crate::executor::api::{TlsAccess, TlsPlace};
use crate::object::ObjectError;

/// Asks the executor, once, for what the words depend on, if there are any.
pub(super) fn find_access(link: &mut Link) -> Result<(), LinkError> {
    if link.parts.iter().all(|part| part.tls_words.is_empty()) {
        return Ok(());
    }
    let context = &link.context;
    let access = match context.tls_access.get() {
        Some(known) => *known,
        None => {
            let asked = context.executor.tls_access()?;
            *context.tls_access.get_or_init(|| asked)
        }
    };
    link.tls_access = Some(access);
    Ok(())
}

/// Fills the words of a part, all of whose symbols have values.
pub(super) fn fill(part: &mut Part, access: Option<TlsAccess>) -> Result<(), LinkError> {
    check_one_module(part)?;
    let Some(access) = access else {
        return Ok(());
    };
    for word in &part.tls_words {
        let place = TlsPlace::from_value(part.value(word.target));
        part.values[word.symbol.0 as usize] = value(word.value, place, access);
    }
    Ok(())
}

fn value(asked: TlsValue, place: TlsPlace, access: TlsAccess) -> u64 {
    match (asked, place) {
        (TlsValue::Module, TlsPlace::Fixed(_)) => access.module,
        (TlsValue::Module, TlsPlace::Module { module, .. }) => module.into(),
        (TlsValue::Offset, TlsPlace::Fixed(offset)) => {
            offset.wrapping_sub(access.tp_offset).cast_unsigned()
        }
        (TlsValue::Offset, TlsPlace::Module { offset, .. }) => offset.into(),
        // Offsets of such variables count from the thread pointer.
        (TlsValue::Base, TlsPlace::Fixed(_)) => access.tp_offset.wrapping_neg().cast_unsigned(),
        (TlsValue::Base, TlsPlace::Module { .. }) => 0,
        (TlsValue::Function, _) => access.descriptor_function.value(),
    }
}

/// Code of the local dynamic model asks for one module, and takes all variables to be in it.
fn check_one_module(part: &Part) -> Result<(), LinkError> {
    let module = |symbol| match TlsPlace::from_value(part.value(symbol)) {
        TlsPlace::Fixed(_) => 0,
        TlsPlace::Module { module, .. } => module,
    };
    let mut symbols = part.one_module.iter().copied();
    let Some(first) = symbols.next() else {
        return Ok(());
    };
    match symbols.find(|&symbol| module(symbol) != module(first)) {
        None => Ok(()),
        Some(other) => Err(LinkError::Object(ObjectError {
            object: part.graph.name.clone(),
            message: format!(
                "its local-dynamic code takes {} and {} to be thread-locals of one module, but they were \
                 linked at different times, and this process has no room for both at fixed offsets: \
                 recompile with -ftls-model=global-dynamic",
                part.symbol_text(first),
                part.symbol_text(other),
            ),
        })),
    }
}
