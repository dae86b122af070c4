//! Runs relocatable objects and static archives without a link step.
//!
//! A [`Jit`] has [`Dylib`]s. Objects, archives, libraries and your own materializers are added to a
//! dylib; a lookup links what it needs into this process and gives a [`Function`] that keeps its code
//! alive. Static initializers, thread-locals, C++ exceptions and exit handlers work as in a linked
//! program.
//!
//! ```
//! use orc_jit::Jit;
//!
//! # fn compile(source: &str) -> Vec<u8> {
//! #     let dir = std::env::temp_dir().join(format!("orc-jit-doc-{}", std::process::id()));
//! #     std::fs::create_dir_all(&dir).unwrap();
//! #     std::fs::write(dir.join("a.c"), source).unwrap();
//! #     let mut cc = std::process::Command::new("cc");
//! #     assert!(cc.current_dir(&dir).args(["-O1", "-c", "a.c"]).status().unwrap().success());
//! #     std::fs::read(dir.join("a.o")).unwrap()
//! # }
//! # fn main() -> Result<(), orc_jit::Error> {
//! let jit = Jit::new()?;
//! let app = jit.dylib("app")?;
//!
//! // An object from memory, and a call of one of its functions.
//! let first = app.tracker();
//! first.add_object_bytes("first.o", compile("int add(int a, int b) { return a + b; }"))?;
//! // SAFETY: `add` takes two `int`s and returns one.
//! let add = unsafe { app.function::<extern "C" fn(i32, i32) -> i32>("add") }?;
//! assert_eq!(add.call(2, 3), 5);
//!
//! // Removed, and replaced by another. The handle keeps the old code until it is dropped.
//! first.remove()?;
//! app.add_object_bytes("second.o", compile("int add(int a, int b) { return a + b + 1; }"))?;
//! // SAFETY: as above.
//! let add_one_more = unsafe { app.function::<extern "C" fn(i32, i32) -> i32>("add") }?;
//! assert_eq!((add.call(2, 3), add_one_more.call(2, 3)), (5, 6));
//! # Ok(())
//! # }
//! ```
//!
//! A [`Materializer`] of yours produces symbols when they are first needed: it compiles an object,
//! say, and hands it over.
//!
//! ```
//! use std::sync::Arc;
//! use orc_jit::{Jit, Materializer, ObjectReader, Responsibility};
//!
//! struct Compiler {
//!     objects: ObjectReader,
//! }
//!
//! impl Materializer for Compiler {
//!     fn name(&self) -> String {
//!         "my compiler".to_owned()
//!     }
//!
//!     fn materialize(&self, responsibility: Responsibility) {
//!         let bytes = compile("int answer(void) { return 42; }");
//!         match self.objects.read("answer.o", bytes) {
//!             Ok(object) => responsibility.link(object),
//!             Err(error) => eprintln!("{error}"),
//!         }
//!     }
//! }
//!
//! # fn compile(source: &str) -> Vec<u8> {
//! #     let dir = std::env::temp_dir().join(format!("orc-jit-doc2-{}", std::process::id()));
//! #     std::fs::create_dir_all(&dir).unwrap();
//! #     std::fs::write(dir.join("a.c"), source).unwrap();
//! #     let mut cc = std::process::Command::new("cc");
//! #     assert!(cc.current_dir(&dir).args(["-O1", "-c", "a.c"]).status().unwrap().success());
//! #     std::fs::read(dir.join("a.o")).unwrap()
//! # }
//! # fn main() -> Result<(), orc_jit::Error> {
//! let jit = Jit::new()?;
//! let app = jit.dylib("app")?;
//! app.define(Arc::new(Compiler { objects: jit.objects() }), &["answer"])?;
//! // SAFETY: `answer` takes nothing and returns an `int`.
//! let answer = unsafe { app.function::<extern "C" fn() -> i32>("answer") }?;
//! assert_eq!(answer.call(), 42);
//! # Ok(())
//! # }
//! ```

mod assignments;
mod crash;
mod defaults;
mod dylib;
mod error;
mod executor;
mod executor_file;
mod function;
mod jit;
mod lazy_object;
mod lazy_program;
mod loaded_libraries;
mod lookup;
pub mod mapped;
mod needed;
mod object_reader;
mod platform;
mod program;
mod replace;
mod stubs;
mod symbolize;
mod targets;
mod tiers;

pub use defaults::default_libraries;
pub use dylib::{Dylib, Tracker, WeakDylib};
pub use error::Error;
pub use executor::{Executor, ExecutorOptions, become_executor};
pub use function::{Function, FunctionPointer};
pub use jit::{Builder, Jit, WeakJit};
pub use jit_core::executor::Disconnect;
pub use jit_core::object::ObjectFile;
pub use jit_core::session::{
    Generator, Materializer, Removal, ReplaceOptions, Replaced, Responsibility, Speculation,
    Symbol, Wanted,
};
pub use jit_core::symbolize::{Image, Location, SourceFrame, SymbolPlace, Symbolizer};
pub use needed::LoadWhen;
pub use object_reader::{Files, ObjectReader, Watch};
pub use orc_shared::ExecutorAddr;
pub use orc_shared::remote::services::CrashReport;
pub use platform::{AddPasses, formats};
pub use program::{Entry, Program, ProgramInput, ProgramSettings, Undefined};
pub use tiers::{TierCompiler, Tiered};
