//! GNU linker scripts, in place of libraries (`libc.so` is a text file that names three others), on a
//! command line, or behind `-T`.
//!
//! What lays nothing out is understood: the files to link, directories, names, assignments of symbols,
//! assertions, and statements that say nothing a JIT needs (`OUTPUT_FORMAT` and its like). A script
//! that lays sections out is refused by the name of the statement.

mod evaluate;
mod expression;
mod lexer;

pub use self::evaluate::{Use, Values};
pub use self::expression::{Binary, Expression, Unary};
use self::lexer::{Lexer, Place, unquote};

/// A file that a script asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScriptInput {
    /// The path or name of the file.
    pub what: ScriptName,
    /// Whether it stands inside `AS_NEEDED`: a shared library nothing is taken from is dropped.
    pub as_needed: bool,
}

/// How a script names a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ScriptName {
    /// A path. Relative ones are looked for beside the script, then in the search directories.
    Path(String),
    /// NAME of `-lNAME`, which is looked for as on a command line.
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
    /// Symbols that it defines, and assertions, in order.
    pub assignments: Vec<Assignment>,
    /// Names that archives are searched for even if nothing refers to them (`EXTERN`, as `-u`).
    pub wanted: Vec<String>,
    /// Where the program starts (`ENTRY`).
    pub entry: Option<String>,
}

/// A statement that gives a symbol a value, or an assertion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assignment {
    /// What is done with the value.
    pub role: Role,
    /// What is computed for it when the program is laid out.
    pub value: Expression,
    /// Where it stands, for messages.
    pub source: String,
}

/// What is done with a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Role {
    /// A symbol has it, whatever objects say.
    Define {
        /// The name that gets the value.
        name: String,
        /// Whether only the program sees it (`HIDDEN`).
        hidden: bool,
    },
    /// A symbol has it if something refers to the symbol and nothing defines it (`PROVIDE`).
    Provide {
        /// The name that gets the value.
        name: String,
        /// Whether only the program sees it (`PROVIDE_HIDDEN`).
        hidden: bool,
    },
    /// The value is computed, and what goes wrong is reported (`ASSERT`).
    Check,
}

impl Assignment {
    /// Lets `name` be another name of `function`.
    #[must_use]
    pub fn other_name(name: &str, function: &str) -> Self {
        Self {
            role: Role::Define {
                name: name.to_owned(),
                hidden: false,
            },
            value: Expression::Symbol(function.to_owned()),
            source: format!("{name} = {function}"),
        }
    }

    /// The symbol that it defines.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.role {
            Role::Define { name, .. } | Role::Provide { name, .. } => Some(name),
            Role::Check => None,
        }
    }
}

/// Statements that say nothing a JIT needs: words in parentheses follow.
const IGNORED: &[&str] = &[
    "OUTPUT_FORMAT",
    "OUTPUT_ARCH",
    "TARGET",
    "OUTPUT",
    "NOCROSSREFS",
    "NOCROSSREFS_TO",
];

/// Statements of one word that say nothing.
const IGNORED_WORDS: &[&str] = &["FORCE_COMMON_ALLOCATION", "INHIBIT_COMMON_ALLOCATION"];

/// Whether bytes that are neither ELF nor an archive may be a linker script: text.
#[must_use]
pub fn looks_like_script(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(512)];
    let text = |b: &u8| matches!(b, b' '..=b'~' | b'\n' | b'\r' | b'\t');
    !head.is_empty() && head.iter().all(text)
}

/// Statements that only linker scripts have.
const STATEMENTS: &[&str] = &[
    "ASSERT",
    "ENTRY",
    "EXTERN",
    "GROUP",
    "HIDDEN",
    "INCLUDE",
    "INPUT",
    "INSERT",
    "MEMORY",
    "OUTPUT_ARCH",
    "OUTPUT_FORMAT",
    "PHDRS",
    "PROVIDE",
    "PROVIDE_HIDDEN",
    "REGION_ALIAS",
    "SEARCH_DIR",
    "SECTIONS",
    "STARTUP",
    "TARGET",
    "VERSION",
];

/// Whether a text has a word that begins a statement of linker scripts, and so is meant to be one.
#[must_use]
pub fn has_statement(text: &str) -> bool {
    let mut words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.any(|word| STATEMENTS.contains(&word))
}

