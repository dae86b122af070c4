//! Symbols that linker scripts and `--defsym` define: an object without content, whose symbols are
//! computed.
//!
//! Assignments hold in order, as in GNU ld: one that is made again replaces the former, and what
//! stands in between sees the former. A symbol that only a later one defines has that value. What is
//! only another name for a symbol stays one, with its type.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jit_core::arch::x86_64::Kind;
use jit_core::graph::{
    Block, BlockId, ComputedRange, Content, DescribeGraph, Edge, InputBytes, LinkGraph, Section,
    SectionId, SectionKind, Symbol, SymbolId, Target,
};
use jit_core::name::{NameId, NameTable};
use jit_core::object::{
    Claims, Computation, ComputationInput, Definition, Linkage, ObjectError, ObjectFile,
    ObjectInterface, Reference, Scope, SymbolKind,
};
use orc_shared::ExecutorAddr;

use crate::linker_script::{Assignment, Binary, Expression, Role, Unary, Use, Values};
use crate::object::WrappedNames;
use crate::platform::{end_of_section, linker_defined, start_of_section};

/// Sources that the object's name consists of; the rest are counted.
const SOURCES_MAX: usize = 3;
/// How far names of names and values of values are followed to find out what kind of value one is.
const LOOKED_AT_MAX: u32 = 100;

/// What assignments come to.
#[derive(Default)]
pub struct Assigned {
    /// The object that defines the symbols and makes the assertions, and needs what they depend on.
    pub object: Option<Arc<dyn ObjectFile>>,
    /// Symbols that are other names of symbols: the new name, and the other.
    pub aliases: Vec<(NameId, NameId)>,
    /// Symbols to define if nothing else does: [`provided`] has their objects.
    pub provided: Vec<Assignment>,
}

/// Sorts assignments and makes the object. What they refer to is wrapped, as are references of
/// objects.
///
/// # Errors
/// When a symbol is defined by itself.
pub fn assign(
    assignments: Vec<Assignment>,
    names: &NameTable,
    wrapped: &WrappedNames,
) -> Result<Assigned, ObjectError> {
    let (provided, steps): (Vec<_>, Vec<_>) = assignments
        .into_iter()
        .partition(|assignment| matches!(assignment.role, Role::Provide { .. }));
    if steps.is_empty() {
        return Ok(Assigned {
            provided,
            ..Assigned::default()
        });
    }
    let steps = Steps::new(steps)?;
    let aliases = steps.aliases();
    let object = AssignedObject::new(steps, &aliases, names, wrapped);
    let intern = |name: &String| names.intern(name.as_bytes());
    let alias = |(alias, name): &(String, String)| (intern(alias), wrapped.meaning(intern(name)));
    Ok(Assigned {
        object: Some(Arc::new(object)),
        aliases: aliases.iter().map(alias).collect(),
        provided,
    })
}

/// The object of a symbol that is defined because nothing else does.
///
/// # Errors
/// As for [`assign`].
pub fn provided(
    assignment: &Assignment,
    names: &NameTable,
    wrapped: &WrappedNames,
) -> Result<Arc<dyn ObjectFile>, ObjectError> {
    let steps = Steps::new(vec![assignment.clone()])?;
    Ok(Arc::new(AssignedObject::new(steps, &[], names, wrapped)))
}

/// Assignments in order, and who defines what.
struct Steps {
    all: Vec<Assignment>,
    /// Per symbol: its assignments, in order.
    of_names: HashMap<String, Vec<usize>>,
}

