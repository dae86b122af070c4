//! Words for the linker proper among those of a compiler driver.

use std::ffi::OsString;

use super::{utf8, value_of};

/// Words that a compiler driver hands on to the linker.
pub(super) struct LinkerWords<'a> {
    /// Words for the linker in the argument that is being read (`-Wl,A,B`).
    pub(super) given: std::vec::IntoIter<String>,
    /// The arguments that follow, where a word's value may stand.
    args: &'a mut dyn Iterator<Item = OsString>,
}

impl<'a> LinkerWords<'a> {
    pub(super) fn new(
        given: impl IntoIterator<Item = String>,
        args: &'a mut dyn Iterator<Item = OsString>,
    ) -> Self {
        let given: Vec<String> = given.into_iter().collect();
        let given = given.into_iter();
        Self { given, args }
    }

    /// The word after `option`. The linker does not see where one argument of the driver ends and
    /// the next one starts, so it may be in that.
    pub(super) fn value_of(&mut self, option: &str) -> Result<String, String> {
        if let Some(word) = self.given.next() {
            return Ok(word);
        }
        let missing = || format!("linker option {option} needs a value");
        let arg = utf8(self.args.next().ok_or_else(missing)?)?;
        if let Some(words) = arg.strip_prefix("-Wl,") {
            let words: Vec<String> = split(words).collect();
            self.given = words.into_iter();
            return self.given.next().ok_or_else(missing);
        }
        match arg.as_str() {
            "-Xlinker" => utf8(value_of(option, self.args)?),
            // The driver keeps its own options to itself, and hands on the names of files.
            other if other.starts_with('-') => Err(missing()),
            _ => Ok(arg),
        }
    }
}

/// The words behind `-Wl,`.
pub(super) fn split(words: &str) -> impl Iterator<Item = String> {
    words.split(',').map(str::to_owned)
}
