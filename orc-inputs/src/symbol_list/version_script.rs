//! Version scripts (`--version-script`), as far as they say who sees a symbol:
//!
//! ```text
//! V1 { global: api_*; extern "C++" { geometry::*; }; local: *; };
//! V2 { global: newer; } V1;
//! ```
//!
//! Versions themselves are for a file that other programs are linked with.

use jit_core::demangle::demangle;

use super::{Parser, Pattern, SymbolPatterns, is_demangled, is_match};

/// Who sees which symbols.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VersionScript {
    global: SymbolPatterns,
    local: SymbolPatterns,
}

/// How closely a pattern fits a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// The pattern is `*`, which fits all names.
    All,
    Glob,
    Exact,
}

impl VersionScript {
    /// Adds what a file says.
    ///
    /// # Errors
    /// With what is not understood.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        let mut parser = Parser {
            rest: text,
            patterns: Vec::new(),
        };
        let mut named = false;
        while let Some(token) = parser.next()? {
            match token {
                "{" => {
                    self.version(&mut parser)?;
                    named = false;
                    // The versions that this one follows.
                    while let Some(word) = parser.next()?
                        && word != ";"
                    {
                        if matches!(word, "{" | "}") {
                            return Err(format!("expected `;` after a version, found `{word}`"));
                        }
                    }
                }
                ";" if !named => {}
                "}" | ";" => return Err(format!("expected `{{`, found `{token}`")),
                other if named => return Err(format!("expected `{{`, found `{other}`")),
                _ => named = true,
            }
        }
        match named {
            true => Err("expected `{` after a version's name".to_owned()),
            false => Ok(()),
        }
    }

    /// Symbols up to the closing brace.
    fn version(&mut self, parser: &mut Parser<'_>) -> Result<(), String> {
        let mut is_local = false;
        loop {
            let mut word = parser.next()?.ok_or("a `{` has no `}`")?;
            for (label, local) in [("global", false), ("local", true)] {
                let rest = word.strip_prefix(label);
                if rest == Some("") && parser.rest.trim_start().starts_with(':') {
                    parser.rest = &parser.rest.trim_start()[1..];
                    (is_local, word) = (local, ";");
                } else if let Some(rest) = rest.and_then(|rest| rest.strip_prefix(':'))
                    && !rest.starts_with(':')
                {
                    (is_local, word) = (local, if rest.is_empty() { ";" } else { rest });
                }
            }
            match word {
                "}" => return Ok(()),
                ";" => continue,
                "{" => return Err("a `{` within another one needs `extern`".to_owned()),
                "extern" => {
                    let language = parser.next()?.unwrap_or_default();
                    let demangled = is_demangled(language)?;
                    match parser.next()? {
                        Some("{") => parser.block(demangled, super::DEPTH_MAX)?,
                        _ => return Err(format!("expected `{{` after `extern {language}`")),
                    }
                }
                word => parser.pattern(word, false),
            }
            let to = match is_local {
                true => &mut self.local,
                false => &mut self.global,
            };
            to.0.append(&mut parser.patterns);
        }
    }

    /// Whether every symbol stays visible.
    #[must_use]
    pub fn hides_nothing(&self) -> bool {
        self.local.is_empty()
    }

    /// Whether the symbol of this name is for the program alone. What fits its name best decides.
    #[must_use]
    pub fn hides(&self, name: &[u8]) -> bool {
        let any_demangled = |patterns: &SymbolPatterns| patterns.0.iter().any(|p| p.demangled);
        let readable = (any_demangled(&self.global) || any_demangled(&self.local))
            .then(|| demangle(name).into_bytes());
        let best = |patterns: &SymbolPatterns| -> Option<Fit> {
            let fits = patterns.0.iter().filter_map(|pattern| {
                let name = match &readable {
                    Some(readable) if pattern.demangled => readable,
                    _ => name,
                };
                pattern.fit(name)
            });
            fits.max()
        };
        match (best(&self.local), best(&self.global)) {
            (Some(local), Some(global)) => local > global,
            (local, None) => local.is_some(),
            (None, Some(_)) => false,
        }
    }
}

impl Pattern {
    fn fit(&self, name: &[u8]) -> Option<Fit> {
        let text = self.text.as_bytes();
        if text == name {
            return Some(Fit::Exact);
        }
        if self.exact || !is_match(text, name) {
            return None;
        }
        Some(if text == b"*" { Fit::All } else { Fit::Glob })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Result<VersionScript, String> {
        let mut script = VersionScript::default();
        script.add(text)?;
        Ok(script)
    }

    #[test]
    fn who_sees_what() {
        let text = "/* one */ V1 { global: api_*; one; extern \"C++\" { \"f(int)\"; }; local: *; hidden; };
                    V2 { newer; local : api_internal; } V1;";
        let script = script(text).expect("a version script");
        for name in ["api_x", "one", "_Z1fi", "newer"] {
            assert!(!script.hides(name.as_bytes()), "{name}");
        }
        for name in ["other", "hidden", "_Z1fv", "api_internal"] {
            assert!(script.hides(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn versions_without_names_and_local_symbols() {
        let anonymous = script("{ local:*; };").expect("a version script");
        assert!(anonymous.hides(b"x") && !anonymous.hides_nothing());
        let empty = script("").expect("nothing");
        assert!(!empty.hides(b"x") && empty.hides_nothing());
        assert!(!script("V1 { x; };").expect("a version").hides(b"y"));
    }

    #[test]
    fn what_is_no_version_script_is_told() {
        let error = |text: &str| script(text).unwrap_err();
        assert_eq!(error("V1"), "expected `{` after a version's name");
        assert_eq!(error("V1 V2 { };"), "expected `{`, found `V2`");
        assert_eq!(error("V1 { a;"), "a `{` has no `}`");
        assert_eq!(
            error("V1 { { a; }; };"),
            "a `{` within another one needs `extern`"
        );
        assert!(error("V1 { extern \"Java\" { a; }; };").contains("`Java`"));
        assert!(error("V1 { a; } { b; };").contains("after a version"));
    }
}
