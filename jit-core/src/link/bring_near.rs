//! Ranges are chosen, and what direct references could not reach is brought near.
//!
//! Code that was not compiled as position-independent refers to symbols of libraries as if they
//! were its own. A system linker helps it in two ways, and so does this one:
//!
//! - *Data* gets a copy in the program (a copy relocation). The loader copies the initial value,
//!   and all libraries are bound to the copy, so that there is still one variable.
//! - A *function* gets a PLT stub that is its address for everybody ("canonical"): for the program,
//!   which refers to the stub, and for the libraries, to which it is exported.

use hashbrown::HashMap;
use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use super::exports::Loaded;
use super::linker_part::{self, NewBlock};
use super::parallel;
use super::ranges;
use super::state::{Bound, External, Group, Link, PendingCopy, PendingExport, Uses, join_errors};
use crate::batch::{DylibId, NativeBinding, Resolution};
use crate::cpu::{Cpu, TargetClass};
use crate::error::LinkError;
use crate::executor::api::{CopyRelocation, Export, NativeKind, TlsPlace};
use crate::graph::{ComputedRange, SectionKind, SymbolId, Target};
use crate::native::{LibrarySymbol, NativeSymbol};
use crate::object::SymbolKind;
use crate::platform::{LinkerDefined, LinkerSection};

/// Chooses the range of every group: all groups of one dylib in one.
pub(super) fn choose_ranges(link: &mut Link) -> Result<(), LinkError> {
    let mut dylibs: HashMap<DylibId, bool> = HashMap::new();
    // Ranges below 2 GiB lie at the first of some addresses that is free, which the system does not vary.
    let is_fixed = matches!(
        &link.batch.binding,
        NativeBinding::Program(program) if program.fixed_addresses
    );
    for group in &link.groups {
        *dylibs.entry(group.dylib).or_default() |= group.low || is_fixed;
    }
    let context = &link.context;
    for group in &mut link.groups {
        let low = dylibs[&group.dylib];
        let of = (group.dylib, low);
        let range = context
            .ranges
            .of_dylib(&*context.executor, of, None, link.near_size)?;
        group.low = low;
        group.range = range.id;
        group.extent = range.extent;
    }
    Ok(())
}

/// Classifies every external, making copies and canonical stubs for those that need them.
pub(super) fn bring_near<C: Cpu>(link: &mut Link) -> Result<(), LinkError> {
    let mut extents = HashMap::new();
    for (index, group) in link.groups.iter().enumerate() {
        extents
            .entry(group.dylib)
            .or_insert((index as u32, group.extent));
    }
    leave_to_the_loader(link);
    let copies = find_copies(link, &extents);
    allow_copies(link, &copies)?;
    make_copies(link, copies)?;
    let count = link.externals.len();
    for index in 0..count {
        let external = &link.externals[index];
        if !external.uses.contains(Uses::DIRECT) {
            continue;
        }
        if let Some(&(group, extent)) = extents.get(&external.dylib)
            && needs_canonical_stub(link, external, extent)
        {
            make_canonical_stub::<C>(link, group, index);
        }
    }
    classify_all::<C>(link, count, &extents);
    Ok(())
}

/// Makes weak references of a program that nothing is known for weak imports: what is loaded when it
/// runs may define them. Not where code uses the name directly, so that its value has to be known, nor
/// if only data does: it is null then, as GNU `ld` has it, for all who refer to it.
fn leave_to_the_loader(link: &mut Link) {
    match &link.batch.binding {
        NativeBinding::Program(program)
            if !program.undefined_weak_is_null && !program.own_c_library => {}
        NativeBinding::Program(_) | NativeBinding::Immediate => return,
    }
    let names = &link.context.names;
    for external in &mut link.externals {
        let fixed = Uses::DIRECT | Uses::THREAD_LOCAL;
        let is_null = matches!(external.resolution, Resolution::Null);
        let may_vary = external.uses.contains(Uses::TABLE) && !external.uses.intersects(fixed);
        if is_null && may_vary {
            external.bound = Bound::Native;
            external.resolution = Resolution::Native(Box::new(NativeSymbol {
                name: names.bytes(external.name),
                symbol: LibrarySymbol::UNKNOWN,
                library: None,
                load_bias: None,
                weak: true,
            }));
        }
    }
}

