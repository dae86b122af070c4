//! Linker scripts in place of libraries: the files that they stand for.
//!
//! Scripts name scripts, and may name one file any number of times. Each is opened once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use jit_core::graph::InputBytes;

use super::{
    FoundContent, FoundInput, LibraryChoice, LibrarySearch, SearchError, Way, describe_io,
    repeated, unusable,
};
use crate::input::printable_path;
use crate::linker_script::{self, ScriptInput, ScriptName, ScriptNames};

/// Files that one script may stand for: objects that are named again and again are as many objects.
const FILES_MAX: usize = 1 << 20;

/// What files mentioned by scripts stand for.
#[derive(Default)]
pub(super) struct Known {
    files: HashMap<Mention, Vec<FoundInput>>,
}

/// How a script mentions a file.
#[derive(PartialEq, Eq, Hash)]
struct Mention {
    /// The script, if it is beside it that the file is looked for.
    script: Option<PathBuf>,
    name: String,
    as_needed: bool,
}

impl Mention {
    fn new(script: &Path, what: &ScriptName, as_needed: bool) -> Self {
        let (script, name) = match what {
            ScriptName::Library(name) => (None, name),
            ScriptName::Path(name) => (Some(script.to_owned()), name),
        };
        Self {
            script,
            name: name.clone(),
            as_needed,
        }
    }
}

impl LibrarySearch {
    pub(super) fn script(
        &self,
        path: &Path,
        text: &[u8],
        choice: LibraryChoice,
        as_needed: bool,
        depth: u32,
        known: &mut Known,
    ) -> Result<Vec<FoundInput>, SearchError> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(unusable(path, "linker scripts that name each other"));
        };
        let text = std::str::from_utf8(text)
            .map_err(|_| unusable(path, "is no object, archive, library or linker script"))?;
        let script = linker_script::parse(text, &printable_path(path).to_string());
        let script = script.map_err(|problem| match source_language(path) {
            Some(language) => unusable(
                path,
                format!("is {language}, by its name: compile it first, or give it the name of a source file"),
            ),
            None if linker_script::has_statement(text) => unusable(path, problem),
            None => unusable(
                path,
                "is a text file, and neither an object nor a linker script",
            ),
        })?;
        let dirs = script.search_dirs.iter().map(|dir| self.below_root(dir));
        let mut scripted = self.scripted.lock().unwrap_or_else(PoisonError::into_inner);
        scripted.extend(dirs);
        drop(scripted);
        let mut found = Vec::new();
        if script.names != ScriptNames::default() {
            found.push(FoundInput {
                path: path.to_owned(),
                content: FoundContent::Names(script.names),
                as_needed: false,
            });
        }
        for ScriptInput { what, as_needed: a } in &script.inputs {
            let as_needed = as_needed || *a;
            let mention = Mention::new(path, what, as_needed);
            let more = match known.files.get(&mention) {
                Some(more) => more.clone(),
                None => {
                    let more = self.open_mentioned(path, what, choice, as_needed, depth, known)?;
                    known.files.entry(mention).or_insert(more).clone()
                }
            };
            found.extend(more);
            if found.len() > FILES_MAX {
                let message = format!("names more than {FILES_MAX} files");
                return Err(unusable(path, message));
            }
        }
        Ok(repeated::without(found))
    }

    fn open_mentioned(
        &self,
        script: &Path,
        what: &ScriptName,
        choice: LibraryChoice,
        as_needed: bool,
        depth: u32,
        known: &mut Known,
    ) -> Result<Vec<FoundInput>, SearchError> {
        match what {
            ScriptName::Library(name) => self.find_within(name, choice, as_needed, depth, known),
            ScriptName::Path(name) => {
                let (path, bytes) = self.open_from_script(script, name)?;
                let way = Way::named(as_needed);
                self.classify(&path, bytes, choice, way, depth, known)
            }
        }
    }

    /// A relative path in a script is looked for here, beside the script and in the search
    /// directories; an absolute one in a script below the system root is below that root too.
    fn open_from_script(
        &self,
        script: &Path,
        name: &str,
    ) -> Result<(PathBuf, Arc<dyn InputBytes>), SearchError> {
        let own = match &self.sysroot {
            Some(root) if script.starts_with(root) && name.starts_with('/') => {
                root.join(&name[1..])
            }
            _ => self.below_root(name),
        };
        let first_error = match self.opener.open(&own) {
            Ok(bytes) => return Ok((own, bytes)),
            Err(error) => error,
        };
        if own.is_relative() {
            let beside = script.parent().into_iter();
            let dirs = self.given.iter().chain(&self.system).map(PathBuf::as_path);
            for dir in beside.chain(dirs) {
                let path = dir.join(&own);
                if let Ok(bytes) = self.opener.open(&path) {
                    return Ok((path, bytes));
                }
            }
        }
        let message = format!(
            "names {}, which cannot be opened: {}",
            printable_path(&own),
            describe_io(&first_error)
        );
        Err(unusable(script, message))
    }
}

/// What a file is that is text, by the end of its name.
fn source_language(path: &Path) -> Option<&'static str> {
    match path.extension()?.to_str()? {
        "h" | "hh" | "hpp" => Some("a header"),
        "ll" => Some("LLVM's assembly code"),
        "i" | "ii" => Some("a preprocessed source"),
        "d" | "adb" | "ads" | "go" | "hs" | "ml" | "nim" | "pas" | "swift" | "zig" => {
            Some("a source file of a language that is not compiled here")
        }
        "py" | "sh" | "pl" | "rb" | "js" => Some("a script for an interpreter"),
        _ => None,
    }
}
