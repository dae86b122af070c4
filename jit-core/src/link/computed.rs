//! Symbols that objects compute from others: as soon as the batch's own symbols have addresses.
//!
//! What one object computes may depend on what another one does, so objects are visited depth first.

use orc_shared::ExecutorAddr;

use super::layout;
use super::state::{Bound, EXTERNAL, Link, OWN};
use crate::batch::Resolution;
use crate::error::LinkError;
use crate::graph::{SectionKind, SymbolId, Target};
use crate::object::{Computation, ComputationInput, ObjectError, SymbolKind};
use crate::platform::LinkerDefined;

/// Objects that wait for each other; each takes room on the stack.
const DEPTH_MAX: u32 = 500;

/// How far the computation of a part is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Waits,
    Runs,
    Done,
}

/// Fills the values of symbols that are computed.
pub(super) fn compute_values(link: &mut Link) -> Result<(), LinkError> {
    let computes = |part: &usize| link.batch.units[*part].object.computation().is_some();
    let parts: Vec<usize> = (0..link.batch.units.len()).filter(computes).collect();
    if parts.is_empty() {
        return Ok(());
    }
    let mut progress = vec![Progress::Waits; link.batch.units.len()];
    for part in parts {
        compute(link, part, &mut progress, 0)?;
    }
    Ok(())
}

fn compute(
    link: &mut Link,
    part: usize,
    progress: &mut [Progress],
    depth: u32,
) -> Result<(), LinkError> {
    let object = link.batch.units[part].object.clone();
    let (Some(computation), Progress::Waits) = (object.computation(), progress[part]) else {
        return Ok(());
    };
    let failed = |message: String| {
        LinkError::Object(ObjectError {
            object: object.name().to_owned(),
            message,
        })
    };
    if depth > DEPTH_MAX {
        return Err(failed(
            "too many definitions wait for each other".to_owned(),
        ));
    }
    progress[part] = Progress::Runs;
    for other in computed_first(link, part) {
        if progress.get(other) == Some(&Progress::Runs) && other != part {
            return Err(failed(format!(
                "its values and those of {} depend on each other",
                link.batch.units[other].object.name()
            )));
        }
        compute(link, other, progress, depth + 1)?;
    }
    let values = values(link, part, computation).map_err(failed)?;
    let own = &mut link.parts[part];
    for (symbol, value) in values {
        let computed = own.graph.symbols.get(symbol as usize).map(|s| s.target);
        if let Some(Target::Computed { .. }) = computed {
            own.values[symbol as usize] = value;
        }
    }
    progress[part] = Progress::Done;
    Ok(())
}

/// Parts with computed symbols that symbols of `part` are bound to.
fn computed_first(link: &Link, part: usize) -> Vec<usize> {
    let externals = link.parts[part].externals.iter();
    let bound = externals.filter(|external| **external != OWN);
    let mut parts: Vec<usize> = bound
        .filter_map(
            |external| match link.externals.get((*external & EXTERNAL) as usize)?.bound {
                Bound::Part { part, symbol } => {
                    let target = link.parts[part as usize].graph.symbols[symbol.0 as usize].target;
                    matches!(target, Target::Computed { .. }).then_some(part as usize)
                }
                _ => None,
            },
        )
        .collect();
    parts.sort_unstable();
    parts.dedup();
    parts
}

fn values(
    link: &Link,
    part: usize,
    computation: &dyn Computation,
) -> Result<Vec<(u32, u64)>, String> {
    computation.compute(&|symbol| input(link, part, SymbolId(symbol)))
}

/// What is known of a symbol of a part.
fn input(link: &Link, index: usize, symbol: SymbolId) -> ComputationInput {
    use ComputationInput::{Known, Undefined, Unusable};
    const THREAD_LOCAL: ComputationInput =
        Unusable("it is thread-local, and has another address in every thread");
    let part = &link.parts[index];
    let Some(number) = part.external(symbol) else {
        return Known(part.value(symbol));
    };
    let external = &link.externals[number as usize];
    match (&external.bound, &external.resolution) {
        (_, Resolution::Null) => Undefined,
        (
            _,
            Resolution::Address {
                kind: SymbolKind::ThreadLocal,
                ..
            },
        ) => THREAD_LOCAL,
        (Bound::Part { part, symbol }, _) => {
            let other = &link.parts[*part as usize];
            match other.section_kind(*symbol) {
                Some(SectionKind::ThreadLocal) => THREAD_LOCAL,
                _ => Known(other.value(*symbol)),
            }
        }
        (Bound::Value(value), _) => Known(*value),
        (Bound::Linker, Resolution::Linker(LinkerDefined::DylibHeader)) => {
            let header = link.header(external.dylib);
            Known(header.map_or(0, ExecutorAddr::value))
        }
        (Bound::Linker, Resolution::Linker(defined)) => {
            let group = &link.groups[part.group as usize];
            let place = layout::linker_defined(group, &link.context.names, defined);
            Known(place.map_or(0, ExecutorAddr::value))
        }
        (Bound::Native, _) => {
            Unusable("a shared library defines it, so its address is known to the loader alone")
        }
        (Bound::Pending | Bound::Linker, _) => Unusable("it has no address yet"),
    }
}
