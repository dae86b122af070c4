//! Native libraries, and the symbols that they define.

use std::ffi::CString;

use orc_shared::{ExecutorAddr, ExecutorSymbolDef, SymbolFlags};
use parking_lot::Mutex;

use crate::executor::Failure;
use crate::host::loader::LibraryHandle;

/// Libraries that the controller has opened. They stay open. What it gets is a number: the first
/// is 1.
#[derive(Default)]
pub(super) struct Dylibs {
    open: Mutex<Vec<LibraryHandle>>,
}

impl Dylibs {
    /// Opens a library; without a path, the process.
    pub(super) fn open(&self, path: &str) -> Result<ExecutorAddr, Failure> {
        let handle = if path.is_empty() {
            LibraryHandle::process()
        } else {
            LibraryHandle::open(path)
        };
        let handle = handle.map_err(Failure::new)?;
        let mut open = self.open.lock();
        open.push(handle);
        Ok(ExecutorAddr::new(open.len() as u64))
    }

    /// Where symbols are. Absent for those that are required and missing; null for others that
    /// are missing.
    pub(super) fn resolve(
        &self,
        handle: ExecutorAddr,
        names: &[(&[u8], bool)],
    ) -> Result<Vec<Option<ExecutorSymbolDef>>, Failure> {
        let index = usize::try_from(handle.value()).ok();
        let library = index.and_then(|it| self.open.lock().get(it.checked_sub(1)?).copied());
        let Some(library) = library else {
            return Err(Failure(format!("no library was opened as {handle}")));
        };
        let resolve = |&(name, required): &(&[u8], bool)| {
            let name = CString::new(name).ok();
            let found = name.and_then(|name| library.find(&name));
            (found.is_some() || !required).then(|| ExecutorSymbolDef {
                addr: ExecutorAddr::new(found.unwrap_or(0)),
                flags: SymbolFlags::EXPORTED,
                target_flags: 0,
            })
        };
        Ok(names.iter().map(resolve).collect())
    }
}
