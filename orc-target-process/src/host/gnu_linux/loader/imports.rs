//! Opening libraries and binding names to them, now.

use std::ffi::{CStr, CString, c_void};

use orc_shared::api::{Import, ImportKind, ImportValue};

use super::image::last_loader_message;
use super::image::{Binding, Image, ImageError, ImageSpec, LoaderError, OpenImage};

/// Why a library was not opened or names could not be asked for.
#[derive(Debug, thiserror::Error)]
pub enum NativeError {
    /// The loader's own message.
    #[error("{0}")]
    Loader(String),
    /// A name that C strings cannot hold.
    #[error("name {0:?} contains a zero byte")]
    ZeroByte(String),
    /// The object that asks the loader for thread-locals could not be made.
    #[error("cannot ask the loader for thread-local variables: {0}")]
    Image(#[from] ImageError),
    /// The object could not be handed to the loader.
    #[error("cannot ask the loader for thread-local variables: {0}")]
    System(#[from] std::io::Error),
}

impl From<LoaderError> for NativeError {
    fn from(error: LoaderError) -> Self {
        match error {
            LoaderError::Loader(message) => Self::Loader(message),
            LoaderError::File(error) => Self::System(error),
        }
    }
}

/// Opens a library for the whole process, as `dlopen(path, RTLD_NOW | RTLD_GLOBAL)` does. It is
/// never closed: linked code refers to it.
///
/// # Errors
/// With the loader's message.
pub fn open_library(path: &str) -> Result<(), NativeError> {
    let path = c_string(path.as_bytes())?;
    // SAFETY: the caller asks for this library's constructors to run.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if handle.is_null() {
        return Err(NativeError::Loader(last_loader_message()));
    }
    Ok(())
}

/// Binds imports to what is loaded, in the loader's search order. `None` for what is not found.
/// Without a version a name means its default version, as for a linker.
///
/// # Errors
/// When a name cannot be asked for, or the loader cannot place a library's thread-locals (the
/// process's static TLS space is used up).
pub fn bind_imports(imports: &[Import]) -> Result<Vec<Option<ImportValue>>, NativeError> {
    let mut values = vec![None; imports.len()];
    let mut thread_locals = Vec::new();
    let mut places = Vec::new();
    for (place, import) in imports.iter().enumerate() {
        match import.kind {
            ImportKind::Address => values[place] = address_of(import)?,
            ImportKind::TlsModuleAndOffset | ImportKind::TpOffset => {
                // What is missing is no error here, which for the loader means weak. It finds
                // versions in any library, and would insist on having loaded the one it is told.
                thread_locals.push(Import {
                    weak: true,
                    version: None,
                    ..import.clone()
                });
                places.push(place);
            }
        }
    }
    if !thread_locals.is_empty() {
        for (place, value) in places.into_iter().zip(bind_thread_locals(&thread_locals)?) {
            values[place] = value;
        }
    }
    Ok(values)
}

/// Lets the loader relocate an object that consists of these imports.
fn bind_thread_locals(imports: &[Import]) -> Result<Vec<Option<ImportValue>>, NativeError> {
    let image = Image::new(&ImageSpec {
        imports,
        ..ImageSpec::default()
    })?;
    // SAFETY: the object holds data only and needs no library.
    let open = unsafe { OpenImage::open(&image.bytes, libc::RTLD_NOW | libc::RTLD_LOCAL) }?;
    let base = open.base()?;
    // SAFETY: the object is loaded there, with this import table.
    let values = unsafe { Image::import_values(base, image.import_table, imports) };
    open.close();
    Ok(values
        .into_iter()
        .map(|(value, binding)| (binding == Binding::Bound).then_some(value))
        .collect())
}

fn address_of(import: &Import) -> Result<Option<ImportValue>, NativeError> {
    let name = c_string(&import.name)?;
    let version = match &import.version {
        Some((version, _)) => Some(c_string(version)?),
        None => None,
    };
    Ok(lookup(&name, version.as_deref()).map(|value| ImportValue {
        value,
        tls_offset: 0,
    }))
}

/// The address of a name in the loader's search order.
pub(crate) fn lookup(name: &CStr, version: Option<&CStr>) -> Option<u64> {
    // A symbol's address may be zero, so only the message tells whether it was found.
    // SAFETY: C strings; `dlerror` forgets an earlier message.
    let (address, message): (*mut c_void, _) = unsafe {
        libc::dlerror();
        let address = match version {
            Some(version) => libc::dlvsym(libc::RTLD_DEFAULT, name.as_ptr(), version.as_ptr()),
            None => libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()),
        };
        (address, libc::dlerror())
    };
    message
        .is_null()
        .then(|| address.expose_provenance() as u64)
}

pub(super) fn c_string(bytes: &[u8]) -> Result<CString, NativeError> {
    CString::new(bytes).map_err(|_| NativeError::ZeroByte(orc_shared::printable_text(bytes)))
}
