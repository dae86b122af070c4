//! What the linker has to know of each CPU, one file (and folder) per CPU.
//!
//! Every CPU answers the same questions in the same order:
//! - which edge kinds there are, with their formulas (`x86_64.rs`);
//! - what a request becomes, given what is known of its target (`x86_64/lower.rs`);
//! - how thread-local accesses are rewritten (`x86_64/tls.rs`);
//! - which bytes a fixup writes (`x86_64/fixup.rs`);
//! - what stubs look like (`x86_64/stubs.rs`).

pub mod x86_64;
