//! The JIT linker: from a batch of objects to final memory.
//!
//! [`link_batch`] reads top to bottom: each step is a function in a file named for it. The files, in the
//! order of the pipeline (the phases are those of [`timings`]):
//!
//! | phase | files | what is true after it |
//! |---|---|---|
//! | build graphs | `build_graphs`, `keep_statics` | every object is a checked graph |
//! | resolve | `resolve_externals`, `exports` | every name has a meaning |
//! | prune | `prune`, `survey` | what is live stays so; how live edges use symbols is known |
//! | lower | `large_data`, `bring_near` (with `ranges`), `lower` (with `tables`), `tls_words`, `resolver_table` | edges are fixups; all tables, stubs and copies exist |
//! | name functions | `name_functions` | room for their names |
//! | lay out | `merge_literals`, `layout` (with `section_order`), `veneers` | every live block has an offset, or another has one for it; no block is added any more |
//! | allocate | `allocate` | groups have memory |
//! | assign addresses | `layout`, `verify`, `values`, `computed` | the batch's own symbols have values |
//! | bind | `bind_natives` | imports have values |
//! | set values | `values` | every symbol has a value |
//! | copy and fix up | `fix_up` | content is final |
//! | finalize | `finalize`, `record_places`, `show_debugger`, `drop_graphs` | memory is final |
//!
//! Below them all lie `state` (what a link in progress knows) with `output_sections`, `linker_part` (blocks
//! that the linker makes), `parallel`, `context` and `timings`.

// What all steps use.
mod context;
mod lead_to_stubs;
mod linker_part;
mod output_sections;
mod parallel;
mod ranges;
mod state;
pub mod timings;

// Build graphs, resolve.
mod build_graphs;
mod exports;
mod keep_statics;
mod resolve_externals;

// Prune.
mod prune;
mod survey;

// Lower.
mod bring_near;
mod large_data;
mod lower;
mod resolver_table;
mod tables;
mod tls_words;

// Name functions, lay out.
mod layout;
mod merge_literals;
mod name_functions;
mod section_order;
mod veneers;

// Allocate, assign addresses.
mod allocate;
mod computed;
mod values;
mod verify;

// Bind, copy and fix up.
mod bind_natives;
mod fix_up;

// Finalize.
mod drop_graphs;
mod finalize;
mod record_places;
mod show_debugger;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::batch::{Batch, BatchHost, BeforeStart, NativeBinding, Rehearsal};
use crate::cpu::{Cpu, ForCpu};
use crate::error::LinkError;
use crate::executor::ExecutorError;
use crate::executor::api::ImportValue;
use crate::graph::SectionKind;
use crate::object::SymbolKind;
use crate::platform::{LinkerSection, Passes};

pub use self::context::LinkContext;

use self::allocate::Allocation;
use self::bind_natives::Imports;
use self::finalize::Allocations;
use self::linker_part::NewBlock;
use self::state::Link;

/// The phase in which the loader loads and initializes a program's libraries.
const LOADING: &str = "load libraries";

/// How often a link starts at most: again if a range was full, and if there was no room for thread-locals.
const ATTEMPTS: usize = 5;

/// Links a batch. The outcome goes to `host`: `resolved`, then `emitted`, or `failed`.
///
/// No lock is held while objects are parsed, while the executor works or while the host is called.
pub fn link_batch(context: &Arc<LinkContext>, batch: Batch, host: Arc<dyn BatchHost>) {
    context.architecture.run(LinkBatch {
        context,
        batch: Arc::new(batch),
        host,
    });
}

/// A batch to link for the executor's CPU.
struct LinkBatch<'a> {
    context: &'a Arc<LinkContext>,
    batch: Arc<Batch>,
    host: Arc<dyn BatchHost>,
}