/// Classifies the first `count` externals, as far as they are used. Stubs reach the others.
fn classify_all<C: Cpu>(
    link: &mut Link,
    count: usize,
    extents: &HashMap<DylibId, (u32, ExecutorAddrRange)>,
) {
    let classes = parallel::map_externals(link, |external| {
        let (_, extent) = extents.get(&external.dylib)?;
        let is_code = match external.bound {
            Bound::Part { part, symbol } => {
                link.parts[part as usize].section_kind(symbol) == Some(SectionKind::Text)
            }
            _ => false,
        };
        (!external.uses.is_empty()).then(|| (classify::<C>(link, external, *extent), is_code))
    });
    for (external, class) in link.externals[..count].iter_mut().zip(classes) {
        let Some((class, is_code)) = class else {
            continue;
        };
        (external.class, external.is_code) = (class, is_code);
        if let (Some(addr), true) = (
            known_address(external),
            matches!(class, TargetClass::Near { .. }),
        ) {
            link.assumed_near.push(addr);
        }
    }
}

/// The address of a library's symbol, if the library is loaded and the address follows from its
/// file.
fn native_address(native: &NativeSymbol) -> Option<ExecutorAddr> {
    let fixed = !native.symbol.indirect && native.symbol.kind != NativeKind::ThreadLocal;
    native
        .load_bias
        .filter(|_| fixed)
        .map(|bias| bias + native.symbol.file_addr)
}

/// The address of an external that lies outside the batch, where it is known.
fn known_address(external: &External) -> Option<ExecutorAddr> {
    match (&external.bound, &external.resolution) {
        (Bound::Value(value), _) => Some(ExecutorAddr::new(*value)),
        (Bound::Native, Resolution::Native(native)) => native_address(native),
        _ => None,
    }
}

/// Whether all uses of an external from `extent` reach its address.
fn uses_reach(external: &External, extent: ExecutorAddrRange, addr: ExecutorAddr) -> bool {
    let fits_low = !external.uses.contains(Uses::LOW) || addr.value() < 1 << 31;
    ranges::reaches(extent, addr) && fits_low
}

/// A variable of a library: its library's path and its address in the library's file.
type Variable = (String, u64);

/// The library variables that direct references do not reach, with the group of the first such
/// reference and the external to describe them.
fn find_copies(
    link: &Link,
    extents: &HashMap<DylibId, (u32, ExecutorAddrRange)>,
) -> Vec<(Variable, u32, u32)> {
    if !matches!(link.batch.binding, NativeBinding::Program(_)) {
        return Vec::new();
    }
    let mut found: HashMap<Variable, ()> = HashMap::new();
    let mut copies = Vec::new();
    for (index, external) in link.externals.iter().enumerate() {
        let Resolution::Native(native) = &external.resolution else {
            continue;
        };
        let Some(&(group, extent)) = extents.get(&external.dylib) else {
            continue;
        };
        let in_reach = native_address(native).is_some_and(|a| uses_reach(external, extent, a));
        let data = native.symbol.kind == NativeKind::Data && native.symbol.size > 0;
        if !external.uses.contains(Uses::DIRECT) || in_reach || !data {
            continue;
        }
        if let Some(library) = &native.library {
            let variable = (library.path().to_owned(), native.symbol.file_addr);
            if found.insert(variable.clone(), ()).is_none() {
                copies.push((variable, group, index as u32));
            }
        }
    }
    copies
}

/// Refuses copies if the program is to have none.
fn allow_copies(link: &Link, copies: &[(Variable, u32, u32)]) -> Result<(), LinkError> {
    match &link.batch.binding {
        NativeBinding::Program(program) if program.no_copies => {}
        NativeBinding::Program(_) | NativeBinding::Immediate => return Ok(()),
    }
    let of = |((library, _), _, external): &(Variable, u32, u32)| LinkError::NeedsCopy {
        symbol: link
            .context
            .names
            .text(link.externals[*external as usize].name),
        library: library.clone(),
    };
    join_errors(copies.iter().map(of).collect())
}

