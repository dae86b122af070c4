//! What the process's libraries provide gets its address from the executor.

use orc_shared::{ExecutorAddr, ExecutorAddrRange};

use super::state::{Bound, External, Link, Needs};
use super::values::ExternalValue;
use super::{finalize, layout};
use crate::batch::{ProgramLink, Resolution};
use crate::demangle;
use crate::error::LinkError;
use crate::error::references::UnboundImports;
use crate::executor::api::{Export, Import, ImportKind, ImportValue, NativeKind, ProgramImage};
use crate::native::{NativeLibrary, NativeSymbol};

/// The imports of a link: what to ask for, and which external each answer belongs to.
pub(super) struct Imports {
    pub(super) list: Vec<Import>,
    externals: Vec<u32>,
}

/// Everything that lowered edges need of libraries.
pub(super) fn imports(link: &Link) -> Imports {
    let mut imports = Imports {
        list: Vec::new(),
        externals: Vec::new(),
    };
    for (index, (external, needs)) in link.externals.iter().zip(&link.needs).enumerate() {
        let (Bound::Native, Resolution::Native(native)) = (&external.bound, &external.resolution)
        else {
            continue;
        };
        let thread_local = native.symbol.kind == NativeKind::ThreadLocal;
        if needs.contains(Needs::VALUE) {
            let kind = if thread_local {
                ImportKind::TpOffset
            } else {
                ImportKind::Address
            };
            imports.list.push(import(link, native, kind));
            imports.externals.push(index as u32);
        }
        if needs.contains(Needs::TLS_PAIR) {
            let kind = ImportKind::TlsModuleAndOffset;
            imports.list.push(import(link, native, kind));
            imports.externals.push(index as u32);
        }
    }
    imports
}

fn import(link: &Link, native: &NativeSymbol, kind: ImportKind) -> Import {
    let (name, spelled) = link.context.platforms.usual().split_version(&native.name);
    let version = native.library.as_ref().and_then(|library| {
        let version = library.version(&native.name);
        let version = version.or_else(|| spelled.map(<[u8]>::to_vec))?;
        // The loader looks for the version in the library that it knows by this name.
        let name = name_for_the_loader(link, &**library);
        Some((version, name.as_bytes().to_vec()))
    });
    Import {
        name: name.to_vec(),
        version,
        kind,
        weak: native.weak,
    }
}

/// What the loader is asked for. It finds a library that has a name by its own rules; on another host
/// it has to find its own file in any case.
fn name_for_the_loader<'a>(link: &Link, library: &'a dyn NativeLibrary) -> &'a str {
    match link.context.executor.has_own_paths() {
        true => library.name_elsewhere(),
        false => library.needed_name(),
    }
}

/// Binds imports to what is loaded now. All that are missing are reported.
pub(super) fn bind_immediately(
    link: &Link,
    imports: &Imports,
) -> Result<Vec<ImportValue>, LinkError> {
    if imports.list.is_empty() {
        return Ok(Vec::new());
    }
    let bound = link.context.executor.bind_imports(&imports.list)?;
    if bound.len() != imports.list.len() {
        let message = "the executor did not answer every import".to_owned();
        return Err(LinkError::Internal(message));
    }
    let mut missing = Vec::new();
    let mut values = Vec::with_capacity(bound.len());
    for ((value, import), external) in bound.iter().zip(&imports.list).zip(&imports.externals) {
        if value.is_none() && !import.weak {
            let library = library_of(&link.externals[*external as usize]);
            missing.push((demangle::describe(&import.name), library));
        }
        values.push(value.unwrap_or_default());
    }
    if missing.is_empty() {
        return Ok(values);
    }
    missing.sort_unstable();
    missing.dedup();
    Err(LinkError::UnboundImports(
        UnboundImports { symbols: missing }.into(),
    ))
}

fn library_of(external: &External) -> Option<String> {
    match &external.resolution {
        Resolution::Native(native) => native.library.as_ref().map(|l| l.path().to_owned()),
        _ => None,
    }
}

/// The imports' values in the order of the externals.
pub(super) fn values_of_natives(
    link: &Link,
    imports: &Imports,
    values: &[ImportValue],
) -> Vec<ExternalValue> {
    let mut of_externals = vec![ExternalValue::default(); link.externals.len()];
    for ((import, external), value) in imports.list.iter().zip(&imports.externals).zip(values) {
        let to = &mut of_externals[*external as usize];
        match import.kind {
            ImportKind::Address | ImportKind::TpOffset => to.value = value.value,
            ImportKind::TlsModuleAndOffset => to.pair = *value,
        }
    }
    of_externals
}

/// What the loader has to know of the program.
pub(super) fn program_image(link: &Link, program: &ProgramLink, imports: &Imports) -> ProgramImage {
    let address = |part: u32, symbol| ExecutorAddr::new(link.parts[part as usize].value(symbol));
    let exports = link.exports.iter().map(|pending| Export {
        addr: address(pending.part, pending.symbol),
        ..pending.export.clone()
    });
    let copies = link.copies.iter().map(|pending| {
        let mut copy = pending.copy.clone();
        copy.to = address(pending.part, pending.symbol);
        copy
    });
    let libraries = program.libraries.iter();
    let needed = libraries.map(|library| name_for_the_loader(link, &**library).to_owned());
    ProgramImage {
        needed: needed.collect(),
        search_path: program.search_path.clone(),
        search_path_for_all: program.search_path_for_all,
        // A definition that pruning took out is no longer there to be exported.
        exports: exports.filter(|export| !export.addr.is_null()).collect(),
        imports: imports.list.clone(),
        copies: copies.collect(),
        preinit_arrays: match program.own_c_library {
            true => Vec::new(),
            false => preinit_arrays(link),
        },
        args: program.args.clone(),
        executable_stack: link.parts.iter().any(|part| part.graph.executable_stack),
    }
}

/// What is called before the libraries are initialized.
fn preinit_arrays(link: &Link) -> Vec<ExecutorAddrRange> {
    let context = &link.context;
    let of_group = |group| {
        let sections = layout::sections_in_order(group);
        let group = finalize::laid_out(link, group, &sections, &[]);
        let platform = context.platforms.of(group.dylib);
        platform.preinit_arrays(&group, &context.names)
    };
    link.groups.iter().flat_map(of_group).collect()
}
