//! Assignments in order: which one gives a symbol its value, and what kind of value that is.

use std::collections::HashMap;

use jit_core::graph::ComputedRange;
use jit_core::object::ObjectError;

use crate::platform::linker_defined;
use orc_inputs::linker_script::{Assignment, Binary, Expression, Role, Unary, Use};

/// Sources that the object's name consists of; the rest are counted.
const SOURCES_MAX: usize = 3;
/// How far names of names and values of values are followed to find out what kind of value one is.
const LOOKED_AT_MAX: u32 = 100;

/// Assignments in order, and who defines what.
pub(super) struct Steps {
    pub(super) all: Vec<Assignment>,
    /// Per symbol: its assignments, in order.
    of_names: HashMap<String, Vec<usize>>,
}

impl Steps {
    pub(super) fn new(all: Vec<Assignment>) -> Result<Self, ObjectError> {
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
    pub(super) fn step_of(&self, name: &str, at: usize) -> Option<usize> {
        let steps = self.of_names.get(name)?;
        let before = steps.partition_point(|step| *step < at);
        match before.checked_sub(1) {
            Some(last) => Some(steps[last]),
            None => steps.last().copied(),
        }
    }

    /// The last assignments of all symbols, in order.
    pub(super) fn last(&self) -> Vec<usize> {
        let mut last: Vec<usize> = self
            .of_names
            .values()
            .filter_map(|s| s.last().copied())
            .collect();
        last.sort_unstable();
        last
    }

    /// The symbol outside that a step is another name for.
    pub(super) fn other_name(&self, mut at: usize) -> Option<&str> {
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

    pub(super) fn aliases(&self) -> Vec<(String, String)> {
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
    pub(super) fn sources(&self) -> String {
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

impl Steps {
    /// What is known of a value before anything has an address.
    pub(super) fn range(
        &self,
        value: &Expression,
        at: usize,
        looked_at: &mut u32,
    ) -> ComputedRange {
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
