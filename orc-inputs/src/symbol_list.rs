//! Patterns that choose symbols by their names, from `--export-dynamic-symbol`, and lists of them in
//! files, from `--dynamic-list`:
//!
//! ```text
//! { plugin_*; extern "C++" { "geometry::area(int)"; geometry::*; }; };
//! ```
//!
//! Within `extern "C++"` a name is compared in its readable form, and what is quoted there stands for
//! itself alone.

mod version_script;

use jit_core::demangle::demangle;

pub use self::version_script::VersionScript;

/// `extern` within `extern`, at most.
const DEPTH_MAX: u32 = 16;

/// A choice of symbols.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SymbolPatterns(Vec<Pattern>);

/// What some names look like.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Pattern {
    text: String,
    /// Whether the text is a name, whatever characters it has.
    exact: bool,
    /// Whether it is compared with demangled names.
    demangled: bool,
}

impl SymbolPatterns {
    /// Adds the symbols whose names match `glob`: `*` stands for any characters, `?` for one, `[a-z]`
    /// and `[!a-z]` for one of some; behind a backslash, each of these stands for itself.
    pub fn add(&mut self, glob: impl Into<String>) {
        self.0.push(Pattern {
            text: glob.into(),
            exact: false,
            demangled: false,
        });
    }

    /// Adds those that a list in a file chooses.
    ///
    /// # Errors
    /// With what is not understood.
    pub fn add_list(&mut self, text: &str) -> Result<(), String> {
        let mut parser = Parser {
            rest: text,
            patterns: Vec::new(),
        };
        while let Some(token) = parser.next()? {
            match token {
                "{" => parser.block(false, DEPTH_MAX)?,
                ";" => {}
                other => return Err(format!("expected `{{`, found `{other}`")),
            }
        }
        self.0.append(&mut parser.patterns);
        Ok(())
    }

    /// Whether no symbol is chosen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the symbol of this name is chosen.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        let any_demangled = self.0.iter().any(|pattern| pattern.demangled);
        let readable = any_demangled.then(|| demangle(name));
        self.0.iter().any(|pattern| {
            let name = match &readable {
                Some(readable) if pattern.demangled => readable.as_bytes(),
                _ => name,
            };
            match pattern.exact {
                true => pattern.text.as_bytes() == name,
                false => is_match(pattern.text.as_bytes(), name),
            }
        })
    }
}

struct Parser<'a> {
    rest: &'a str,
    patterns: Vec<Pattern>,
}

impl<'a> Parser<'a> {
    /// The next word, quoted text or punctuation.
    fn next(&mut self) -> Result<Option<&'a str>, String> {
        loop {
            self.rest = self.rest.trim_start();
            if let Some(comment) = self.rest.strip_prefix("/*") {
                let (_, after) = comment.split_once("*/").ok_or("a comment does not end")?;
                self.rest = after;
            } else if self.rest.starts_with('#') {
                self.rest = self.rest.split_once('\n').map_or("", |(_, after)| after);
            } else {
                break;
            }
        }
        let Some(first) = self.rest.chars().next() else {
            return Ok(None);
        };
        let length = match first {
            '{' | '}' | ';' => 1,
            '"' => 2 + self.rest[1..].find('"').ok_or("a string does not end")?,
            _ => {
                let ends = |c: char| c.is_whitespace() || "{};\"".contains(c);
                self.rest.find(ends).unwrap_or(self.rest.len())
            }
        };
        let (token, after) = self.rest.split_at(length);
        self.rest = after;
        Ok(Some(token))
    }

    /// Patterns up to the closing brace.
    fn block(&mut self, demangled: bool, depth: u32) -> Result<(), String> {
        loop {
            match self.next()?.ok_or("a `{` has no `}`")? {
                "}" => return Ok(()),
                ";" => {}
                "{" => return Err("a `{` within another one needs `extern`".to_owned()),
                "extern" if depth > 0 => {
                    let language = self.next()?.unwrap_or_default();
                    let demangled = is_demangled(language)?;
                    match self.next()? {
                        Some("{") => self.block(demangled, depth - 1)?,
                        _ => return Err(format!("expected `{{` after `extern {language}`")),
                    }
                }
                word => self.pattern(word, demangled),
            }
        }
    }

    fn pattern(&mut self, word: &str, demangled: bool) {
        let unquoted = word.strip_prefix('"').and_then(|w| w.strip_suffix('"'));
        self.patterns.push(Pattern {
            text: unquoted.unwrap_or(word).to_owned(),
            exact: unquoted.is_some(),
            demangled,
        });
    }
}

/// Whether names of a language have a form for people to read.
fn is_demangled(language: &str) -> Result<bool, String> {
    match language.trim_matches('"') {
        "C" => Ok(false),
        "C++" => Ok(true),
        other => Err(format!(
            "the language `{other}` is not known: C and C++ are"
        )),
    }
}

