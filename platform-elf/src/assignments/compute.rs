//! The values, once what they depend on has addresses.

use jit_core::object::{Computation, ComputationInput};

use super::object::AssignedObject;
use crate::platform::{end_of_section, start_of_section};
use orc_inputs::linker_script::{Use, Values};

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