impl ForCpu for LinkBatch<'_> {
    type Output = ();

    fn run<C: Cpu>(self) {
        let host = self.host;
        let link = match prepare::<C>(self.context, self.batch, &host) {
            Ok(link) => link,
            Err(error) => return host.failed(error),
        };
        host.resolved(values::unit_addresses(&link));
        if link
            .batch
            .units
            .iter()
            .any(|unit| unit.replaceable.is_some())
        {
            host.statics(keep_statics::record_statics(&link));
        }
        let then = Arc::clone(&host);
        host.when_dependencies_resolved(Box::new(move |resolved| {
            match resolved.and_then(|()| complete::<C>(link)) {
                Ok(allocations) => then.emitted(allocations),
                Err(error) => then.failed(error),
            }
        }));
    }
}

/// Everything up to the point where all of the batch's own symbols have addresses.
fn prepare<C: Cpu>(
    context: &Arc<LinkContext>,
    batch: Arc<Batch>,
    host: &Arc<dyn BatchHost>,
) -> Result<Link, LinkError> {
    let mut wanted = 0;
    let mut in_modules = Vec::new();
    for _ in 0..ATTEMPTS {
        let mut link = Link::new(Arc::clone(context), Arc::clone(host), Arc::clone(&batch));
        link.in_modules = in_modules;
        if place::<C>(&mut link)? == Allocation::Done {
            return Ok(link);
        }
        wanted = link.near_size;
        in_modules = link.in_modules;
    }
    Err(LinkError::Executor(ExecutorError::failed(format_args!(
        "the objects need {} MiB of memory next to each other, and an empty range of the executor's \
         memory has less",
        wanted >> 20
    ))))
}

/// From objects to addresses.
fn place<C: Cpu>(link: &mut Link) -> Result<Allocation, LinkError> {
    let phase = link.timings.phase("build graphs");
    build_graphs::build_graphs::<C>(link)?;
    drop(phase);

    let phase = link.timings.phase("resolve");
    resolve_externals::resolve_externals(link)?;
    exports::find_exports(link)?;
    drop(phase);

    let phase = link.timings.phase("prune");
    let exported: Vec<_> = link.exports.iter().map(|e| (e.part, e.symbol)).collect();
    prune::prune(link, &exported)?;
    run_passes(link, |passes| &passes.post_prune)?;
    survey::survey::<C>(link)?;
    drop(phase);
    if rehearsal(link) == Some(Rehearsal::Names) {
        return Err(LinkError::Rehearsed);
    }

    // From here on nothing becomes live or dead. What is added are tables, stubs and copies.
    let phase = link.timings.phase("lower");
    large_data::place_large_data(link)?;
    bring_near::choose_ranges(link)?;
    bring_near::bring_near::<C>(link)?;
    lower::lower_all::<C>(link)?;
    tls_words::find_access(link)?;
    add_resolver_code::<C>(link);
    drop(phase);

    let phase = link.timings.phase("name functions");
    name_functions::name_functions(link)?;
    drop(phase);

    // No block is added after this point, but veneers.
    let phase = link.timings.phase("lay out");
    merge_literals::merge_literals(link);
    layout::lay_out(link)?;
    veneers::add_veneers::<C>(link)?;
    drop(phase);

    let phase = link.timings.phase("allocate");
    if allocate::allocate(link)? == Allocation::Restart {
        return Ok(Allocation::Restart);
    }
    drop(phase);

    let phase = link.timings.phase("assign addresses");
    layout::assign_addresses(link)?;
    merge_literals::assign_addresses(link)?;
    if cfg!(debug_assertions) {
        verify::verify::<C>(link)?;
    }
    values::set_own_values(link)?;
    computed::compute_values(link)?;
    run_passes(link, |passes| &passes.post_allocation)?;
    drop(phase);
    Ok(Allocation::Done)
}