/// Whether `pattern` stands for `text`.
fn is_match(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut done) = (0, 0);
    // Behind the last `*`, and up to where it stands for the text.
    let mut star = None;
    while done < text.len() {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            star = Some((at, done));
        } else if let Some(length) = matched_len(&pattern[at..], text[done]) {
            at += length;
            done += 1;
        } else if let Some((behind, end)) = star {
            star = Some((behind, end + 1));
            (at, done) = (behind, end + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// Length of what stands for one byte at the start of the pattern, if that is `byte`.
fn matched_len(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'\\', literal, ..] => (*literal == byte).then_some(2),
        [b'[', rest @ ..] => match set(rest, byte) {
            Some((has, length)) => has.then_some(1 + length),
            // Without an end it is a bracket.
            None => (byte == b'[').then_some(1),
        },
        [literal, ..] => (*literal == byte).then_some(1),
        [] => None,
    }
}

/// Whether the set that ends with the first `]` has `byte`, and the set's length with the bracket.
fn set(pattern: &[u8], byte: u8) -> Option<(bool, usize)> {
    let inverted = matches!(pattern, [b'!' | b'^', ..]);
    let start = usize::from(inverted);
    // A bracket right at the start is one of the set.
    let tail = pattern.get(start + 1..)?;
    let end = start + 1 + tail.iter().position(|b| *b == b']')?;
    let mut has = false;
    let mut rest = &pattern[start..end];
    while let [first, after @ ..] = rest {
        (has, rest) = match after {
            [b'-', last, after @ ..] => (has | (*first..=*last).contains(&byte), after),
            _ => (has | (*first == byte), after),
        };
    }
    Some((has != inverted, end + 1))
}

/// Reads arbitrary bytes as a list and compares names with it: the entry of the fuzz target. Never
/// panics.
pub fn fuzz_symbol_list(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut patterns = SymbolPatterns::default();
    patterns.add(text.lines().next().unwrap_or_default());
    // An error is as good as a list.
    let _ = patterns.add_list(&text);
    let mut versions = VersionScript::default();
    let _ = versions.add(&text);
    for name in [&b"plain"[..], b"_Z3fooi", b"[]", b"", b"\xff*"] {
        let _ = (patterns.matches(name), versions.hides(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        for (texts, expected) in [(yes, true), (no, false)] {
            for text in texts {
                let found = is_match(pattern.as_bytes(), text.as_bytes());
                assert_eq!(found, expected, "{pattern} and {text}");
            }
        }
    }

    #[test]
    fn globs() {
        check("plain", &["plain"], &["plai", "plainer", ""]);
        check("*", &["", "x", "xyz"], &[]);
        check("a*b*c", &["abc", "aXbYc", "abcbc"], &["ab", "abcd", "bc"]);
        check("**a", &["a", "ba"], &["", "ab"]);
        check("?x", &["ax"], &["x", "aax"]);
        check("[a-cx]1", &["a1", "c1", "x1"], &["d1", "1", "-1"]);
        check("[!a-c]", &["d", "-"], &["a", "c", ""]);
        check("[^a]", &["b"], &["a"]);
        check("[]-]", &["]", "-"], &["a", "[]"]);
        check("[!]]", &["a"], &["]"]);
        check("[a", &["[a"], &["a"]);
        check("[", &["["], &[""]);
        check(r"\*\", &[r"*\"], &[r"x\", "*"]);
    }

    fn list(text: &str) -> Result<SymbolPatterns, String> {
        let mut patterns = SymbolPatterns::default();
        patterns.add_list(text)?;
        Ok(patterns)
    }

    #[test]
    fn lists() {
        let text = "/* two */ { one; \"t*o\" ; }; # lists\n{extern \"C++\"{ \"f(int)\"; g*; };                     extern \"C\" { h*; }; three };";
        let patterns = list(text).expect("a list");
        let matches = |name: &str| patterns.matches(name.as_bytes());
        for name in ["one", "t*o", "_Z1fi", "_Z1gv", "_Z2g2v", "h", "h1", "three"] {
            assert!(matches(name), "{name}");
        }
        for name in ["two", "_Z1fv", "_Z1hv", "f(int)x", "four"] {
            assert!(!matches(name), "{name}");
        }
        assert!(list("").expect("no list").is_empty());
    }

    #[test]
    fn what_is_no_list_is_told() {
        let error = |text: &str| list(text).unwrap_err();
        assert_eq!(error("symbol;"), "expected `{`, found `symbol`");
        assert_eq!(error("{ a;"), "a `{` has no `}`");
        assert_eq!(
            error("{ { a; }; };"),
            "a `{` within another one needs `extern`"
        );
        assert_eq!(error("{ /* a }"), "a comment does not end");
        assert_eq!(error("{ \"a }"), "a string does not end");
        assert_eq!(
            error("{ extern \"C\" a; };"),
            "expected `{` after `extern \"C\"`"
        );
        assert!(error("{ extern \"Java\" { a; }; };").contains("`Java` is not known"));
        let nested = "{ extern \"C\" ".repeat(100);
        assert!(list(&nested).is_err());
    }
}
