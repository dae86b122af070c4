//! Chapter 5: the calculator of the REPL, which runs in this process or in another one.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use orc_jit::{Dylib, Error, Executor, Jit, ReplaceOptions, Tracker};

use crate::compile::{Compiler, LIBRARY, SHOW, symbol};
use crate::here::offer;
use crate::syntax::{Expr, Function, Statement, SyntaxError, parse};

/// Where calculations run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In this process, which they may end.
    Here,
    /// In a child process. When a calculation ends it, the next one has all functions again.
    Spawned,
}

/// Why a line has no answer.
#[derive(Debug)]
pub enum Failure {
    /// It is wrong, and where.
    Line(SyntaxError),
    /// Something else is.
    Other(String),
    /// The calculation has ended its process; there is a new one.
    Ended(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(error) => error.fmt(f),
            Self::Other(message) => f.write_str(message),
            Self::Ended(how) => {
                write!(f, "{how}\nA new process has all functions again.")
            }
        }
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Other(message)
    }
}

/// What became of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The value of an expression.
    Value(f64),
    /// A function is there: its name, and whether it is in the place of another one.
    Defined(String, bool),
}

/// How long a line took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// Cranelift's part.
    pub compile: Duration,
    /// Linking, and calling what was linked.
    pub run: Duration,
}

/// A calculator: a JIT, and what was defined in it.
pub struct Calculator {
    place: Place,
    compiler: Compiler,
    engine: Engine,
    functions: BTreeMap<String, Function>,
    /// Each definition by its symbol, with the one that it took the place of.
    history: Vec<(String, Option<Function>)>,
    times: Times,
}

/// Linked code. It is made anew when its process has ended.
struct Engine {
    jit: Jit,
    app: Dylib,
    parts: BTreeMap<String, Tracker>,
}

impl Engine {
    fn new(place: Place) -> Result<Self, Failure> {
        let executor = match place {
            Place::Here => Executor::in_process(),
            Place::Spawned => Executor::spawn()?,
        };
        let jit = Jit::builder().executor(executor).build()?;
        let app = jit.dylib("calc")?;
        app.allow_replacement();
        match place {
            Place::Here => offer(&app).map_err(|error| error.to_string())?,
            // The host's functions are in this process, and stay here.
            Place::Spawned => app.add_library("m")?,
        }
        let parts = BTreeMap::new();
        Ok(Self { jit, app, parts })
    }

    fn define(&mut self, name: &str, object: Vec<u8>) -> Result<(), Error> {
        if let Some(part) = self.parts.get(name) {
            let object = self.jit.objects().read(name, object)?;
            // SAFETY: the name says the type. Nothing runs between two lines, so the old code can go.
            unsafe {
                let replaced = part.replace(&[object], ReplaceOptions::default())?;
                replaced.retire()?;
            }
            return Ok(());
        }
        let part = self.app.tracker();
        part.add_object_bytes(name, object)?;
        // Linked now, so that what is missing is found now.
        if let Err(error) = self.app.symbol(name) {
            part.remove()?;
            return Err(error);
        }
        self.parts.insert(name.to_owned(), part);
        Ok(())
    }

    /// Calls the wrapper function `answer` of an object, wherever it is.
    fn evaluate(&self, object: Vec<u8>) -> Result<f64, Failure> {
        let line = self.app.tracker();
        line.add_object_bytes("the line", object)?;
        let answer = self.app.symbol("answer");
        // SAFETY: the compiler makes `answer` a wrapper function that reads no arguments.
        let bytes = answer.and_then(|it| unsafe { self.jit.call_wrapper(&it, &[]) });
        line.remove()?;
        let bytes: [u8; 8] = bytes?.try_into().map_err(|bytes: Vec<u8>| {
            Failure::Other(format!("the answer has {} bytes, not 8", bytes.len()))
        })?;
        Ok(f64::from_le_bytes(bytes))
    }
}

impl Calculator {
    /// A calculator that knows no functions but the library's.
    ///
    /// # Errors
    /// When the JIT or the other process does not start, or there is no compiler for this CPU.
    pub fn new(place: Place) -> Result<Self, Failure> {
        Ok(Self {
            place,
            compiler: Compiler::new(true)?,
            engine: Engine::new(place)?,
            functions: BTreeMap::new(),
            history: Vec::new(),
            times: Times::default(),
        })
    }

    /// Does what a line says.
    ///
    /// # Errors
    /// When the line is wrong, or its calculation ends its process. The calculator goes on.
    pub fn enter(&mut self, line: &str) -> Result<Answer, Failure> {
        match parse(line).map_err(Failure::Line)? {
            Statement::Define(function) => {
                let name = symbol(&function.name, function.parameters.len());
                if !name.starts_with("calc.") {
                    let message = format!("{} is a function of the library", function.name);
                    let before = line.chars().take_while(|it| it.is_whitespace());
                    let column = before.count();
                    return Err(Failure::Line(SyntaxError { column, message }));
                }
                self.check(&function.body, Some(&function))?;
                let old = self.functions.get(&name).cloned();
                let is_new_body = old.is_some();
                self.define(&name, &function)?;
                let signature = signature(&function);
                self.history.push((name, old));
                Ok(Answer::Defined(signature, is_new_body))
            }
            Statement::Evaluate(expression) => {
                self.check(&expression, None)?;
                Ok(Answer::Value(self.evaluate(&expression)?))
            }
        }
    }