impl Steps {
    fn new(all: Vec<Assignment>) -> Result<Self, ObjectError> {
        let mut of_names: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, step) in all.iter().enumerate() {
            if let Some(name) = step.name() {
                of_names.entry(name.to_owned()).or_default().push(at);
            }
        }
        let steps = Self { all, of_names };
        for (at, step) in steps.all.iter().enumerate() {
            let mut own = false;
            step.value.for_each_symbol(true, &mut |used, _| {
                own |= matches!(used, Use::Symbol(name) if steps.step_of(name, at) == Some(at));
            });
            if own {
                return Err(ObjectError {
                    object: step.source.clone(),
                    message: format!(
                        "{} is defined by itself, and only an assignment before this one could \
                         give it a value",
                        step.name().unwrap_or_default()
                    ),
                });
            }
        }
        Ok(steps)
    }

    /// The assignment that gives a symbol its value for the one at `at`.
    fn step_of(&self, name: &str, at: usize) -> Option<usize> {
        let steps = self.of_names.get(name)?;
        let before = steps.partition_point(|step| *step < at);
        match before.checked_sub(1) {
            Some(last) => Some(steps[last]),
            None => steps.last().copied(),
        }
    }

    /// The last assignments of all symbols, in order.
    fn last(&self) -> Vec<usize> {
        let mut last: Vec<usize> = self
            .of_names
            .values()
            .filter_map(|s| s.last().copied())
            .collect();
        last.sort_unstable();
        last
    }

    /// The symbol outside that a step is another name for.
    fn other_name(&self, mut at: usize) -> Option<&str> {
        for _ in 0..LOOKED_AT_MAX {
            let Expression::Symbol(name) = &self.all[at].value else {
                return None;
            };
            match self.step_of(name, at) {
                Some(step) => at = step,
                None if linker_defined(name.as_bytes()).is_some() => return None,
                None => return Some(name),
            }
        }
        None
    }

    fn aliases(&self) -> Vec<(String, String)> {
        let alias = |at: usize| {
            let other = self.other_name(at)?.to_owned();
            match &self.all[at].role {
                Role::Define {
                    name,
                    hidden: false,
                } => Some((name.clone(), other)),
                _ => None,
            }
        };
        self.last().into_iter().filter_map(alias).collect()
    }

    /// The names of the files and options.
    fn sources(&self) -> String {
        let mut sources: Vec<&str> = Vec::new();
        let mut more = 0;
        for step in &self.all {
            match sources.contains(&step.source.as_str()) {
                true => {}
                false if sources.len() < SOURCES_MAX => sources.push(&step.source),
                false => more += 1,
            }
        }
        let listed = sources.join(", ");
        match more {
            0 => listed,
            more => format!("{listed} and {more} further definitions"),
        }
    }
}

impl Assignment {
    /// Lets `name` be another name of `function`.
    #[must_use]
    pub fn other_name(name: &str, function: &str) -> Self {
        Self {
            role: Role::Define {
                name: name.to_owned(),
                hidden: false,
            },
            value: Expression::Symbol(function.to_owned()),
            source: format!("{name} = {function}"),
        }
    }

    /// The symbol that it defines.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.role {
            Role::Define { name, .. } | Role::Provide { name, .. } => Some(name),
            Role::Check => None,
        }
    }
}

/// The object of some assignments.
struct AssignedObject {
    name: String,
    steps: Steps,
    interface: ObjectInterface,
    /// Per definition: its step.
    defined: Vec<usize>,
    /// Names of all symbols: those that are defined, then those that are referred to.
    texts: Arc<Vec<String>>,
    /// The number of a symbol that is referred to.
    numbers: HashMap<String, u32>,
    symbols: Vec<Symbol>,
    output: NameId,
}

impl AssignedObject {
    fn new(
        steps: Steps,
        aliases: &[(String, String)],
        names: &NameTable,
        wrapped: &WrappedNames,
    ) -> Self {
        let mut object = Self {
            name: steps.sources(),
            interface: ObjectInterface::default(),
            defined: Vec::new(),
            texts: Arc::default(),
            numbers: HashMap::new(),
            symbols: Vec::new(),
            output: names.intern(b".rodata"),
            steps,
        };
        let mut texts = Vec::new();
        let aliases: HashSet<&str> = aliases.iter().map(|(alias, _)| alias.as_str()).collect();
        for at in object.steps.last() {
            object.define(at, &aliases, names, &mut texts);
        }
        object.refer(names, wrapped, &mut texts);
        object.texts = Arc::new(texts);
        object
    }

    fn define(
        &mut self,
        at: usize,
        aliases: &HashSet<&str>,
        names: &NameTable,
        texts: &mut Vec<String>,
    ) {
        let step = &self.steps.all[at];
        let (text, hidden, linkage) = match &step.role {
            Role::Define { name, hidden } => (name, *hidden, Linkage::Override),
            Role::Provide { name, hidden } => (name, *hidden, Linkage::Weak),
            Role::Check => return,
        };
        if aliases.contains(text.as_str()) {
            return;
        }
        let scope = if hidden {
            Scope::Hidden
        } else {
            Scope::Default
        };
        let name = names.intern(text.as_bytes());
        let symbol = self.symbols.len() as u32;
        self.interface.definitions.push(Definition {
            name,
            symbol,
            linkage,
            scope,
            kind: SymbolKind::None,
            size: 0,
            group: None,
        });
        let mut looked_at = 0;
        let range = self.steps.range(&step.value, at, &mut looked_at);
        self.symbols.push(Symbol {
            name: Some(name),
            target: Target::Computed {
                block: BlockId(0),
                range,
            },
            size: 0,
            scope,
            kind: SymbolKind::None,
            weak: false,
        });
        self.defined.push(at);
        texts.push(text.clone());
    }

