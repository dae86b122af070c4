//! Which file of a crate imports which other, and where that leads back.
//!
//! What counts:
//! - a path counts for the file that *defines* its item: a re-export (`pub use`) is another name of the
//!   item, so who uses the item through a facade needs the defining file, not the facade;
//! - a `pub use` is no import by itself, nor is `mod child;`;
//! - paths within code count like those of `use` lines, if they begin with `crate`, `super`, `self`, a child
//!   module or a module that was imported;
//! - methods do not count: a type may get more of them in files above the one that defines it;
//! - code behind `#[cfg(test)]` is left out.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{SourceFile, rust_files};

/// A module's path below the crate's root, as in `["link", "state"]`.
type Path = Vec<String>;

/// One file of the crate.
struct Module {
    file: String,
    /// Its code, without tests and without visibilities such as `pub(super)`.
    code: String,
    uses: Vec<Use>,
    /// Names of its own items, those of `impl` blocks among them.
    defined: BTreeSet<String>,
}

/// One name that a `use` brings.
struct Use {
    path: Path,
    name: String,
    is_public: bool,
}

/// The imports of a crate.
pub struct Imports {
    modules: BTreeMap<Path, Module>,
    /// Per module: the modules that it imports from, each with the paths that it does it by.
    edges: BTreeMap<Path, BTreeMap<Path, BTreeSet<String>>>,
}

impl Imports {
    /// Reads the crate whose root module lies in `directory` (relative to the workspace).
    #[must_use]
    pub fn of_crate(directory: &str) -> Self {
        Self::of_files(directory, rust_files(directory))
    }

    fn of_files(directory: &str, files: Vec<SourceFile>) -> Self {
        let mut modules = BTreeMap::new();
        let mut tests = Vec::new();
        for file in files {
            let relative = file.path.strip_prefix(directory).unwrap_or(&file.path);
            let path = module_path(relative.trim_start_matches('/'));
            let (code, test_modules) = without_tests(&without_visibilities(&file.code));
            for name in test_modules {
                tests.push([path.as_slice(), &[name]].concat());
            }
            let module = Module {
                uses: uses(&code),
                defined: defined(&code),
                file: relative.trim_start_matches('/').to_owned(),
                code,
            };
            modules.insert(path, module);
        }
        modules.retain(|path, _| !tests.iter().any(|test| path.starts_with(test)));
        let mut imports = Self {
            modules,
            edges: BTreeMap::new(),
        };
        imports.edges = imports
            .modules
            .keys()
            .map(|path| (path.clone(), imports.edges_of(path)))
            .collect();
        imports
    }

    fn edges_of(&self, of: &Path) -> BTreeMap<Path, BTreeSet<String>> {
        let module = &self.modules[of];
        let mut edges: BTreeMap<Path, BTreeSet<String>> = BTreeMap::new();
        let private = module.uses.iter().filter(|it| !it.is_public);
        let body = without_uses(&module.code);
        let own = module.uses.iter().filter(|it| it.is_public);
        let own = own.filter(|it| words_of(&body).any(|word| word == it.name));
        let paths = private.chain(own).map(|it| it.path.clone());
        for path in paths.chain(paths_in(&body)) {
            if let Some(target) = self.target(of, &path)
                && target != *of
            {
                edges.entry(target).or_default().insert(path.join("::"));
            }
        }
        edges
    }

    /// The module that defines what a path names, if it is one of the crate.
    fn target(&self, of: &Path, path: &[String]) -> Option<Path> {
        let (start, rest) = match self.absolute(of, path) {
            Some(place) => place,
            // A module that was imported.
            None => {
                let uses = &self.modules[of].uses;
                let module = uses
                    .iter()
                    .find(|it| it.name == path[0] && path.len() > 1)?;
                let (start, mut rest) = self.absolute(of, &module.path)?;
                rest.extend_from_slice(&path[1..]);
                (start, rest)
            }
        };
        let rest = match rest.split_last() {
            Some((last, before)) if last == "*" => before,
            _ => &rest,
        };
        self.resolve(&start, rest, 0)
    }

    /// The module where a path begins and what is left of it, if it begins in the crate.
    fn absolute(&self, of: &Path, path: &[String]) -> Option<(Path, Path)> {
        match path[0].as_str() {
            "crate" => Some((Path::new(), path[1..].to_vec())),
            "self" => Some((of.clone(), path[1..].to_vec())),
            "super" => {
                let ups = path.iter().take_while(|part| *part == "super").count();
                let depth = of.len().checked_sub(ups)?;
                Some((of[..depth].to_vec(), path[ups..].to_vec()))
            }
            first => {
                let child = [of.as_slice(), &[first.to_owned()]].concat();
                let is_child = self.modules.contains_key(&child);
                is_child.then(|| (of.clone(), path.to_vec()))
            }
        }
    }

