//! What linkers are given, for all object formats: files and their bytes, archives, linker scripts, lists of
//! symbols, the search for libraries, the list of a process's mappings.
//!
//! Nothing here knows how an object of any format is built. The first bytes of a file say what it is
//! ([`file_kind`]), and whatever depends on a format is asked of it through one trait,
//! [`ObjectFormat`](format::ObjectFormat), which each platform crate implements. A session reads as many formats as its
//! [`Formats`](format::Formats) has.
#![forbid(unsafe_code)]

pub mod archive;
pub mod dwarf;
pub mod file_kind;
pub mod format;
pub mod input;
pub mod library_search;
pub mod linker_script;
pub mod name_budget;
pub mod process_map;
pub mod symbol_list;
pub mod wrapped;
