//! Thread-local storage in modules of its own, for when there is no room at fixed offsets.
//!
//! A module is what the loader makes of an object with a `PT_TLS` segment that does not insist on a fixed
//! offset: a number. Code asks `__tls_get_addr` for the calling thread's copy, which is made when a thread asks
//! first. So the template is filled while nobody can ask, and no thread has to be visited, neither
//! then nor when the module goes: the loader frees the threads' copies.
//!
//! Each block has its own object: copies cannot be made to start again.

use super::TlsError;
use super::object::{self, Asked};
use crate::host::arch::synthesized::R_DTPMOD;
use crate::host::loader::{OpenImage, tables};

/// A module of thread-local storage. Dropping it closes its object.
#[derive(Debug)]
pub(super) struct Module {
    object: Option<OpenImage>,
    /// Address of the template.
    template: u64,
    size: u64,
    /// The loader's number.
    pub number: u32,
}

impl Module {
    /// A module with `size` bytes aligned to `align`.
    ///
    /// # Errors
    /// With the loader's message.
    pub fn new(size: u64, align: u64) -> Result<Self, TlsError> {
        let asked = Asked {
            relocation: R_DTPMOD,
            fixed: false,
        };
        let failed = |error: &dyn std::fmt::Display| TlsError::NoModule(error.to_string());
        let bytes = object::image(size, align, asked).map_err(|error| failed(&error))?;
        // SAFETY: the object has no code; its one relocation is for a word of its own.
        let object = unsafe { OpenImage::open_unseen(&bytes, libc::RTLD_NOW | libc::RTLD_LOCAL) };
        let object = object.map_err(|error| failed(&error))?;
        let base = object.base().map_err(|error| failed(&error))?;
        // SAFETY: the object is loaded at `base`, and stays so.
        let [number]: [u64; 1] = unsafe { tables::read(base + object::RESULT) };
        let module = Self {
            object: Some(object),
            template: base + object::TEMPLATE,
            size,
            number: u32::try_from(number).unwrap_or(0),
        };
        // The two that `TlsPlace` cannot tell from fixed offsets.
        match module.number {
            0 | u32::MAX => Err(TlsError::NoModule(format!("its number is {number}"))),
            _ => Ok(module),
        }
    }

    /// Fills the template. No thread may have a copy yet.
    pub fn write(&self, bytes: &[u8]) {
        assert!(bytes.len() as u64 <= self.size, "the caller has looked");
        // SAFETY: the template is memory of the object, which is loaded and can be written to; nobody
        // else knows it, and the loader reads it when a thread asks for a copy.
        unsafe {
            std::ptr::with_exposed_provenance_mut::<u8>(self.template as usize)
                .copy_from(bytes.as_ptr(), bytes.len());
        }
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            object.close_unseen();
        }
    }
}
