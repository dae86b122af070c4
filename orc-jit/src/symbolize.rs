//! Names for the addresses of a JIT's code.

use std::io;
use std::path::Path;
use std::sync::Arc;

use jit_core::executor::ExecutorControl;
use jit_core::graph::InputBytes;
use jit_core::symbolize::{Location, Symbolizer};
use orc_inputs::input::{InputOpener, OwnedBytes};
use orc_inputs::process_map::ProcessMap;
use orc_shared::ExecutorAddr;
use orc_shared::remote::services::CrashReport;

use crate::crash;
use crate::jit::Jit;
use crate::mapped::MapFiles;
use crate::platform;

/// Where Linux says what is mapped in a process.
const PROCESS_MAP: &str = "/proc/self/maps";

impl Jit {
    /// Names addresses of linked code and of the libraries that are loaded at this moment: for a
    /// backtrace. It keeps what it has read, so use one for all addresses, and drop it then.
    ///
    /// ```
    /// # fn main() -> Result<(), orc_jit::Error> {
    /// # let jit = orc_jit::Jit::new()?;
    /// # let addresses: Vec<orc_jit::ExecutorAddr> = Vec::new();
    /// let mut symbolizer = jit.symbolizer();
    /// // As `backtrace` of the C library fills them in: return addresses.
    /// for address in addresses {
    ///     match symbolizer.locate_caller(address) {
    ///         Some(location) => println!("{address} {location}"),
    ///         None => println!("{address}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn symbolizer(&self) -> Symbolizer {
        let symbolizer = Symbolizer::new(self.0.session.placed_code());
        match self.0.session.executor().read_file(PROCESS_MAP) {
            Ok(text) => {
                let text = String::from_utf8_lossy(&text);
                let map = ProcessMap::parse(&text, platform::formats(), self.files());
                symbolizer.with_natives(Arc::new(map))
            }
            Err(error) => {
                tracing::info!("libraries' code will have no names: {error}");
                symbolizer
            }
        }
    }

    /// Describes a crash of the executor in several lines: the cause, what lies at the address that was
    /// accessed, and the calls that led there. Errors of an executor that has crashed say the same.
    #[must_use]
    pub fn explain_crash(&self, report: &CrashReport) -> String {
        crash::explain(report, self.0.session.placed_code(), Arc::new(MapFiles))
    }

    /// The files that code was loaded from, as the executor's process finds them.
    fn files(&self) -> Arc<dyn InputOpener> {
        let executor = self.0.session.executor();
        match executor.has_own_files() {
            true => Arc::new(ExecutorFiles(executor.clone())),
            false => Arc::new(MapFiles),
        }
    }

    /// What is at an address: the function with its object or library, and its file and line if there is
    /// debug information. `None` if nothing is known to be there.
    #[must_use]
    pub fn symbolize(&self, addr: ExecutorAddr) -> Option<Location> {
        self.symbolizer().locate(addr)
    }
}

/// Files of the executor's host.
struct ExecutorFiles(Arc<dyn ExecutorControl>);

impl InputOpener for ExecutorFiles {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn InputBytes>> {
        let bytes = self.0.read_file(&path.to_string_lossy());
        let bytes = bytes.map_err(io::Error::other)?;
        Ok(Arc::new(OwnedBytes::from(bytes)))
    }
}
