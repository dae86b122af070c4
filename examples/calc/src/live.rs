//! Chapter 4: functions get new bodies while they are called.

use std::collections::HashMap;
use std::sync::Arc;

use orc_jit::{
    Dylib, Function as Handle, Jit, ObjectFile, ObjectReader, ReplaceOptions, TierCompiler, Tiered,
    Tracker,
};

use crate::compile::{Compiler, symbol};
use crate::here::{Failure, offer};
use crate::syntax::Function;

/// A calculator whose functions can be defined again.
pub struct Live {
    jit: Jit,
    app: Dylib,
    compiler: Compiler,
    parts: HashMap<String, Tracker>,
}

impl Live {
    /// A calculator that knows no functions but the library's and the host's.
    ///
    /// # Errors
    /// When the JIT does not start, or there is no compiler for this CPU.
    pub fn new() -> Result<Self, Failure> {
        let jit = Jit::new()?;
        let app = jit.dylib("calc")?;
        offer(&app)?;
        app.allow_replacement();
        Ok(Self {
            jit,
            app,
            compiler: Compiler::new(true)?,
            parts: HashMap::new(),
        })
    }

    /// Adds a function, or puts a new body in the place of the one that is there. Threads may call it meanwhile:
    /// a call runs the old body or the new one.
    ///
    /// # Errors
    /// When it calls what is not defined; the old body stays then.
    pub fn define(&mut self, function: &Function) -> Result<(), Failure> {
        let name = symbol(&function.name, function.parameters.len());
        let object = self.compiler.function(function)?.object;
        let Some(part) = self.parts.get(&name) else {
            let part = self.app.tracker();
            part.add_object_bytes(&name, object)?;
            self.parts.insert(name, part);
            return Ok(());
        };
        let object = self.jit.objects().read(&name, object)?;
        // SAFETY: the name says how many numbers the function takes, so all bodies have one type.
        // The old body stays in memory, as threads may be in it.
        let _old = unsafe { part.replace(&[object], ReplaceOptions::default()) }?;
        Ok(())
    }

    /// A function of one number, to be called from any thread.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn function(&self, name: &str) -> Result<Handle<extern "C" fn(f64) -> f64>, Failure> {
        // SAFETY: the name says that it takes one number.
        Ok(unsafe { self.app.function(&symbol(name, 1)) }?)
    }

    /// Adds a function that is compiled quickly, and compiled again, better, once it was called often.
    ///
    /// # Errors
    /// When there is one of this name and number of parameters.
    pub fn define_in_tiers(&self, function: &Function) -> Result<Tiered, Failure> {
        let tiers = Tiers {
            function: function.clone(),
            quick: Compiler::new(false)?,
            good: self.compiler.clone(),
            objects: self.jit.objects(),
        };
        // SAFETY: both versions have one type, and no variables that they share.
        Ok(unsafe { self.app.add_tiered(Arc::new(tiers)) }?)
    }
}

/// Calls after which a function is worth a better version.
pub const OFTEN: u64 = 1000;

/// A function in two versions: one that counts its calls, and one that is optimized.
struct Tiers {
    function: Function,
    quick: Compiler,
    good: Compiler,
    objects: ObjectReader,
}

impl TierCompiler for Tiers {
    fn name(&self) -> String {
        format!("the function {}", self.function.name)
    }

    fn compile(&self, unit: u64, version: u32) -> Result<Option<Vec<Arc<dyn ObjectFile>>>, String> {
        let compiled = match version {
            0 => self.quick.counting(&self.function, unit, version, OFTEN)?,
            1 => self.good.function(&self.function)?,
            _ => return Ok(None),
        };
        let object = self.objects.read(&self.function.name, compiled.object);
        Ok(Some(vec![object.map_err(|error| error.to_string())?]))
    }
}