    fn resolve(&self, at: &Path, rest: &[String], depth: usize) -> Option<Path> {
        /// Re-exports of re-exports.
        const DEPTH_MAX: usize = 8;
        let Some(first) = rest.first() else {
            return Some(at.clone());
        };
        let child = [at.as_slice(), std::slice::from_ref(first)].concat();
        if self.modules.contains_key(&child) {
            return self.resolve(&child, &rest[1..], depth);
        }
        let module = self.modules.get(at)?;
        if module.defined.contains(first) || depth == DEPTH_MAX {
            return Some(at.clone());
        }
        let named = module.uses.iter().filter(|it| it.name == *first);
        let globs = module.uses.iter().filter(|it| it.name == "*");
        for it in named.chain(globs) {
            let is_glob = it.name == "*";
            let end = it.path.len() - usize::from(is_glob);
            let Some((start, mut path)) = self.absolute(at, &it.path[..end]) else {
                continue;
            };
            path.extend_from_slice(&rest[usize::from(!is_glob)..]);
            let found = self.resolve(&start, &path, depth + 1);
            let defines = |path: &Path| self.modules[path].defined.contains(first);
            if !is_glob || found.as_ref().is_some_and(defines) {
                return found;
            }
        }
        Some(at.clone())
    }

    /// Modules that reach each other by imports, as far as there are more than `most` of them: the files
    /// of each such circle, with who imports what.
    #[must_use]
    pub fn circles_of_more_than(&self, most: usize) -> Vec<String> {
        let reachable: BTreeMap<&Path, BTreeSet<&Path>> = self
            .edges
            .keys()
            .map(|path| (path, self.reachable(path)))
            .collect();
        let mut told: BTreeSet<&Path> = BTreeSet::new();
        let mut circles = Vec::new();
        for path in self.edges.keys() {
            let back = |other: &&Path| reachable[*other].contains(path);
            let circle: BTreeSet<&Path> = reachable[path].iter().copied().filter(back).collect();
            if circle.len() > most && told.insert(path) {
                told.extend(&circle);
                circles.push(self.describe(&circle));
            }
        }
        circles
    }

    fn reachable(&self, from: &Path) -> BTreeSet<&Path> {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&Path> = self.edges[from].keys().collect();
        while let Some(path) = next.pop() {
            if reached.insert(path) {
                next.extend(self.edges[path].keys());
            }
        }
        reached
    }

    fn describe(&self, circle: &BTreeSet<&Path>) -> String {
        let mut text = format!("{} files import each other in a circle:", circle.len());
        for from in circle {
            for (to, paths) in self.edges[*from]
                .iter()
                .filter(|(to, _)| circle.contains(to))
            {
                let paths: Vec<&str> = paths.iter().take(3).map(String::as_str).collect();
                let (from, to) = (&self.modules[*from].file, &self.modules[to].file);
                text += &format!("\n  {from} imports {to}: {}", paths.join(", "));
            }
        }
        text
    }
}

fn module_path(file: &str) -> Path {
    let parts = file.trim_end_matches(".rs").split('/');
    let mut path: Path = parts.map(str::to_owned).collect();
    if matches!(path.last().map(String::as_str), Some("mod" | "lib")) {
        path.pop();
    }
    path
}

/// The code with `pub` for `pub(super)` and the like.
fn without_visibilities(code: &str) -> String {
    let mut parts = code.split("pub(");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain += "pub";
        plain += part.split_once(')').map_or("", |(_, rest)| rest);
    }
    plain
}

/// The code without items behind `#[cfg(test)]`, and the names of the modules among those.
fn without_tests(code: &str) -> (String, Vec<String>) {
    const MARK: &str = "#[cfg(test)]";
    let (mut plain, mut modules) = (String::new(), Vec::new());
    let mut rest = code;
    while let Some((before, after)) = rest.split_once(MARK) {
        plain += before;
        let end = item_end(after);
        let words: Vec<&str> = words_of(&after[..end]).collect();
        if let Some(at) = words.iter().position(|word| *word == "mod") {
            modules.extend(words.get(at + 1).map(|name| (*name).to_owned()));
        }
        rest = &after[end..];
    }
    (plain + rest, modules)
}

/// Where the item ends that `code` starts with.
fn item_end(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(c, '}' | ';') {
            return at + 1;
        }
    }
    code.len()
}

/// The `use` declarations of some code: where each begins and ends, with its text.
fn use_declarations(code: &str) -> Vec<(usize, usize, bool)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = code[from..].find("use ").map(|at| from + at) {
        from = at + 4;
        let before = code[..at].trim_end_matches(' ');
        let is_public = before.ends_with("pub");
        let starts = before.is_empty() || before.ends_with(['\n', ';', '}', '{', ']']);
        if (is_public || starts)
            && let Some(end) = code[at..].find(';')
        {
            found.push((at, at + end + 1, is_public));
            from = at + end + 1;
        }
    }
    found
}

