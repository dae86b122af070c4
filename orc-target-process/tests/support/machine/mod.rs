//! What tests have to know of the CPU that they run on. Each has a file with the same items.
#![allow(unused_imports)]

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub use aarch64::*;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;

/// A function of the C library that has two versions, the old one first.
pub struct Versioned {
    pub name: &'static std::ffi::CStr,
    pub versions: [&'static std::ffi::CStr; 2],
}

impl Versioned {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name.to_str().expect("plain text")
    }

    /// A request for one of its versions.
    pub fn import(&self, version: usize) -> orc_shared::api::Import {
        let version = self.versions[version].to_str().expect("plain text");
        super::versioned(self.name(), version, "libc.so.6")
    }

    /// The address of one of its versions, as the loader says.
    pub fn address(&self, version: usize) -> u64 {
        let version = self.versions[version].as_ptr();
        // SAFETY: C strings.
        unsafe { libc::dlvsym(libc::RTLD_DEFAULT, self.name.as_ptr(), version) as u64 }
    }
}