/// Reads a script; `source` names it in messages of what it defines.
///
/// # Errors
/// With the statement or character that is not understood.
pub fn parse(text: &str, source: &str) -> Result<LinkerScript, String> {
    let mut parser = Parser {
        lexer: Lexer::new(text),
        source,
        script: LinkerScript::default(),
    };
    while let Some(word) = parser.lexer.next(Place::Statement)? {
        parser.statement(word)?;
    }
    Ok(parser.script)
}

/// Reads what stands behind `--defsym`.
///
/// # Errors
/// With what is not understood.
pub fn parse_definition(text: &str) -> Result<Assignment, String> {
    let wrong = |problem| format!("--defsym {text}: {problem}");
    let mut parser = Parser {
        lexer: Lexer::new(text),
        source: "",
        script: LinkerScript::default(),
    };
    let mut read = || -> Result<Assignment, String> {
        let name = parser.lexer.next(Place::Statement)?;
        let name = name.filter(|name| is_name(name));
        let name = name.ok_or("expected NAME=VALUE")?;
        let operator = parser.lexer.assignment()?.ok_or("expected NAME=VALUE")?;
        let mut assignment = parser.assignment(name, operator)?;
        if !parser.lexer.rest().trim().is_empty() {
            return Err(format!("`{}` after the value", parser.lexer.rest().trim()));
        }
        assignment.source = format!("--defsym {text}");
        Ok(assignment)
    };
    read().map_err(wrong)
}

/// What `--ignore-unresolved-symbol` means: the symbol is zero if nothing defines it.
#[must_use]
pub fn may_be_undefined(symbol: &str) -> Assignment {
    Assignment {
        role: Role::Provide {
            name: symbol.to_owned(),
            hidden: true,
        },
        value: Expression::Number(0),
        source: format!("--ignore-unresolved-symbol {symbol}"),
    }
}

/// Whether a word can be a symbol.
fn is_name(word: &str) -> bool {
    word.starts_with('"') || !word.starts_with(|c: char| "(){},;=".contains(c))
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    source: &'a str,
    script: LinkerScript,
}