fn without_uses(code: &str) -> String {
    let mut plain = String::new();
    let mut from = 0;
    for (start, end, _) in use_declarations(code) {
        plain += &code[from..start];
        from = end;
    }
    plain + &code[from..]
}

fn uses(code: &str) -> Vec<Use> {
    let mut all = Vec::new();
    for (start, end, is_public) in use_declarations(code) {
        expand(&[], &code[start + 4..end - 1], is_public, &mut all);
    }
    all
}

/// Adds the names of a tree such as `a::{self, b as c, d::*}`.
fn expand(base: &[String], tree: &str, is_public: bool, all: &mut Vec<Use>) {
    let tree = tree.trim();
    let mut path = base.to_vec();
    let mut rest = tree;
    while let Some((part, after)) = rest.split_once("::") {
        if part.contains(['{', ',']) {
            break;
        }
        path.push(part.trim().to_owned());
        rest = after.trim_start();
    }
    if let Some(inner) = rest.strip_prefix('{') {
        for part in at_top_level(inner.trim_end().trim_end_matches('}')) {
            expand(&path, part, is_public, all);
        }
        return;
    }
    let (item, name) = rest.split_once(" as ").unwrap_or((rest, ""));
    let (item, name) = (item.trim(), name.trim());
    if item.is_empty() {
        return;
    }
    if item != "self" || path.is_empty() {
        path.push(item.to_owned());
    }
    let last = path.last().cloned().unwrap_or_default();
    all.push(Use {
        name: if name.is_empty() {
            last
        } else {
            name.to_owned()
        },
        path,
        is_public,
    });
}

/// The parts between commas that are in no braces.
fn at_top_level(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[from..]);
    parts
}

/// Names of items that some code defines.
fn defined(code: &str) -> BTreeSet<String> {
    const KEYWORDS: &[&str] = &[
        "struct",
        "enum",
        "fn",
        "trait",
        "type",
        "const",
        "static",
        "union",
        "macro_rules",
    ];
    let words: Vec<&str> = words_of(code).collect();
    words
        .windows(2)
        .filter(|pair| KEYWORDS.contains(&pair[0]))
        .map(|pair| pair[1].to_owned())
        .collect()
}

fn words_of(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// Paths such as `a::b::c` in some code.
fn paths_in(code: &str) -> Vec<Path> {
    let in_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    code.split(|c: char| !in_path(c))
        .filter(|path| path.contains("::") && !path.starts_with(':'))
        .map(|path| {
            path.split("::")
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect()
        })
        .filter(|path: &Path| path.len() > 1)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(files: &[(&str, &str)]) -> Imports {
        let file = |(path, code): &(&str, &str)| SourceFile {
            path: (*path).to_owned(),
            text: (*code).to_owned(),
            code: (*code).to_owned(),
        };
        Imports::of_files("", files.iter().map(file).collect())
    }

    #[test]
    fn a_circle_is_found_and_described() {
        let all = imports(&[
            ("lib.rs", "mod a;\nmod b;\nmod c;\n"),
            ("a.rs", "use crate::b::B;\npub struct A(B);\n"),
            ("b.rs", "pub struct B;\nfn f() { super::c::f() }\n"),
            ("c.rs", "use super::a;\npub fn f() { a::A::new() }\n"),
        ]);
        assert_eq!(all.circles_of_more_than(3).len(), 0);
        let circles = all.circles_of_more_than(2);
        assert_eq!(circles.len(), 1);
        assert!(
            circles[0].contains("b.rs imports c.rs: super::c::f"),
            "{circles:?}"
        );
    }

    #[test]
    fn a_re_export_counts_for_the_file_that_defines_the_item() {
        let all = imports(&[
            ("lib.rs", "mod room;\n"),
            (
                "room/mod.rs",
                "pub mod one;\nmod two;\npub use one::{One, other as another};\npub use two::*;\n",
            ),
            ("room/one.rs", "use super::Two;\npub struct One(Two);\n"),
            (
                "room/two.rs",
                "pub(super) struct Two;\nfn f() -> crate::room::One { super::another() }\n",
            ),
        ]);
        let circles = all.circles_of_more_than(0);
        assert_eq!(circles.len(), 1);
        assert!(!circles[0].contains("mod.rs"), "{circles:?}");
        assert!(
            circles[0].contains("room/two.rs imports room/one.rs: crate::room::One"),
            "{circles:?}"
        );
    }

    #[test]
    fn tests_and_declarations_of_modules_do_not_count() {
        let all = imports(&[
            ("lib.rs", "mod a;\n#[cfg(test)]\nmod tests;\n"),
            (
                "a.rs",
                "pub struct A;\n#[cfg(test)]\nmod tests { use crate::tests::T; }\n",
            ),
            ("tests.rs", "use crate::a::A;\npub struct T(A);\n"),
        ]);
        assert!(all.circles_of_more_than(0).is_empty());
    }
}
