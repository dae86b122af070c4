//! Stubs: functions whose code comes later, or is replaced.
//!
//! A *stub* is one indirect jump through a *pointer* in data. Everything that refers to the function
//! refers to its stub: calls, and whoever takes its address, so that the address is one and the same
//! everywhere and for ever. The pointer is the only thing that is written after a link.
//!
//! ```text
//!            stub                pointer             trampoline              the runtime
//!  call f ─▶ jmp *p ─────▶ p ─┬─ at first ─▶ call __orc_rt_reenter ─▶ asks the session, and goes on
//!                             │                                       at the body that it names
//!                             └─ then ─────▶ body of f
//! ```
//!
//! At first each pointer leads to a *trampoline*, a call of the runtime's `__orc_rt_reenter`, which knows by
//! the return address which function is meant. It saves every register that may hold an argument and asks
//! the session ([`crate::session::Session::resolve_lazy_call`]). The session links the body, writes the pointer, and answers
//! with the body's address, where the call goes on as if nothing had happened. Any number of threads may
//! do so at a time; the body is linked once, as any lookup would. Trampolines stay: a thread that has read
//! the pointer earlier may arrive at any time.
//!
//! Replacing several functions at once must not be seen half done. So their pointers are first all led back
//! to the trampolines, then to the new bodies. Meanwhile a thread that calls one of them waits in the
//! session: whoever has entered a new body cannot get into an old one any more through these stubs.
//!
//! Stubs, trampolines and pointers of functions that are added together are one object
//! ([`object::StubsObject`]), with a block each and one of frames for unwinders, linked like any other: near its callers, with the
//! memory given back as other objects' is.

mod describe;
mod frames;
#[cfg(all(test, feature = "models"))]
mod models;
pub mod object;
mod redirect;
mod registry;
mod set;

pub(crate) use redirect::{Redirection, redirect};
pub(crate) use registry::LazyCalls;
pub use set::StubSet;
pub(crate) use set::{Behind, Bound, Resolved};
