//! What the process's libraries take from a program: definitions of names that they leave
//! undefined, or that they define themselves and a program may replace.

use std::sync::Arc;

use hashbrown::HashSet;
use orc_shared::{ExecutorAddr, printable_text};
use rayon::prelude::*;

use super::state::{Link, PendingExport};
use crate::batch::{DylibId, Exported, NameFilter, NativeBinding, Resolution};
use crate::error::LinkError;
use crate::executor::api::{Export, NativeKind};
use crate::graph::SymbolId;
use crate::name::NameId;
use crate::native::NativeLibrary;
use crate::object::{ObjectError, Scope, SymbolKind};
use crate::threads;

/// Fills [`Link::exports`] with the program's definitions that its libraries name. They are roots
/// of liveness: a library may call them.
pub(super) fn find_exports(link: &mut Link) -> Result<(), LinkError> {
    let NativeBinding::Program(program) = &link.batch.binding else {
        return Ok(());
    };
    if program.own_c_library {
        return Ok(());
    }
    let mut dylibs: Vec<DylibId> = match &link.batch.roots {
        Some(roots) => roots.iter().map(|(dylib, _)| *dylib).collect(),
        None => link.groups.iter().map(|group| group.dylib).collect(),
    };
    dylibs.sort_unstable();
    dylibs.dedup();
    let libraries = [&program.libraries[..], &program.dependencies].concat();
    let mut names = interposable_names(link, &dylibs, &libraries);
    for library in &libraries {
        if let Some(message) = library.fault() {
            let object = printable_text(library.path().as_bytes());
            return Err(ObjectError { object, message }.into());
        }
    }
    match &program.exported {
        Exported::Nothing => {}
        Exported::Matching(matches) => add_visible_names(link, &**matches, &mut names),
        Exported::Everything => add_visible_names(link, &|_| true, &mut names),
    }
    let loaded = Loaded::new(link)?;
    let mut exports = Vec::new();
    for (name, text) in names {
        let definition =
            dylibs
                .iter()
                .find_map(|&dylib| match link.host.own_definition(dylib, name) {
                    Some(Resolution::InBatch { unit, symbol }) => Some((unit, symbol)),
                    _ => None,
                });
        if let Some((part, symbol)) = definition {
            exports.extend(export(link, &libraries, &loaded, text, part, symbol));
        }
    }
    link.exports = exports;
    Ok(())
}

/// Names of the session that some library could take from the program, each once.
fn interposable_names(
    link: &Link,
    dylibs: &[DylibId],
    libraries: &[Arc<dyn NativeLibrary>],
) -> Vec<(NameId, Vec<u8>)> {
    let definitions = link.batch.units.iter();
    let definitions = definitions.map(|unit| unit.object.interface().definitions.len());
    let definitions: usize = definitions.sum();
    let is_small = |library: &Arc<dyn NativeLibrary>| definitions < library.interposable_count();
    let few = match libraries.iter().any(is_small) {
        true => VisibleNames::of(link, dylibs),
        false => VisibleNames::default(),
    };
    let names = &link.context.names;
    let of_library = |library: &Arc<dyn NativeLibrary>| {
        let mut found = Vec::new();
        let mut note = |name: &[u8]| {
            if let Some(id) = names.find(name) {
                found.push((id, name.to_vec()));
            }
        };
        if is_small(library) {
            library.for_each_undefined(&mut note);
            let defined = few
                .iter()
                .filter(|(_, text)| library.defines_interposable(text));
            found.extend(defined.map(|(id, text)| (id, text.to_vec())));
        } else {
            library.for_each_interposable(&mut note);
        }
        found
    };
    let found: Vec<(NameId, Vec<u8>)> =
        threads::share(|| libraries.par_iter().flat_map_iter(of_library).collect());
    let mut seen = HashSet::with_capacity(found.len());
    found
        .into_iter()
        .filter(|(id, _)| seen.insert(*id))
        .collect()
}

/// The names of all definitions that others may refer to.
#[derive(Default)]
struct VisibleNames {
    /// Names, and where their texts end.
    names: Vec<(NameId, usize)>,
    /// The texts, one after the other.
    texts: Vec<u8>,
}

impl VisibleNames {
    fn of(link: &Link, dylibs: &[DylibId]) -> Self {
        let other_names = dylibs
            .iter()
            .flat_map(|&dylib| link.host.other_names(dylib));
        let mut all = Self::default();
        for name in visible_definitions(link).chain(other_names) {
            link.context.names.append_bytes(name, &mut all.texts);
            all.names.push((name, all.texts.len()));
        }
        all
    }

    fn iter(&self) -> impl Iterator<Item = (NameId, &[u8])> {
        let starts = std::iter::once(0).chain(self.names.iter().map(|(_, end)| *end));
        let texts = self.names.iter().zip(starts);
        texts.map(|(&(name, end), start)| (name, &self.texts[start..end]))
    }
}

/// Adds the names that match of all definitions that others may refer to.
fn add_visible_names(link: &Link, matches: &NameFilter, names: &mut Vec<(NameId, Vec<u8>)>) {
    let mut seen: HashSet<NameId> = names.iter().map(|(name, _)| *name).collect();
    for name in visible_definitions(link).filter(|name| seen.insert(*name)) {
        let text = link.context.names.bytes(name);
        if matches(&text) {
            names.push((name, text));
        }
    }
}

/// The names of definitions that others may refer to.
fn visible_definitions(link: &Link) -> impl Iterator<Item = NameId> {
    let units = link.batch.units.iter();
    let definitions = units.flat_map(|unit| &unit.object.interface().definitions);
    let visible = definitions.filter(|definition| definition.scope <= Scope::Protected);
    visible.map(|definition| definition.name)
}

fn export(
    link: &Link,
    libraries: &[Arc<dyn NativeLibrary>],
    loaded: &Loaded,
    name: Vec<u8>,
    part: u32,
    id: SymbolId,
) -> Option<PendingExport> {
    let symbol = link
        .parts
        .get(part as usize)?
        .graph
        .symbols
        .get(id.0 as usize)?;
    let visible = matches!(symbol.scope, Scope::Default | Scope::Protected);
    let kind = match symbol.kind {
        SymbolKind::Function | SymbolKind::IndirectFunction => NativeKind::Function,
        SymbolKind::Data | SymbolKind::None => NativeKind::Data,
        SymbolKind::ThreadLocal => NativeKind::ThreadLocal,
    };
    // No slot of a library that was loaded before leads to a thread-local of the program.
    let redirect_loaded = kind != NativeKind::ThreadLocal
        && libraries
            .iter()
            .any(|library| loaded.has(library.path()) && library.find(&name).is_some());
    visible.then_some(PendingExport {
        export: Export {
            name,
            version: None,
            addr: ExecutorAddr::NULL,
            size: symbol.size,
            kind,
            redirect_loaded,
        },
        part,
        symbol: id,
    })
}

/// The libraries that were loaded before the program.
pub(super) struct Loaded(HashSet<String>);

impl Loaded {
    pub(super) fn new(link: &Link) -> Result<Self, LinkError> {
        let libraries = link.context.executor.loaded_libraries()?;
        Ok(Self(libraries.into_iter().map(|l| l.path).collect()))
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.0.contains(path)
    }
}
