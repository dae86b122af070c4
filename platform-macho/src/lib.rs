//! Mach-O objects, archives and dylibs, and the Mach-O platform, for `jit-core`.
//!
//! Nothing is implemented yet. This page is the shape that the implementation takes: a platform
//! crate answers a fixed list of questions, each in the module of the same name as its ELF twin, so
//! that whoever knows one crate finds their way in the other. What both would do alike is in `orc-inputs`:
//! where bytes come from, archives, lists of symbols, the search for libraries, DWARF.
//!
//! | Module | Question | Mach-O's answer |
//! |---|---|---|
//! | `archive` | Which member defines a name? | the same archives, with the BSD index (`__.SYMDEF`), and universal files around them |
//! | `assignments` | Which symbols does a command line define? | `-alias`, `-U`: names, and no values |
//! | `debug_info` | Which line of source is at an address? | DWARF in `__DWARF`, which relocations are applied to |
//! | `eh_frame` | How is code unwound? | `__unwind_info` made from `__LD,__compact_unwind`, and `__eh_frame` for what that cannot say |
//! | `format` | What is a file, and which of these modules reads it? | `MH_OBJECT`, `MH_DYLIB`; `libNAME.tbd` and `libNAME.dylib` for `-l` |
//! | `machine` | Which edge kind is a relocation? | x86-64: scattered pairs (`SUBTRACTOR`, `UNSIGNED`), `GOT_LOAD`, `TLV`; arm64: `ADDEND`, `PAGE21`, `PAGEOFF12`, authenticated pointers |
//! | `native_code` | What did the loader put at an address? | the images of `dyld`, their `LC_SYMTAB` and dSYMs |
//! | `object` | What graph is an object? | atoms between symbols (`MH_SUBSECTIONS_VIA_SYMBOLS`), sections by type |
//! | `platform` | What does the platform add to links, and to the life of a dylib? | a Mach header, `__mod_init_func`, `__thread_vars`, Objective-C and Swift sections |
//! | `shared_library` | What does a library define? | its export trie, or a text-based stub (`.tbd`) |
//! | `symbol_at` | Which symbol has a byte? | the last before it: sizes are not told |
#![forbid(unsafe_code)]
