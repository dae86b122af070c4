//! Mach-O objects, archives and dylibs, and the Mach-O platform, for `jit-core`.
//!
//! A platform crate answers a fixed list of questions, each in the module of the same name as its ELF twin, so
//! that whoever knows one crate finds their way in the other. What both would do alike is in `orc-inputs`:
//! where bytes come from, archives, lists of symbols, the search for libraries, DWARF.
//!
//! Objects for x86-64 are linked, and run in processes of Linux ([`platform::Host`]). Those for arm64 are read in the same
//! way. Questions whose module is not there are not answered yet.
//!
//! | Module | Question | Mach-O's answer |
//! |---|---|---|
//! | `archive` | Which member defines a name? | the same archives, with the BSD index (`__.SYMDEF`) |
//! | `assignments` | Which symbols does a command line define? | `-alias`, `-U`: names, and no values |
//! | `debug_info` | Which line of source is at an address? | DWARF in `__DWARF`, which relocations are applied to |
//! | `eh_frame` | How is code unwound? | frames in DWARF's form: `__eh_frame`, and what is made of `__LD,__compact_unwind` |
//! | `format` | What is a file, and which of these modules reads it? | `MH_OBJECT`, also in universal files; what is linked already is refused by what it is |
//! | `machine` | Which edge kind is a relocation? | x86-64: pairs (`SUBTRACTOR`, `UNSIGNED`), `SIGNED_1`, `GOT_LOAD`, `TLV`; arm64: `ADDEND`, `PAGE21`, `PAGEOFF12`, which its instruction tells the meaning of |
//! | `native_code` | What did the loader put at an address? | the images of `dyld`, their `LC_SYMTAB` and dSYMs |
//! | `object` | What graph is an object? | atoms between symbols (`MH_SUBSECTIONS_VIA_SYMBOLS`), sections by type |
//! | `platform` | What does the platform add to links, and to the life of a dylib? | the names of the process that programs run in |
//! | `shared_library` | What does a library define? | its export trie, or a text-based stub (`.tbd`) |
//! | `symbol_at` | Which symbol has a byte? | the last before it: sizes are not told |
#![forbid(unsafe_code)]

mod eh_frame;
pub mod format;
mod machine;
pub mod object;
pub mod platform;
mod shared_library;
mod symbol_at;
#[cfg(test)]
mod test_object;
