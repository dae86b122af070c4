//! Leading several stubs to other code at once.

use std::collections::HashMap;
use std::sync::Arc;

use orc_shared::ExecutorAddr;

use super::set::{Behind, Bound, StubSet, StubState};
use crate::executor::{ExecutorControl, ExecutorError, ExecutorResult};
use crate::ids::TrackerId;

/// A stub that is led elsewhere.
pub(crate) struct Redirection {
    pub(crate) set: Arc<StubSet>,
    pub(crate) index: u32,
    /// Code, or a name that is looked up at the next call.
    pub(crate) behind: Behind,
}

impl Redirection {
    /// What leads to which code, if that is known.
    pub(crate) fn led(&self) -> Option<(TrackerId, Bound)> {
        Some((self.set.tracker, self.behind.code()?))
    }
}

/// A pointer, and what it is to lead to.
type Write = (ExecutorAddr, ExecutorAddr);

/// Leads stubs to other code, all in one step: whoever has entered new code gets into no old one through
/// them. `change` runs while calls through them wait. Returns the code that they led to.
///
/// # Errors
/// That of `change`, or of the executor: the stubs lead to where they did before, as far as there is an
/// executor that can be told so.
pub(crate) fn redirect<E: From<ExecutorError>>(
    redirections: &[Redirection],
    executor: &dyn ExecutorControl,
    change: impl FnOnce() -> Result<(), E>,
) -> Result<Vec<(TrackerId, Bound)>, E> {
    // In one order, whoever else does the same.
    let mut sets: Vec<&Arc<StubSet>> = redirections.iter().map(|it| &it.set).collect();
    sets.sort_by_key(|set| Arc::as_ptr(set));
    sets.dedup_by_key(|set| Arc::as_ptr(set));
    let position: HashMap<*const StubSet, usize> = sets
        .iter()
        .enumerate()
        .map(|(at, set)| (Arc::as_ptr(set), at))
        .collect();
    let mut states: Vec<_> = sets.iter().map(|set| set.lock()).collect();
    let (mut back, mut on, mut undo) = (Vec::new(), Vec::new(), Vec::new());
    for redirection in redirections {
        let state: &StubState = &states[position[&Arc::as_ptr(&redirection.set)]];
        let index = redirection.index;
        let trampoline = state.trampoline(&redirection.set, index);
        if let Some((place, trampoline)) = state.pointer(index).zip(trampoline) {
            back.push((place, trampoline));
            let next = redirection.behind.code();
            on.push((place, next.map_or(trampoline, |code| code.addr)));
            let before = state.code(index).map_or(trampoline, |code| code.addr);
            undo.push((place, before));
        }
    }
    let outcome = write_both(executor, &back, &on, change);
    if let Err(error) = outcome {
        // An executor that is gone has nobody left to call through them.
        let _ = write(executor, &undo);
        return Err(error);
    }
    let mut old = Vec::new();
    for redirection in redirections {
        let state = &mut states[position[&Arc::as_ptr(&redirection.set)]];
        let code = state.code(redirection.index);
        old.extend(code.map(|code| (redirection.set.tracker, code)));
        state.set(redirection.index, redirection.behind);
    }
    Ok(old)
}

fn write_both<E: From<ExecutorError>>(
    executor: &dyn ExecutorControl,
    back: &[Write],
    on: &[Write],
    change: impl FnOnce() -> Result<(), E>,
) -> Result<(), E> {
    if on.len() > 1 {
        write(executor, back)?;
    }
    change()?;
    Ok(write(executor, on)?)
}

fn write(executor: &dyn ExecutorControl, pointers: &[Write]) -> ExecutorResult<()> {
    match pointers.is_empty() {
        true => Ok(()),
        false => executor.write_pointers(pointers),
    }
}