impl<'a> Parser<'a> {
    fn next_file(&mut self) -> Result<Option<&'a str>, String> {
        self.lexer.next(Place::Files)
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        match self.next_file()? {
            Some(token) if token == wanted => Ok(()),
            Some(token) => Err(format!("expected `{wanted}`, found `{token}`")),
            None => Err(format!("expected `{wanted}`, found the end")),
        }
    }

    fn statement(&mut self, word: &'a str) -> Result<(), String> {
        match word {
            ";" | "," => return Ok(()),
            "INPUT" | "GROUP" => {
                self.expect("(")?;
                return self.inputs(false);
            }
            "STARTUP" => {
                let first = self.word()?;
                let first = ScriptInput {
                    what: ScriptName::Path(first),
                    as_needed: false,
                };
                self.script.inputs.insert(0, first);
                return Ok(());
            }
            "INCLUDE" => {
                let file = self.next_file()?.ok_or("INCLUDE has no file")?;
                self.script.inputs.push(ScriptInput {
                    what: ScriptName::Path(unquote(file).to_owned()),
                    as_needed: false,
                });
                return Ok(());
            }
            "SEARCH_DIR" => {
                let dir = self.word()?;
                self.script.search_dirs.push(dir);
                return Ok(());
            }
            "ENTRY" => {
                self.script.names.entry = Some(self.word()?);
                return Ok(());
            }
            "EXTERN" => {
                let names = self.words()?;
                self.script.names.wanted.extend(names);
                return Ok(());
            }
            "VERSION" => return self.version(),
            "ASSERT" => return self.assertion(),
            "PROVIDE" | "PROVIDE_HIDDEN" | "HIDDEN" => return self.wrapped_assignment(word),
            _ if IGNORED_WORDS.contains(&word) => return Ok(()),
            _ if IGNORED.contains(&word) => return self.words().map(drop),
            _ => {}
        }
        match self.lexer.assignment()? {
            Some(operator) if is_name(word) => {
                let assignment = self.assignment(word, operator)?;
                self.script.names.assignments.push(assignment);
                self.end_of_statement()
            }
            _ => Err(format!(
                "linker script statement `{word}` is not supported: a script can name files (INPUT, GROUP, \
                 AS_NEEDED, SEARCH_DIR) and symbols (assignments, PROVIDE, ENTRY, EXTERN, ASSERT), and lays nothing out"
            )),
        }
    }

    /// What stands behind a symbol and the operator.
    fn assignment(&mut self, name: &str, operator: &str) -> Result<Assignment, String> {
        let name = unquote(name).to_owned();
        if name == "." {
            return Err("`.` is a place in a layout, and scripts lay nothing out here".to_owned());
        }
        let value = expression::parse(&mut self.lexer)?;
        let with = |operator| {
            let old = Box::new(Expression::Symbol(name.clone()));
            Expression::Binary(operator, old, Box::new(value.clone()))
        };
        let value = match operator {
            "+=" => with(Binary::Add),
            "-=" => with(Binary::Subtract),
            "*=" => with(Binary::Multiply),
            "/=" => with(Binary::Divide),
            "&=" => with(Binary::And),
            "|=" => with(Binary::Or),
            "^=" => with(Binary::Xor),
            "<<=" => with(Binary::ShiftLeft),
            ">>=" => with(Binary::ShiftRight),
            _ => value,
        };
        Ok(Assignment {
            role: Role::Define {
                name,
                hidden: false,
            },
            value,
            source: self.source.to_owned(),
        })
    }

    /// `PROVIDE(name = value)` and its like.
    fn wrapped_assignment(&mut self, word: &str) -> Result<(), String> {
        self.expect("(")?;
        let name = self.lexer.next(Place::Statement)?.unwrap_or("");
        let wrong = || format!("expected {word}(NAME = VALUE)");
        if !is_name(name) || self.lexer.assignment()? != Some("=") {
            return Err(wrong());
        }
        let mut assignment = self.assignment(name, "=")?;
        self.expect(")")?;
        let name = unquote(name).to_owned();
        assignment.role = match word {
            "PROVIDE" => Role::Provide {
                name,
                hidden: false,
            },
            "PROVIDE_HIDDEN" => Role::Provide { name, hidden: true },
            _ => Role::Define { name, hidden: true },
        };
        self.script.names.assignments.push(assignment);
        Ok(())
    }

    fn assertion(&mut self) -> Result<(), String> {
        self.expect("(")?;
        let condition = expression::parse(&mut self.lexer)?;
        self.expect(",")?;
        let message = self.next_file()?.ok_or("ASSERT has no message")?;
        let message = unquote(message).to_owned();
        self.expect(")")?;
        self.script.names.assignments.push(Assignment {
            role: Role::Check,
            value: Expression::Assert(Box::new(condition), message),
            source: self.source.to_owned(),
        });
        Ok(())
    }

    /// A statement ends with `;` or `,`, or with the text.
    fn end_of_statement(&mut self) -> Result<(), String> {
        match self.lexer.next(Place::Statement)? {
            None | Some(";" | ",") => Ok(()),
            Some(word) => Err(format!("expected `;` after a value, found `{word}`")),
        }
    }

    /// Versions of symbols are for a file that is linked with others.
    fn version(&mut self) -> Result<(), String> {
        self.expect("{")?;
        let mut depth = 1u32;
        while depth > 0 {
            match self.next_file()?.ok_or("a `{` has no `}`")? {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// The files up to the closing parenthesis.
    fn inputs(&mut self, as_needed: bool) -> Result<(), String> {
        loop {
            match self.next_file()? {
                Some(")") => return Ok(()),
                Some(",") => {}
                Some("AS_NEEDED") if !as_needed => {
                    self.expect("(")?;
                    self.inputs(true)?;
                }
                Some(word) if !matches!(word, "(" | ";" | "=" | "{" | "}") => {
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

    /// One word in parentheses.
    fn word(&mut self) -> Result<String, String> {
        let words = self.words()?;
        match <[String; 1]>::try_from(words) {
            Ok([word]) => Ok(word),
            Err(words) => Err(format!(
                "expected one word in parentheses, found {}",
                words.len()
            )),
        }
    }

    /// Words in parentheses.
    fn words(&mut self) -> Result<Vec<String>, String> {
        self.expect("(")?;
        let mut words = Vec::new();
        loop {
            match self.next_file()? {
                Some(")") => return Ok(words),
                Some(",") => {}
                Some(word) if !matches!(word, "(" | ";" | "=" | "{" | "}") => {
                    words.push(unquote(word).to_owned());
                }
                Some(word) => return Err(format!("`{word}` in a list of words")),
                None => return Err("a parenthesis does not close".to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