/// Makes the copies, exports them under all their names, and binds every external that names one of
/// the variables to its copy.
fn make_copies(link: &mut Link, copies: Vec<(Variable, u32, u32)>) -> Result<(), LinkError> {
    if copies.is_empty() {
        return Ok(());
    }
    let loaded = Loaded::new(link)?;
    let mut places = HashMap::new();
    for (variable, group, external) in copies {
        let Resolution::Native(native) = link.externals[external as usize].resolution.clone()
        else {
            continue;
        };
        let Some(library) = native.library.clone() else {
            continue;
        };
        // Nothing but copies may be in the section: it has no content that would be written over them.
        let (name, kind) = match native.symbol.read_only {
            true => (
                LinkerSection::ReadOnlyCopies,
                SectionKind::RelocatedReadOnly,
            ),
            false => (LinkerSection::Copies, SectionKind::ReadWrite),
        };
        let dylib = link.groups[group as usize].dylib;
        let name = link.context.section(dylib, name);
        let section = linker_part::section(link, group, name, kind);
        let block = NewBlock::zeros(section, native.symbol.size, native.symbol.align);
        let (part, symbol) = linker_part::define(link, group, block, SymbolKind::Data);
        let redirect_loaded = loaded.has(library.path());
        let mut names = vec![link.context.plain_name(&native.name).to_vec()];
        library.for_each_alias(native.symbol.file_addr, &mut |alias| {
            if !names.iter().any(|name| name == alias) {
                names.push(alias.to_vec());
            }
        });
        link.copies.push(PendingCopy {
            copy: CopyRelocation {
                name: names[0].clone(),
                library: library.path().to_owned(),
                file_addr: native.symbol.file_addr,
                to: ExecutorAddr::NULL,
                size: native.symbol.size,
                read_only: native.symbol.read_only,
            },
            part,
            symbol,
        });
        for name in names {
            let export = Export {
                name,
                version: None,
                addr: ExecutorAddr::NULL,
                size: native.symbol.size,
                kind: NativeKind::Data,
                redirect_loaded,
            };
            link.exports.push(PendingExport {
                export,
                part,
                symbol,
            });
        }
        places.insert(variable, (part, symbol));
    }
    bind_to_copies(link, &places);
    Ok(())
}

fn bind_to_copies(link: &mut Link, places: &HashMap<Variable, (u32, SymbolId)>) {
    for external in &mut link.externals {
        if let Resolution::Native(native) = &external.resolution
            && native.symbol.kind == NativeKind::Data
            && let Some(library) = &native.library
            && let Some(&(part, symbol)) =
                places.get(&(library.path().to_owned(), native.symbol.file_addr))
        {
            external.bound = Bound::Part { part, symbol };
        }
    }
}

/// Whether a function is referred to in a way that may not reach it. A program's reference to a library counts as
/// such in any case, as a system linker has it: where libraries lie varies, and which address the function has
/// must not.
fn needs_canonical_stub(link: &Link, external: &External, extent: ExecutorAddrRange) -> bool {
    let function = match (&external.bound, &external.resolution) {
        (Bound::Native, Resolution::Native(native)) => native.symbol.kind == NativeKind::Function,
        (Bound::Value(_), Resolution::Address { kind, .. }) => *kind == SymbolKind::Function,
        _ => false,
    };
    let of_library = matches!(external.bound, Bound::Native);
    let of_program = matches!(link.batch.binding, NativeBinding::Program(_));
    let in_reach = known_address(external).is_some_and(|a| uses_reach(external, extent, a));
    function && external.uses.contains(Uses::DIRECT) && (!in_reach || of_library && of_program)
}

/// Makes a stub that is the function's address from now on. In a program it is exported, so that
/// libraries see the same address.
fn make_canonical_stub<C: Cpu>(link: &mut Link, group: u32, external: usize) {
    let real = linker_part::add_external(link, group, external as u32);
    let dylib = link.groups[group as usize].dylib;
    let name = link.context.section(dylib, LinkerSection::Stubs);
    let section = linker_part::section(link, group, name, SectionKind::Text);
    let block =
        NewBlock::bytes(section, C::STUB.code, C::STUB.align).with_edges(C::STUB.requests, real);
    let (part, symbol) = linker_part::define(link, group, block, SymbolKind::Function);
    let external = &mut link.externals[external];
    external.bound = Bound::Part { part, symbol };
    if let (NativeBinding::Program(_), Resolution::Native(native)) =
        (&link.batch.binding, &external.resolution)
    {
        let export = Export {
            name: link.context.plain_name(&native.name).to_vec(),
            version: None,
            addr: ExecutorAddr::NULL,
            size: 0,
            kind: NativeKind::Function,
            redirect_loaded: native.load_bias.is_some(),
        };
        link.exports.push(PendingExport {
            export,
            part,
            symbol,
        });
    }
}

