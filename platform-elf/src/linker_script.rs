//! GNU linker scripts in place of libraries: `libc.so` is a text file that names three others.
//!
//! Only what such files hold is understood: `INPUT`, `GROUP`, `AS_NEEDED`, `SEARCH_DIR`, `EXTERN`, symbols
//! that are numbers, and statements that say nothing a JIT needs: `OUTPUT_FORMAT` and its like, and
//! `ENTRY`, which names the code that calls `main`, where the runtime stands. A script that lays sections
//! out is refused by the name of the statement.

/// A file that a script asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScriptInput {
    /// What the script says.
    pub what: ScriptName,
    /// Whether it stands inside `AS_NEEDED`: a shared library nothing is taken from is dropped.
    pub as_needed: bool,
}

/// How a script names a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ScriptName {
    /// A path. Relative ones are looked for beside the script, then in the search directories.
    Path(String),
    /// `-lNAME`.
    Library(String),
}

/// What a linker script says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LinkerScript {
    /// The files, in order.
    pub inputs: Vec<ScriptInput>,
    /// Directories that `-l` is to search as well.
    pub search_dirs: Vec<String>,
    /// What it says of symbols.
    pub names: ScriptNames,
}

/// What a linker script says of symbols.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ScriptNames {
    /// `name = number` definitions, as in `PROVIDE`-less scripts of some C libraries.
    pub defined: Vec<(String, u64)>,
    /// Names that archives are searched for even if nothing refers to them (`EXTERN`, as `-u`).
    pub wanted: Vec<String>,
}

/// Whether bytes that are neither ELF nor an archive may be a linker script: text.
#[must_use]
pub fn looks_like_script(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(512)];
    let text = |b: &u8| matches!(b, b' '..=b'~' | b'\n' | b'\r' | b'\t');
    !head.is_empty() && head.iter().all(text)
}

/// Reads a script.
///
/// # Errors
/// With the statement or character that is not understood.
pub fn parse(text: &str) -> Result<LinkerScript, String> {
    let tokens = tokenize(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        script: LinkerScript::default(),
    };
    while let Some(word) = parser.next() {
        parser.statement(word)?;
    }
    Ok(parser.script)
}

/// Splits into words and the punctuation `( ) , ; =`. A word that starts with `=` and continues is
/// a path below the system root.
fn tokenize(text: &str) -> Result<Vec<&str>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else {
            return Ok(tokens);
        };
        let length = if let Some(comment) = rest.strip_prefix("/*") {
            let end = comment.find("*/").ok_or("a comment does not end")?;
            rest = &comment[end + 2..];
            continue;
        } else if first == '#' {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
            continue;
        } else if first == '"' {
            2 + rest[1..].find('"').ok_or("a string does not end")?
        } else if "(),;".contains(first) || is_assignment(rest) {
            1
        } else {
            let ends = |(at, c): (usize, char)| {
                at > 0 && (c.is_whitespace() || "(),;\"".contains(c) || is_assignment(&rest[at..]))
            };
            let end = rest.char_indices().find(|&place| ends(place));
            end.map_or(rest.len(), |(at, _)| at)
        };
        tokens.push(&rest[..length]);
        rest = &rest[length..];
    }
}

