//! What options change of objects as they are linked: changes of their graphs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jit_core::graph::{LinkGraph, SectionKind};
use jit_core::name::NameTable;
use jit_core::object::Scope;
use orc_inputs::input::printable_path;
use orc_inputs::symbol_list::VersionScript;
use orc_jit::AddPasses;

/// The changes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tuning {
    /// `-z execstack`, `-z noexecstack`: whatever objects say.
    pub executable_stack: Option<bool>,
    /// `-z norelro`.
    pub writable_relro: bool,
    /// `-z start-stop-gc`: references to the bounds of a section keep nothing of it.
    pub drops_bounded_sections: bool,
    /// `--exclude-libs`: archives whose symbols no library sees.
    pub excluded_archives: Vec<String>,
    /// `--version-script`: which symbols libraries see.
    pub version_scripts: Vec<PathBuf>,
}

impl Tuning {
    /// The passes that make the changes, if there are any. `read` reads files; names are those of
    /// `names`.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn passes(
        &self,
        read: &dyn Fn(&Path) -> Result<String, String>,
        names: Arc<NameTable>,
    ) -> Result<Option<AddPasses>, String> {
        let mut versions = VersionScript::default();
        for path in &self.version_scripts {
            let added = versions.add(&read(path)?);
            added.map_err(|problem| format!("{}: {problem}", printable_path(&path)))?;
        }
        if *self == Self::default() {
            return Ok(None);
        }
        let (tuning, versions) = (Arc::new(self.clone()), Arc::new(versions));
        Ok(Some(Box::new(move |_, passes| {
            let (tuning, versions) = (tuning.clone(), versions.clone());
            let names = names.clone();
            passes.pre_prune.push(Box::new(move |graph| {
                tuning.change(graph, &versions, &names);
                Ok(())
            }));
        })))
    }

    fn change(&self, graph: &mut LinkGraph, versions: &VersionScript, names: &NameTable) {
        if let Some(executable) = self.executable_stack {
            graph.executable_stack = executable;
        }
        for section in &mut graph.sections {
            if self.writable_relro && section.kind == SectionKind::RelocatedReadOnly {
                section.kind = SectionKind::ReadWrite;
            }
            section.bounds_retained &= !self.drops_bounded_sections;
        }
        let all = self.excludes(&graph.name);
        if !all && versions.hides_nothing() {
            return;
        }
        for symbol in &mut graph.symbols {
            let visible = matches!(symbol.scope, Scope::Default | Scope::Protected);
            if let (true, Some(name)) = (visible, symbol.name)
                && (all || versions.hides(&names.bytes(name)))
            {
                symbol.scope = Scope::Hidden;
            }
        }
    }

    /// Whether an object is a member of an archive that is excluded.
    fn excludes(&self, object: &str) -> bool {
        let archive = object.strip_suffix(')').and_then(|o| o.rsplit_once('('));
        let Some((archive, _)) = archive else {
            return false;
        };
        let file = archive.rsplit('/').next().unwrap_or(archive);
        let mut excluded = self.excluded_archives.iter();
        excluded.any(|name| name == "ALL" || name == file || file.strip_suffix(".a") == Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_excluded_archives() {
        let tuning = |names: &[&str]| Tuning {
            excluded_archives: names.iter().map(|&name| name.to_owned()).collect(),
            ..Tuning::default()
        };
        assert!(tuning(&["ALL"]).excludes("dir/libx.a(y.o)"));
        assert!(tuning(&["libz", "libx.a"]).excludes("dir/libx.a(y.o)"));
        assert!(tuning(&["libx"]).excludes("libx.a(y.o)"));
        assert!(!tuning(&["x"]).excludes("libx.a(y.o)"));
        assert!(!tuning(&["ALL"]).excludes("y.o"));
    }
}
