//! Chapter 3: a function is compiled when it is first called.

use std::sync::{Arc, Mutex, PoisonError};

use orc_jit::{Dylib, Jit, Materializer, ObjectFile, ObjectReader, Responsibility};

use crate::compile::{Compiler, symbol};
use crate::here::{Failure, offer, value_of};
use crate::syntax::{Expr, Function};

/// A calculator that compiles what is called, and nothing else.
pub struct Lazy {
    app: Dylib,
    compiler: Compiler,
    objects: ObjectReader,
    compiled: Arc<Mutex<Vec<String>>>,
}

/// A function that waits for its first call.
struct Body {
    function: Function,
    compiler: Compiler,
    objects: ObjectReader,
    compiled: Arc<Mutex<Vec<String>>>,
}

impl Materializer for Body {
    fn name(&self) -> String {
        format!("the function {}", self.function.name)
    }

    fn materialize(&self, responsibility: Responsibility) {
        match self.compile() {
            Ok(object) => responsibility.link(object),
            // Dropping the responsibility fails what waits for it.
            Err(error) => eprintln!("{}: {error}", self.name()),
        }
    }
}

impl Body {
    fn compile(&self) -> Result<Arc<dyn ObjectFile>, Failure> {
        let compiled = self.compiler.function(&self.function)?;
        let mut list = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        list.push(self.function.name.clone());
        Ok(self.objects.read(&self.function.name, compiled.object)?)
    }
}

impl Lazy {
    /// A calculator that knows no functions but the library's and the host's.
    ///
    /// # Errors
    /// When the JIT does not start, or there is no compiler for this CPU.
    pub fn new() -> Result<Self, Failure> {
        let jit = Jit::new()?;
        let app = jit.dylib("calc")?;
        offer(&app)?;
        app.link_lazily();
        Ok(Self {
            app,
            compiler: Compiler::new(true)?,
            objects: jit.objects(),
            compiled: Arc::default(),
        })
    }

    /// Adds a function, which is not compiled now.
    ///
    /// # Errors
    /// When there is one of this name and number of parameters.
    pub fn define(&self, function: &Function) -> Result<(), Failure> {
        let name = symbol(&function.name, function.parameters.len());
        let body = Body {
            function: function.clone(),
            compiler: self.compiler.clone(),
            objects: self.objects.clone(),
            compiled: self.compiled.clone(),
        };
        Ok(self.app.define(Arc::new(body), &[&name])?)
    }

    /// The value of an expression.
    ///
    /// # Errors
    /// When it calls what is not defined.
    pub fn evaluate(&self, expression: &Expr) -> Result<f64, Failure> {
        let compiled = self.compiler.expression("answer", expression)?;
        value_of(&self.app, compiled.object)
    }

    /// The functions that were compiled, in order.
    #[must_use]
    pub fn compiled(&self) -> Vec<String> {
        let list = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        list.clone()
    }
}
