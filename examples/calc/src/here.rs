//! Chapters 1 and 2: expressions and functions, compiled and run in this process.

use orc_jit::{Dylib, Jit};

use crate::compile::{Compiler, SHOW, symbol};
use crate::syntax::{Expr, Function};

/// What may go wrong: each layer says it in words.
pub type Failure = Box<dyn std::error::Error>;

/// The calculator of the first two chapters.
pub struct Here {
    app: Dylib,
    compiler: Compiler,
}

impl Here {
    /// A calculator that knows no functions but the library's and the host's.
    ///
    /// # Errors
    /// When the JIT does not start, or there is no compiler for this CPU.
    pub fn new(optimize: bool) -> Result<Self, Failure> {
        let app = Jit::new()?.dylib("calc")?;
        offer(&app)?;
        let compiler = Compiler::new(optimize)?;
        Ok(Self { app, compiler })
    }

    /// The value of an expression.
    ///
    /// # Errors
    /// When it calls what is not defined.
    pub fn evaluate(&self, expression: &Expr) -> Result<f64, Failure> {
        let compiled = self.compiler.expression("answer", expression)?;
        value_of(&self.app, compiled.object)
    }

    /// Adds a function.
    ///
    /// # Errors
    /// When there is one of this name and number of parameters.
    pub fn define(&self, function: &Function) -> Result<(), Failure> {
        let compiled = self.compiler.function(function)?;
        let name = symbol(&function.name, function.parameters.len());
        Ok(self.app.add_object_bytes(&name, compiled.object)?)
    }
}

/// Links an object with a function `answer`, calls it, and removes it.
pub(crate) fn value_of(app: &Dylib, object: Vec<u8>) -> Result<f64, Failure> {
    let line = app.tracker();
    line.add_object_bytes("the line", object)?;
    // SAFETY: the compiler gives `answer` this type, and the language has nothing that is not safe to run.
    let answer = unsafe { app.function::<extern "C" fn() -> f64>("answer") };
    let value = answer.map(|it| it.call());
    line.remove()?;
    Ok(value?)
}

/// What programs find without defining it: C's mathematics, and `show`.
pub(crate) fn offer(app: &Dylib) -> Result<(), Failure> {
    app.add_library("m")?;
    let show = show as extern "C" fn(f64) -> f64;
    // SAFETY: compiled code calls a function of one number as this type.
    unsafe { app.define_function(SHOW.2, show) }?;
    Ok(())
}

/// The host's function: prints a number, and returns it.
extern "C" fn show(number: f64) -> f64 {
    println!("{number}");
    number
}
