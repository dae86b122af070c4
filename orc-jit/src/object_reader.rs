//! Input files as the objects and archives of one JIT.

use std::path::Path;
use std::sync::Arc;

use jit_core::cpu::Architecture;
use jit_core::graph::InputBytes;
use jit_core::name::NameTable;
use jit_core::object::{ObjectError, ObjectFile};
use orc_inputs::archive::{Archive, MemberWatch};
use orc_inputs::format::ReadObjects;
use orc_inputs::input::{InputOpener, OwnedBytes};
use orc_inputs::wrapped::WrappedNames;

use crate::error::Error;
use crate::mapped::MapFiles;
use crate::platform;

/// Reads objects for one JIT.
#[derive(Clone)]
pub struct ObjectReader {
    objects: ReadObjects,
    files: Files,
}

/// Who hears which members of the archive at a path are read.
pub type Watch = dyn Fn(&Path) -> Option<Arc<MemberWatch>> + Send + Sync;

/// Where archives find their members.
#[derive(Clone)]
pub struct Files {
    /// Opens those that an archive only names.
    pub opener: Arc<dyn InputOpener>,
    /// Hears which members of an archive at a path are read; nobody does if there is none.
    pub watch: Option<Arc<Watch>>,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            opener: Arc::new(MapFiles),
            watch: None,
        }
    }
}

impl Default for ObjectReader {
    fn default() -> Self {
        Self::new(Arc::default(), &[], Files::default())
    }
}

impl ObjectReader {
    /// A reader that interns names in `names`, wraps these symbols and finds members of archives in `files`.
    #[must_use]
    pub fn new(names: Arc<NameTable>, wrapped: &[String], files: Files) -> Self {
        let symbols = wrapped.iter().map(String::as_str);
        let wrapped = Arc::new(WrappedNames::new(symbols, &names));
        let objects = ReadObjects {
            wrapped,
            ..ReadObjects::new(platform::formats(), &names)
        };
        Self { objects, files }
    }

    /// The same for another CPU than this process's: it decides where a file is for several.
    #[must_use]
    pub fn for_cpu(mut self, architecture: Architecture) -> Self {
        self.objects.architecture = architecture;
        self
    }

    /// An object in memory, for [`jit_core::session::Responsibility::link`]. `name` is for messages.
    ///
    /// # Errors
    /// When the bytes are no relocatable object for this machine.
    pub fn read(
        &self,
        name: &str,
        bytes: impl Into<Vec<u8>>,
    ) -> Result<Arc<dyn ObjectFile>, Error> {
        let input = Arc::new(OwnedBytes::from(bytes.into()));
        Ok(self.object(name, input)?)
    }

    /// The table that names are interned in.
    #[must_use]
    pub fn names(&self) -> &Arc<NameTable> {
        &self.objects.names
    }

    /// The symbols that are wrapped.
    pub(crate) fn wrapped(&self) -> &WrappedNames {
        &self.objects.wrapped
    }

    /// The object that `input` holds. `name` is for messages.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn object(
        &self,
        name: impl Into<String>,
        input: Arc<dyn InputBytes>,
    ) -> Result<Arc<dyn ObjectFile>, ObjectError> {
        self.objects.object(name, input)
    }

    /// The archive that `input`, the file at `path`, holds. `name` is for messages.
    ///
    /// # Errors
    /// When the bytes are no archive.
    pub fn archive(
        &self,
        name: impl Into<String>,
        path: &Path,
        input: Arc<dyn InputBytes>,
    ) -> Result<Archive, ObjectError> {
        let directory = path.parent().unwrap_or(Path::new(""));
        let opener = self.files.opener.clone();
        let archive = Archive::with_opener(name, input, &self.objects, directory, opener)?;
        let watch = self.files.watch.as_ref().and_then(|watch| watch(path));
        Ok(match watch {
            Some(watch) => archive.watched(watch),
            None => archive,
        })
    }
}