    /// Notes what values depend on.
    fn refer(&mut self, names: &NameTable, wrapped: &WrappedNames, texts: &mut Vec<String>) {
        for (at, step) in self.steps.all.iter().enumerate() {
            step.value.for_each_symbol(true, &mut |used, needed| {
                let text = match used {
                    Use::Symbol(name) if self.steps.step_of(name, at).is_some() => return,
                    Use::Symbol(name) => name.to_owned(),
                    Use::SectionStart(name) => start_of_section(name),
                    Use::SectionEnd(name) => end_of_section(name),
                };
                let next = self.symbols.len() as u32;
                let number = *self.numbers.entry(text.clone()).or_insert(next);
                let name = wrapped.meaning(names.intern(text.as_bytes()));
                if number == next {
                    self.symbols.push(Symbol {
                        name: Some(name),
                        target: Target::External,
                        size: 0,
                        scope: Scope::Default,
                        kind: SymbolKind::None,
                        weak: !needed,
                    });
                    self.interface.references.push(Reference {
                        name,
                        weak: !needed,
                    });
                    texts.push(text);
                } else if needed {
                    let at = number as usize - self.defined.len();
                    self.interface.references[at].weak = false;
                    self.symbols[number as usize].weak = false;
                }
            });
        }
    }
}

impl Steps {
    /// What is known of a value before anything has an address.
    fn range(&self, value: &Expression, at: usize, looked_at: &mut u32) -> ComputedRange {
        use ComputedRange::{Any, Near, Small};
        *looked_at += 1;
        if *looked_at > LOOKED_AT_MAX {
            return Any;
        }
        let mut of = |value: &Expression| self.range(value, at, looked_at);
        match value {
            Expression::Number(number) => match i32::try_from(number.cast_signed()) {
                Ok(_) => Small,
                Err(_) => Any,
            },
            Expression::Defined(_) | Expression::Assert(..) => Small,
            Expression::SectionStart(_) | Expression::SectionEnd(_) => Near,
            Expression::Symbol(name) => match self.step_of(name, at) {
                Some(step) => self.range(&self.all[step].value, step, looked_at),
                None => Near,
            },
            Expression::Unary(Unary::Negate | Unary::Complement, operand) => match of(operand) {
                Small => Small,
                Near | Any => Any,
            },
            Expression::Unary(Unary::Not | Unary::Log2Ceil, _) => Small,
            Expression::Binary(operator, left, right) => {
                range_of_operator(*operator, of(left), of(right))
            }
            Expression::Conditional(parts) => match (of(&parts[1]), of(&parts[2])) {
                (one, other) if one == other => one,
                _ => Any,
            },
        }
    }
}

fn range_of_operator(operator: Binary, left: ComputedRange, right: ComputedRange) -> ComputedRange {
    use ComputedRange::{Any, Near, Small};
    match (operator, left, right) {
        (Binary::Add | Binary::Or | Binary::Xor, Near, Small)
        | (Binary::Add, Small, Near)
        | (Binary::Subtract | Binary::Align | Binary::And, Near, Small)
        | (Binary::Min | Binary::Max, Near, Near) => Near,
        (Binary::Subtract, Near, Near) => Small,
        (
            Binary::Equal
            | Binary::NotEqual
            | Binary::Less
            | Binary::Greater
            | Binary::LessOrEqual
            | Binary::GreaterOrEqual
            | Binary::AndThen
            | Binary::OrElse,
            ..,
        ) => Small,
        (Binary::Multiply | Binary::ShiftLeft | Binary::ShiftRight, Small, Small) => Any,
        (_, Small, Small) => Small,
        _ => Any,
    }
}

impl ObjectFile for AssignedObject {
    fn name(&self) -> &str {
        &self.name
    }

    fn interface(&self) -> &ObjectInterface {
        &self.interface
    }

    fn build_graph(&self, claims: &Claims) -> Result<LinkGraph, ObjectError> {
        let mut symbols = self.symbols.clone();
        for lost in &claims.lost_symbols {
            if let Some(symbol) = symbols.get_mut(*lost as usize) {
                symbol.target = Target::External;
            }
        }
        let edge = |symbol: usize| Edge {
            offset: 0,
            target: SymbolId(symbol as u32),
            addend: 0,
            kind: Kind::None.edge(),
        };
        let edges: Vec<Edge> = (self.defined.len()..symbols.len()).map(edge).collect();
        Ok(LinkGraph {
            name: self.name.clone(),
            input: Arc::new(NoInput),
            owned: Vec::new(),
            sections: vec![Section {
                output: self.output,
                kind: SectionKind::ReadOnly,
                order: 0,
                order_name: None,
                // What a value depends on stays in memory.
                retained: true,
                bounds_retained: false,
            }],
            blocks: vec![Block {
                section: SectionId(0),
                content: Content::Zero,
                size: 0,
                align: 1,
                edges: 0..edges.len() as u32,
                frames: 0..0,
                live: true,
                address: ExecutorAddr::NULL,
            }],
            symbols,
            edges,
            frames: Vec::new(),
            functions: Vec::new(),
            executable_stack: false,
            describe: Some(Arc::new(Names(self.texts.clone()))),
        })
    }

