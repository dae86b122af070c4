//! Functions of macOS, for objects that were compiled for it and run under another C library.
//!
//! Most of what C and C++ programs call has the same name, arguments and layouts in both C libraries, and objects get
//! it as it is. What is here differs in something that programs notice: a layout, a number, an order of arguments.
//! Objects refer to these functions because their reader gives them the names in `orc_shared::names::darwin`;
//! `docs/macho.md` lists them all. In the runtime's archive they are a member of their own, which is linked when an
//! object needs one: sessions of ELF alone have none.
//!
//! Values of `errno` stay the system's.
#![cfg_attr(not(test), no_std)]

mod arch;
mod ctype;
mod directories;
mod files;
#[cfg(any(test, target_arch = "aarch64"))]
mod format;
mod locale;
mod misc;
#[cfg(all(feature = "archive", not(test)))]
mod panic;
mod signals;
mod strings;
mod system;
mod threads;
mod times;
mod variadic;
mod volumes;
mod zones;
