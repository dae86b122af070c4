//! The process's own libraries: which are loaded, opening more, binding names to them.

mod dynamic;
#[cfg(feature = "llvm")]
mod handle;
mod image;
mod imports;
mod loaded;
pub(crate) mod probe;
pub(crate) mod relocation_kind;
mod relro;
mod scope;
pub(crate) mod tables;

pub use image::ImageError;
pub use imports::{NativeError, bind_imports, open_library};
pub use loaded::loaded_libraries;

pub(crate) use super::elf::{PT_TLS, Rela};
pub(crate) use dynamic::Dynamic;
#[cfg(feature = "llvm")]
pub(crate) use handle::LibraryHandle;
pub(crate) use image::{Binding, HookWords, Image, ImageSpec, LoaderError, OpenImage};
pub(crate) use imports::lookup;
pub(crate) use loaded::{LoadedObject, loaded_objects};
pub(crate) use relro::{is_protected, with_writable};
pub(crate) use scope::Scope;