    /// Names of calls are checked before anything is compiled: then the column is known.
    fn check(&self, expression: &Expr, defines: Option<&Function>) -> Result<(), Failure> {
        for call in expression.calls() {
            let (name, count) = (call.name.as_str(), call.arguments.len());
            let is_itself =
                defines.is_some_and(|it| it.name == name && it.parameters.len() == count);
            if is_itself || self.is_known(name, count) {
                continue;
            }
            let message = match self.counts(name).as_slice() {
                [] => format!("no function is called {name}"),
                counts => format!("{name} takes {}, not {count}", counts.join(" or ")),
            };
            let column = call.column;
            return Err(Failure::Line(SyntaxError { column, message }));
        }
        Ok(())
    }

    fn is_known(&self, name: &str, count: usize) -> bool {
        self.functions.contains_key(&symbol(name, count))
            || self.offered().any(|it| it == (name, count))
    }

    /// What programs find without defining it.
    fn offered(&self) -> impl Iterator<Item = (&'static str, usize)> + use<> {
        let show = (self.place == Place::Here).then_some((SHOW.0, SHOW.1));
        LIBRARY.iter().copied().chain(show)
    }

    /// How many arguments functions of this name take.
    fn counts(&self, name: &str) -> Vec<String> {
        let defined = self.functions.values();
        let defined = defined.map(|it| (it.name.as_str(), it.parameters.len()));
        let defined = defined.filter(|(it, _)| *it == name);
        let offered = self.offered().filter(|(it, _)| *it == name);
        let counts = defined.map(|(_, count)| count);
        let counts = counts.chain(offered.map(|(_, count)| count));
        counts.map(|count| count.to_string()).collect()
    }

    fn define(&mut self, name: &str, function: &Function) -> Result<(), Failure> {
        let begun = Instant::now();
        let object = self.compiler.function(function)?.object;
        let compiled = Instant::now();
        self.engine.define(name, object)?;
        self.note(begun, compiled);
        self.functions.insert(name.to_owned(), function.clone());
        Ok(())
    }

    fn evaluate(&mut self, expression: &Expr) -> Result<f64, Failure> {
        let begun = Instant::now();
        let object = self.compiler.wrapper("answer", expression)?.object;
        let compiled = Instant::now();
        let value = self.engine.evaluate(object);
        self.note(begun, compiled);
        if let Err(error) = &value
            && self.engine.jit.executor().lost().is_some()
        {
            self.begin_anew()?;
            return Err(Failure::Ended(error.to_string()));
        }
        value
    }

    /// A new process, with all functions.
    fn begin_anew(&mut self) -> Result<(), Failure> {
        self.engine = Engine::new(self.place)?;
        let mut objects = Vec::new();
        for (name, function) in &self.functions {
            let object = self.compiler.function(function)?.object;
            let part = self.engine.app.tracker();
            part.add_object_bytes(name, object)?;
            objects.push((name.clone(), part));
        }
        self.engine.parts = objects.into_iter().collect();
        Ok(())
    }

    fn note(&mut self, begun: Instant, compiled: Instant) {
        self.times = Times {
            compile: compiled - begun,
            run: compiled.elapsed(),
        };
    }

    /// How long the last line took.
    #[must_use]
    pub fn times(&self) -> Times {
        self.times
    }

    /// Takes the last definition back: what it took the place of is there again. Returns the function's
    /// name; `None` if there is no definition.
    ///
    /// # Errors
    /// When that cannot be linked.
    pub fn undo(&mut self) -> Result<Option<String>, Failure> {
        let Some((name, old)) = self.history.last().cloned() else {
            return Ok(None);
        };
        let last = self.functions.get(&name).map(signature);
        if let Some(old) = old {
            self.define(&name, &old)?;
        } else {
            self.functions.remove(&name);
            if let Some(part) = self.engine.parts.remove(&name) {
                part.remove()?;
            }
        }
        self.history.pop();
        Ok(last)
    }

    /// The instructions of all functions of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn assembly(&self, name: &str) -> Result<String, Failure> {
        let functions = self.functions.values().filter(|it| it.name == name);
        let mut text = String::new();
        for function in functions {
            let compiled = self.compiler.function(function)?;
            text += &format!("{}:\n{}", signature(function), compiled.assembly);
        }
        match text.is_empty() {
            true => Err(Failure::Other(format!("no function is called {name}"))),
            false => Ok(text),
        }
    }

    /// What is defined: `f(x, y)`.
    #[must_use]
    pub fn signatures(&self) -> Vec<String> {
        self.functions.values().map(signature).collect()
    }

    /// All names that an expression may call.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let defined = self.functions.values().map(|it| it.name.clone());
        let offered = self.offered().map(|(name, _)| name.to_owned());
        let mut names: Vec<String> = defined.chain(offered).collect();
        names.sort();
        names.dedup();
        names
    }
}

fn signature(function: &Function) -> String {
    format!("{}({})", function.name, function.parameters.join(", "))
}