/// What is known of an external's place, seen from `extent`.
fn classify<C: Cpu>(link: &Link, external: &External, extent: ExecutorAddrRange) -> TargetClass {
    let next_to_it = near::<C>(ranges::is_low(extent));
    match (&external.bound, &external.resolution) {
        (_, Resolution::Null) => TargetClass::Null,
        (_, Resolution::Linker(LinkerDefined::TlsModuleBase)) => {
            // It differs from group to group.
            let mut groups = link.groups.iter();
            match groups.any(|group| group.dylib == external.dylib && group.tls_in_module) {
                true => TargetClass::LateThreadLocal,
                false => TargetClass::ThreadLocal,
            }
        }
        (Bound::Part { part, symbol }, _) => {
            let to = &link.parts[*part as usize];
            let group = &link.groups[to.group as usize];
            let (other, kind) = (group.extent, to.section_kind(*symbol));
            match to.graph.symbols[symbol.0 as usize].target {
                Target::Absolute(value) => classify_value::<C>(value, extent),
                Target::Computed { range, .. } => classify_computed(range, next_to_it),
                _ if kind == Some(SectionKind::ThreadLocal) => thread_local(group),
                _ if kind == Some(SectionKind::LargeReadWrite) && group.large_apart => {
                    TargetClass::Far
                }
                _ if other == extent => next_to_it,
                _ if !ranges::reach_each_other(extent, other) => TargetClass::Far,
                _ if ranges::is_low(other) => next_to_it,
                _ => near::<C>(false),
            }
        }
        (Bound::Value(value), Resolution::Address { kind, .. })
            if *kind == SymbolKind::ThreadLocal =>
        {
            match TlsPlace::from_value(*value) {
                TlsPlace::Fixed(_) => TargetClass::ThreadLocal,
                TlsPlace::Module { .. } => TargetClass::ModuleThreadLocal,
            }
        }
        (Bound::Pending, Resolution::Pending { kind, .. }) if *kind == SymbolKind::ThreadLocal => {
            TargetClass::LateThreadLocal
        }
        // An undefined weak one that is hidden.
        (Bound::Value(0), _) if external.uses.contains(Uses::THREAD_LOCAL) => TargetClass::Null,
        (Bound::Value(value), _) => classify_value::<C>(*value, extent),
        (Bound::Native, Resolution::Native(native)) => match native.symbol.kind {
            NativeKind::ThreadLocal => TargetClass::NativeThreadLocal,
            NativeKind::Function | NativeKind::Data => match native_address(native) {
                Some(addr) if ranges::reaches(extent, addr) => near::<C>(false),
                _ => TargetClass::Far,
            },
        },
        // Some number: a section is as large as it likes.
        (Bound::Linker, Resolution::Linker(LinkerDefined::SectionSize(_))) => {
            classify_value::<C>(1, extent)
        }
        (Bound::Linker, _) => next_to_it,
        _ => TargetClass::Far,
    }
}

/// What is known of a group's thread-locals.
pub(super) fn thread_local(group: &Group) -> TargetClass {
    match group.tls_in_module {
        true => TargetClass::ModuleThreadLocal,
        false => TargetClass::ThreadLocal,
    }
}

/// The class of what lies in the same range, or near it. Where branches do not reach all of a range,
/// lowering finds out which targets are close.
pub(super) const fn near<C: Cpu>(low: bool) -> TargetClass {
    TargetClass::Near {
        low,
        close: C::BRANCH_REACH.is_none(),
    }
}

/// What is known of a computed value; `near` is the class of what lies next to the program.
pub(super) fn classify_computed(range: ComputedRange, near: TargetClass) -> TargetClass {
    match range {
        ComputedRange::Near => near,
        ComputedRange::Small => TargetClass::Small,
        ComputedRange::Any => TargetClass::Far,
    }
}

/// What is known of a fixed value.
pub(super) fn classify_value<C: Cpu>(value: u64, extent: ExecutorAddrRange) -> TargetClass {
    let low = value < 1 << 31;
    if ranges::reaches(extent, ExecutorAddr::new(value)) {
        near::<C>(low)
    } else if i32::try_from(value.cast_signed()).is_ok() {
        TargetClass::Small
    } else {
        TargetClass::Far
    }
}