    fn computation(&self) -> Option<&dyn Computation> {
        Some(self)
    }
}

impl Computation for AssignedObject {
    fn compute(&self, input: &dyn Fn(u32) -> ComputationInput) -> Result<Vec<(u32, u64)>, String> {
        let mut run = Run {
            object: self,
            input,
            at: 0,
            running: vec![false; self.steps.all.len()],
            known: vec![None; self.steps.all.len()],
        };
        for at in 0..self.steps.all.len() {
            // Of a symbol that only has another name, nothing is computed unless something needs it.
            let is_alias = self.steps.other_name(at).is_some();
            if !is_alias {
                run.step(at)?;
            }
        }
        let values = self.defined.iter().enumerate();
        values
            .map(|(symbol, at)| Ok((symbol as u32, run.step(*at)?)))
            .collect()
    }
}

/// One computation.
struct Run<'a> {
    object: &'a AssignedObject,
    input: &'a dyn Fn(u32) -> ComputationInput,
    /// The step that is computed.
    at: usize,
    /// Per step: whether its value is being computed.
    running: Vec<bool>,
    known: Vec<Option<u64>>,
}

impl Run<'_> {
    /// The value of a step. What it depends on comes first, in a loop: a file can hold any number of
    /// definitions that follow from each other.
    fn step(&mut self, at: usize) -> Result<u64, String> {
        let mut stack = vec![(at, self.before(at))];
        self.running[at] = true;
        while let Some((at, before)) = stack.last_mut() {
            let at = *at;
            let step = &self.object.steps.all[at];
            match before.pop() {
                Some(next) if self.known[next].is_some() => {}
                Some(next) if self.running[next] => {
                    let name = step.name().unwrap_or("a value");
                    return Err(format!("{}: {name} depends on itself", step.source));
                }
                Some(next) => {
                    self.running[next] = true;
                    stack.push((next, self.before(next)));
                }
                None => {
                    self.at = at;
                    let value = step.value.evaluate(self);
                    let wrong = |problem| match self.object.name == step.source {
                        true => problem,
                        false => format!("{}: {problem}", step.source),
                    };
                    self.known[at] = Some(value.map_err(wrong)?);
                    self.running[at] = false;
                    stack.pop();
                }
            }
        }
        Ok(self.known[at].unwrap_or_default())
    }

    /// The steps without a value that a step depends on.
    fn before(&self, at: usize) -> Vec<usize> {
        let steps = &self.object.steps;
        let mut before = Vec::new();
        if self.known[at].is_some() {
            return before;
        }
        steps.all[at].value.for_each_symbol(true, &mut |used, _| {
            if let Use::Symbol(name) = used {
                let step = steps.step_of(name, at);
                before.extend(step.filter(|step| self.known[*step].is_none()));
            }
        });
        before
    }

    fn outside(&self, text: &str) -> ComputationInput {
        match self.object.numbers.get(text) {
            Some(number) => (self.input)(*number),
            None => ComputationInput::Undefined,
        }
    }
}

impl Values for Run<'_> {
    fn symbol(&mut self, name: &str) -> Result<u64, String> {
        if let Some(step) = self.object.steps.step_of(name, self.at) {
            let depends_on_itself = || format!("{name} depends on itself");
            return self.known[step].ok_or_else(depends_on_itself);
        }
        match self.outside(name) {
            ComputationInput::Known(value) => Ok(value),
            ComputationInput::Undefined => Err(format!("undefined symbol {name}")),
            ComputationInput::Unusable(why) => Err(format!("{name} has no usable value: {why}")),
        }
    }

    fn is_defined(&mut self, name: &str) -> bool {
        let steps = &self.object.steps;
        // One that is made later does not count, as in GNU ld.
        let earlier = |step: usize| step < self.at;
        steps.step_of(name, self.at).is_some_and(earlier)
            || self.outside(name) != ComputationInput::Undefined
    }

    fn section(&mut self, name: &str, end: bool) -> Result<u64, String> {
        let text = match end {
            true => end_of_section(name),
            false => start_of_section(name),
        };
        match self.outside(&text) {
            ComputationInput::Known(value) => Ok(value),
            _ => Err(format!("no object has a section {name}")),
        }
    }
}

/// Names of the object's symbols, for messages.
struct Names(Arc<Vec<String>>);

impl DescribeGraph for Names {
    fn block_section(&self, _: BlockId) -> String {
        "*ABS*".to_owned()
    }

    fn symbol(&self, symbol: SymbolId) -> String {
        self.0.get(symbol.0 as usize).cloned().unwrap_or_default()
    }
}

/// There is no file.
struct NoInput;

impl InputBytes for NoInput {
    fn bytes(&self) -> &[u8] {
        &[]
    }
}
