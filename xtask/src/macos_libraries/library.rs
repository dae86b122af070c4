//! What a test of a library says of it, in the comment that it begins with:
//!
//! - `crate: NAME VERSION`, once or more: the packages that have the sources. Paths begin with these names.
//! - `sources: PATTERN…` and `without: PATTERN…`: the files to compile. A pattern may have `{a,b}` and, in its last part, one `*`.
//! - `configure: FILE NAME=VALUE…`: a header to make of `FILE`, whose name ends with `.in` or `.cmake.in`, as CMake does: `${NAME}`
//!   is replaced, and `#cmakedefine` of a name that has no value is left out.
//! - `flags: FLAG…`: for compiling and linking. They may have `{a,b}`, too.

use std::path::{Path, PathBuf};

/// A library, and the program that tests it.
pub struct Library {
    /// The name of the program's file without its end.
    pub name: String,
    /// The program.
    pub driver: PathBuf,
    /// Packages with their versions.
    pub crates: Vec<(String, String)>,
    sources: Vec<String>,
    without: Vec<String>,
    /// Headers to make, with what to replace.
    pub configured: Vec<(String, Vec<(String, String)>)>,
    /// For compiling and linking.
    pub flags: Vec<String>,
}

impl Library {
    /// What the program at `driver` says.
    ///
    /// # Errors
    /// When it cannot be read, or says something else.
    pub fn read(driver: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(driver);
        let text = text.map_err(|error| format!("{}: {error}", driver.display()))?;
        let name = driver.file_stem().unwrap_or_default().to_string_lossy();
        let mut library = Self {
            name: name.into_owned(),
            driver: driver.to_owned(),
            crates: Vec::new(),
            sources: Vec::new(),
            without: Vec::new(),
            configured: Vec::new(),
            flags: Vec::new(),
        };
        // They end with an empty comment.
        let lines = text.lines().map_while(|line| line.strip_prefix("// "));
        for line in lines {
            let said = library.add(line);
            said.ok_or_else(|| format!("{}: `{line}` says nothing known", driver.display()))?;
        }
        match library.crates.is_empty() || library.sources.is_empty() {
            true => Err(format!("{}: names no sources", driver.display())),
            false => Ok(library),
        }
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let (what, value) = line.split_once(": ")?;
        let mut words = value.split_whitespace();
        let expanded = || value.split_whitespace().flat_map(alternatives);
        match what {
            "crate" => {
                let package = (words.next()?.to_owned(), words.next()?.to_owned());
                self.crates.push(package);
            }
            "sources" => self.sources.extend(expanded()),
            "without" => self.without.extend(expanded()),
            "flags" => self.flags.extend(expanded()),
            "configure" => {
                let file = words.next()?.to_owned();
                let values = words.map(|word| word.split_once('='));
                let values: Option<Vec<_>> = values
                    .map(|pair| pair.map(|(name, value)| (name.to_owned(), value.to_owned())))
                    .collect();
                self.configured.push((file, values?));
            }
            _ => return None,
        }
        Some(())
    }

    /// Whether programs with the library are linked as C++.
    pub fn is_cxx(&self) -> bool {
        self.driver.extension().is_some_and(|end| end == "cpp")
    }

    /// The files to compile, as seen from `directory`, which has the packages under their names.
    ///
    /// # Errors
    /// When a pattern fits none.
    pub fn sources(&self, directory: &Path) -> Result<Vec<String>, String> {
        let mut sources = Vec::new();
        for pattern in &self.sources {
            let found = files(directory, pattern)?;
            if found.is_empty() {
                return Err(format!("{}: {pattern} fits no file", self.name));
            }
            sources.extend(found);
        }
        sources.retain(|source| !self.without.contains(source));
        Ok(sources)
    }
}

/// The files that a pattern fits, in order.
fn files(directory: &Path, pattern: &str) -> Result<Vec<String>, String> {
    let (parent, name) = pattern.rsplit_once('/').unwrap_or((".", pattern));
    let Some((before, behind)) = name.split_once('*') else {
        let is_there = directory.join(pattern).is_file();
        return Ok(is_there.then(|| pattern.to_owned()).into_iter().collect());
    };
    let entries = std::fs::read_dir(directory.join(parent));
    let entries = entries.map_err(|error| format!("{parent}: {error}"))?;
    let mut found: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| {
            let rest = name.strip_prefix(before);
            rest.is_some_and(|rest| rest.ends_with(behind))
        })
        .map(|name| format!("{parent}/{name}"))
        .collect();
    found.sort();
    Ok(found)
}

/// What a word with `{a,b}` stands for.
fn alternatives(word: &str) -> Vec<String> {
    let parts = word
        .split_once('{')
        .and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    let Some((before, (choice, behind))) = parts else {
        return vec![word.to_owned()];
    };
    let choices = choice
        .split(',')
        .map(|one| format!("{before}{one}{behind}"));
    choices.flat_map(|word| alternatives(&word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_choices_stand_for_several() {
        assert_eq!(alternatives("a"), ["a"]);
        assert_eq!(
            alternatives("{a,b}/{c,d}.c"),
            ["a/c.c", "a/d.c", "b/c.c", "b/d.c"]
        );
        assert_eq!(alternatives("open{"), ["open{"]);
    }

    #[test]
    fn all_tests_say_what_they_test() {
        let directory = crate::command::root().join(super::super::DRIVERS);
        let drivers = super::super::drivers(&directory).expect("there are some");
        for driver in drivers {
            Library::read(&driver).expect("it says what it tests");
        }
    }
}