/// From addresses to final memory.
fn complete<C: Cpu>(mut link: Link) -> Result<Allocations, LinkError> {
    let imports = bind_natives::imports(&link);
    let batch = Arc::clone(&link.batch);
    let NativeBinding::Program(program) = &batch.binding else {
        let phase = link.timings.phase("bind");
        let values = bind_natives::bind_immediately(&link, &imports)?;
        drop(phase);
        return write::<C>(&mut link, &imports, &values);
    };
    let image = bind_natives::program_image(&link, program, &imports);
    let mut outcome = None;
    let executor = Arc::clone(&link.context.executor);
    let timings = link.timings.clone();
    let mut phase = Some(timings.phase(LOADING));
    let opened = executor.open_program(&image, &mut |values| {
        if outcome.is_some() {
            return Err(ExecutorError::failed("the program is relocated already"));
        }
        // Writing the program has phases of its own.
        phase = None;
        let written = write::<C>(&mut link, &imports, values);
        phase = Some(timings.phase(LOADING));
        if written.is_ok() {
            link.host.in_place();
        }
        let failed = written.as_ref().err().map(ToString::to_string);
        outcome = Some(written);
        failed.map_or(Ok(()), |message| Err(ExecutorError::Failed(message)))
    });
    drop(phase);
    match (opened, outcome) {
        (Ok(()), Some(written)) => written,
        (Ok(()), None) => Err(LinkError::Internal(
            "the executor opened the program without relocating it".to_owned(),
        )),
        // The link's own error says more than the executor's account of it.
        (Err(_), Some(Err(error))) => Err(error),
        (Err(error), Some(Ok(done))) => Err(finalize::release(done, error.into())),
        (Err(error), None) => Err(error.into()),
    }
}

/// Fixes the batch up with the imports' values and makes it final. Nothing here calls the loader.
fn write<C: Cpu>(
    link: &mut Link,
    imports: &Imports,
    values: &[ImportValue],
) -> Result<Allocations, LinkError> {
    let phase = link.timings.phase("set values");
    let natives = bind_natives::values_of_natives(link, imports, values);
    let values = values::external_values(link, &natives)?;
    values::set_external_values(link, &values)?;
    drop(phase);

    let phase = link.timings.phase("copy and fix up");
    let images = fix_up::fix_up::<C>(link)?;
    drop(phase);

    if rehearsal(link).is_some() {
        return Err(LinkError::Rehearsed);
    }

    let phase = link.timings.phase("finalize");
    let done = finalize::finalize::<C>(link, images)?;
    drop(phase);
    if let NativeBinding::Program(program) = &link.batch.binding
        && let Some(BeforeStart(act)) = &program.before_start
    {
        act();
    }
    Ok(done)
}

/// How far a link goes that leaves no program; nothing for other links.
fn rehearsal(link: &Link) -> Option<Rehearsal> {
    match &link.batch.binding {
        NativeBinding::Program(program) => program.rehearse,
        NativeBinding::Immediate => None,
    }
}

/// Runs the platform's passes of one moment.
fn run_passes(
    link: &mut Link,
    of: impl Fn(&Passes) -> &Vec<crate::platform::Pass> + Sync,
) -> Result<(), LinkError> {
    if link.passes.values().all(|passes| of(passes).is_empty()) {
        return Ok(());
    }
    let (groups, passes) = (&link.groups, &link.passes);
    parallel::each_part(&mut link.parts, |_, part| {
        let passes = passes.get(&groups[part.group as usize].dylib);
        for pass in passes.into_iter().flat_map(&of) {
            pass(&mut part.graph)?;
        }
        Ok(())
    })
}

/// Adds the code that runs IFUNC resolvers to every group that has any.
fn add_resolver_code<C: Cpu>(link: &mut Link) {
    if link.has_own_c_library() {
        return resolver_table::add::<C>(link);
    }
    for index in 0..link.groups.len() {
        let parts = &link.groups[index].parts;
        let any = parts
            .iter()
            .any(|&part| !link.parts[part as usize].ifuncs.is_empty());
        if any {
            let group = index as u32;
            let dylib = link.groups[index].dylib;
            let name = link.context.section(dylib, LinkerSection::Code);
            let section = linker_part::section(link, group, name, SectionKind::Text);
            let block = NewBlock::bytes(section, C::RUN_RESOLVERS, C::STUB.align);
            let code = linker_part::define(link, group, block, SymbolKind::Function);
            link.groups[index].run_resolvers = Some(code);
        }
    }
}