/// Whether the text starts with an `=` that stands alone.
fn is_assignment(text: &str) -> bool {
    text.strip_prefix('=')
        .is_some_and(|after| after.starts_with(char::is_whitespace))
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    script: LinkerScript,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        match self.next() {
            Some(token) if token == wanted => Ok(()),
            Some(token) => Err(format!("expected `{wanted}`, found `{token}`")),
            None => Err(format!("expected `{wanted}`, found the end")),
        }
    }

    fn statement(&mut self, word: &str) -> Result<(), String> {
        match word {
            ";" | "," => Ok(()),
            "INPUT" | "GROUP" => {
                self.expect("(")?;
                self.inputs(false)
            }
            "SEARCH_DIR" => {
                self.expect("(")?;
                let dir = self.next().ok_or("SEARCH_DIR has no directory")?;
                self.script.search_dirs.push(unquote(dir).to_owned());
                self.expect(")")
            }
            "EXTERN" => {
                let names = self.words()?;
                self.script.names.wanted.extend(names);
                Ok(())
            }
            "OUTPUT_FORMAT" | "OUTPUT_ARCH" | "TARGET" | "ENTRY" | "OUTPUT" => {
                self.words().map(drop)
            }
            name if self.tokens.first() == Some(&"=") => {
                self.next();
                let value = self.next().unwrap_or("");
                let number = parse_number(value)
                    .ok_or_else(|| format!("cannot evaluate `{name} = {value}`"))?;
                self.script.names.defined.push((name.to_owned(), number));
                Ok(())
            }
            other => Err(format!(
                "linker script statement `{other}` is not supported: only INPUT, GROUP, AS_NEEDED, SEARCH_DIR and the \
                 like are"
            )),
        }
    }

    /// The files up to the closing parenthesis.
    fn inputs(&mut self, as_needed: bool) -> Result<(), String> {
        loop {
            match self.next() {
                Some(")") => return Ok(()),
                Some(",") => {}
                Some("AS_NEEDED") if !as_needed => {
                    self.expect("(")?;
                    self.inputs(true)?;
                }
                Some(word) if !matches!(word, "(" | ";" | "=") => {
                    let what = match unquote(word).strip_prefix("-l") {
                        Some(name) => ScriptName::Library(name.to_owned()),
                        None => ScriptName::Path(unquote(word).to_owned()),
                    };
                    self.script.inputs.push(ScriptInput { what, as_needed });
                }
                Some(word) => return Err(format!("`{word}` in a list of files")),
                None => return Err("a list of files does not end".to_owned()),
            }
        }
    }

    /// Words in parentheses.
    fn words(&mut self) -> Result<Vec<String>, String> {
        self.expect("(")?;
        let mut words = Vec::new();
        loop {
            match self.next() {
                Some(")") => return Ok(words),
                Some(",") => {}
                Some(word) if !matches!(word, "(" | ";" | "=") => {
                    words.push(unquote(word).to_owned());
                }
                Some(word) => return Err(format!("`{word}` in a list of words")),
                None => return Err("a parenthesis does not close".to_owned()),
            }
        }
    }
}

fn unquote(word: &str) -> &str {
    word.strip_prefix('"')
        .and_then(|w| w.strip_suffix('"'))
        .unwrap_or(word)
}

fn parse_number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        let script = match parse(text) {
            Ok(script) => script,
            Err(e) => return e,
        };
        let mut out = Vec::new();
        for input in &script.inputs {
            let mark = if input.as_needed { "?" } else { "" };
            out.push(match &input.what {
                ScriptName::Path(p) => format!("{mark}{p}"),
                ScriptName::Library(l) => format!("{mark}-l {l}"),
            });
        }
        out.extend(script.search_dirs.iter().map(|d| format!("-L {d}")));
        let names = &script.names;
        out.extend(names.defined.iter().map(|(n, v)| format!("{n}={v}")));
        out.extend(names.wanted.iter().map(|n| format!("-u {n}")));
        out.join(" ")
    }

    #[test]
    fn the_c_library() {
        let text = "/* GNU ld script\n   Use the shared library, but. */\nOUTPUT_FORMAT(elf64-x86-64)\n\
                    GROUP ( /lib/libc.so.6 /usr/lib/libc_nonshared.a  AS_NEEDED ( /lib64/ld.so.2 ) )\n";
        assert_eq!(
            show(text),
            "/lib/libc.so.6 /usr/lib/libc_nonshared.a ?/lib64/ld.so.2"
        );
        assert!(looks_like_script(text.as_bytes()));
        assert!(!looks_like_script(b"\x7fELF") && !looks_like_script(b""));
    }

    #[test]
    fn spellings() {
        assert_eq!(
            show("INPUT(-lfoo libbar.a,\"a b.o\")"),
            "-l foo libbar.a a b.o"
        );
        assert_eq!(show("INPUT ( =/usr/lib/x.so )"), "=/usr/lib/x.so");
        assert_eq!(show("SEARCH_DIR(\"=/x\"); INPUT(-ly)"), "-l y -L =/x");
        assert_eq!(show("# comment\nTARGET(x) ver = 0x10;"), "ver=16");
        assert_eq!(show("GROUP(libtinfo.so.6)INPUT(a)"), "libtinfo.so.6 a");
        assert_eq!(show("EXTERN(a \"b\", c) ENTRY(_start)"), "-u a -u b -u c");
    }

    #[test]
    fn what_is_refused_is_named() {
        assert!(show("SECTIONS { }").contains("`SECTIONS`"));
        assert!(show("INPUT(a").contains("does not end"));
        assert!(show("INPUT a").contains("expected `(`"));
        assert!(show("/* x").contains("comment does not end"));
        assert!(show("INPUT((a))").contains("`(`"));
        assert!(show("EXTERN((a))").contains("`(`"));
        assert!(show("EXTERN(a").contains("does not close"));
        assert!(show("int main(void) { return 0; }").contains("`int`"));
    }
}
