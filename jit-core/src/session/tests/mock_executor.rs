//! A fake executor: it binds imports by name and does nothing else.

use crate::sync::Mutex;
use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use crate::cpu::Architecture;
use crate::executor::api::{
    Import, ImportValue, LoadedLibrary, Placement, ProgramIdentity, ProgramImage, RangeId,
};
use crate::executor::{
    AllocationRequest, DispatchHandler, ExecutorControl, ExecutorError, ExecutorResult,
    FinalizeRequest, Finalized, InFlight,
};

/// Binds every import to an address made of its name's length.
#[derive(Default)]
pub(super) struct FakeExecutor {
    pub(super) opened: Mutex<Vec<String>>,
}

fn unused<T>() -> ExecutorResult<T> {
    Err(ExecutorError::failed("not part of this test"))
}

impl ExecutorControl for FakeExecutor {
    fn architecture(&self) -> Architecture {
        Architecture::X86_64
    }

    fn capabilities(&self) -> [u64; 2] {
        [0; 2]
    }

    fn page_size(&self) -> u64 {
        4096
    }

    fn close_range(&self, _: RangeId) {}

    fn open_range(&self, _: Placement, _: u64) -> ExecutorResult<(RangeId, ExecutorAddrRange)> {
        unused()
    }

    fn allocate(&self, _: &[AllocationRequest]) -> ExecutorResult<Vec<Option<Box<dyn InFlight>>>> {
        unused()
    }

    fn finalize(
        &self,
        _: Vec<(Box<dyn InFlight>, FinalizeRequest)>,
    ) -> ExecutorResult<Vec<Box<dyn Finalized>>> {
        unused()
    }

    fn loaded_libraries(&self) -> ExecutorResult<Vec<LoadedLibrary>> {
        unused()
    }

    fn open_library(&self, path: &str) -> ExecutorResult<()> {
        self.opened.lock().push(path.to_owned());
        Ok(())
    }

    fn bind_imports(&self, imports: &[Import]) -> ExecutorResult<Vec<Option<ImportValue>>> {
        let bind = |import: &Import| {
            Some(ImportValue {
                value: 0xf000 + import.name.len() as u64,
                tls_offset: 0,
            })
        };
        Ok(imports.iter().map(bind).collect())
    }

    fn open_program(
        &self,
        _: &ProgramImage,
        _: &mut dyn FnMut(&[ImportValue]) -> ExecutorResult<()>,
    ) -> ExecutorResult<()> {
        unused()
    }

    fn call_wrapper(&self, _: ExecutorAddr, _: &[u8]) -> ExecutorResult<Vec<u8>> {
        unused()
    }

    fn register_handler(&self, _: ExecutorAddr, _: DispatchHandler) {}

    fn dispatch_function(&self) -> (ExecutorAddr, ExecutorAddr) {
        (ExecutorAddr::NULL, ExecutorAddr::NULL)
    }

    fn set_program(&self, _: &ProgramIdentity) {}

    fn write_pointers(&self, _: &[(ExecutorAddr, ExecutorAddr)]) -> ExecutorResult<()> {
        unused()
    }
}
