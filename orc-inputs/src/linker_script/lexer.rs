//! Words of linker scripts.
//!
//! What ends a word depends on where it stands, as in GNU ld: `-`, `+`, `/` and `*` are letters of
//! file names and operators of expressions.

/// A text, and how far it was read.
#[derive(Clone, Copy)]
pub(super) struct Lexer<'a> {
    rest: &'a str,
}

/// Where a word stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// In a list of files: `=` may begin a path.
    Files,
    /// Where a statement begins.
    Statement,
    /// In an expression, where operators end a name.
    Expression,
}

/// Operators of assignments, longer ones first.
const ASSIGNMENTS: &[&str] = &["<<=", ">>=", "+=", "-=", "*=", "/=", "&=", "|=", "^=", "="];

/// Operators of expressions, longer ones first.
const OPERATORS: &[&str] = &[
    "<<", ">>", "==", "!=", "<=", ">=", "&&", "||", "+", "-", "*", "/", "%", "&", "|", "^", "~",
    "!", "<", ">", "?", ":", "=",
];

const PUNCTUATION: &str = "(){},;";

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// What was not read.
    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    /// The next word; nothing at the end.
    pub(super) fn next(&mut self, place: Place) -> Result<Option<&'a str>, String> {
        self.skip_space()?;
        let Some(first) = self.rest.chars().next() else {
            return Ok(None);
        };
        let length = if first == '"' {
            2 + self.rest[1..].find('"').ok_or("a string does not end")?
        } else if PUNCTUATION.contains(first) {
            1
        } else {
            match place {
                Place::Files => self.file_length(),
                Place::Statement => self.name_length(),
                Place::Expression => self.operand_length(),
            }
        };
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(Some(word))
    }

    /// The next word, which is not read yet.
    pub(super) fn peek(&self, place: Place) -> Result<Option<&'a str>, String> {
        Self { rest: self.rest }.next(place)
    }

    /// Reads an operator of assignments, if there is one.
    pub(super) fn assignment(&mut self) -> Result<Option<&'static str>, String> {
        self.skip_space()?;
        // `==` is none.
        let found = ASSIGNMENTS.iter().find(|op| self.rest.starts_with(**op));
        let found = found.filter(|_| !self.rest.starts_with("=="));
        if let Some(operator) = found {
            self.rest = &self.rest[operator.len()..];
        }
        Ok(found.copied())
    }

    fn skip_space(&mut self) -> Result<(), String> {
        loop {
            self.rest = self.rest.trim_start();
            if let Some(comment) = self.rest.strip_prefix("/*") {
                let end = comment.find("*/").ok_or("a comment does not end")?;
                self.rest = &comment[end + 2..];
            } else if self.rest.starts_with('#') {
                self.rest = self.rest.split_once('\n').map_or("", |(_, after)| after);
            } else {
                return Ok(());
            }
        }
    }

    fn length_until(&self, ends: impl Fn(usize, char) -> bool) -> usize {
        let mut places = self.rest.char_indices();
        // The first character belongs to the word in any case.
        places.next();
        let end = places.find(|&(at, c)| c.is_whitespace() || c == '"' || ends(at, c));
        end.map_or(self.rest.len(), |(at, _)| at)
    }

    fn file_length(&self) -> usize {
        self.length_until(|_, c| PUNCTUATION.contains(c))
    }

    fn name_length(&self) -> usize {
        self.length_until(|at, c| {
            let operator = ASSIGNMENTS.iter().any(|op| self.rest[at..].starts_with(op));
            operator || PUNCTUATION.contains(c)
        })
    }

    fn operand_length(&self) -> usize {
        if let Some(operator) = OPERATORS.iter().find(|op| self.rest.starts_with(**op)) {
            return operator.len();
        }
        self.length_until(|_, c| !(c.is_alphanumeric() || "_.$".contains(c)))
    }
}

/// A word without the quotes around it.
pub(super) fn unquote(word: &str) -> &str {
    word.strip_prefix('"')
        .and_then(|w| w.strip_suffix('"'))
        .unwrap_or(word)
}
