//! Which functions a program calls, and in which order: what `--record-order` writes and `--order` reads.
//!
//! A line has a function's name, as the linker knows it, and for the reader, behind a tab, the object that it is in.
//! Empty lines and those that begin with `#` say nothing. In a name, a backslash begins `\\`, `\t`, `\n` or, with
//! two hexadecimal digits, any byte (`\x20`).

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use jit_core::session::{FirstCall, Session};
use orc_inputs::input::printable_path;
use orc_jit::{Jit, Program};
use orc_system::at_exit::at_exit;
use orc_target_process::host::process::{begin_own_work, end_own_work};

use super::options::RunOptions;
use super::output::{self, Use};
use super::say;

/// Functions of a program, in the order of their first calls.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct CallOrder(Vec<Vec<u8>>);

impl CallOrder {
    /// Reads what `--order` names, if it is given.
    ///
    /// # Errors
    /// When the file cannot be read, or a line of it cannot be understood.
    pub(super) fn wanted(options: &RunOptions) -> Result<Self, String> {
        let Some(path) = &options.order else {
            return Ok(Self::default());
        };
        let path = &options.place_of(path);
        let text = std::fs::read(path);
        let text = text.map_err(|error| format!("{}: {error}", printable_path(path)))?;
        Self::parse(&text)
            .map_err(|(line, problem)| format!("{}:{line}: {problem}", printable_path(path)))
    }

    /// Reads a text. An error comes with the number of its line.
    fn parse(text: &[u8]) -> Result<Self, (usize, String)> {
        let mut seen = HashSet::new();
        let mut names = Vec::new();
        for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let end = line.iter().position(u8::is_ascii_whitespace);
            let name = unescape(&line[..end.unwrap_or(line.len())]);
            let name = name.map_err(|problem| (number, problem))?;
            if seen.insert(name.clone()) {
                names.push(name);
            }
        }
        Ok(Self(names))
    }

    /// Has the functions linked with the program.
    pub(super) fn link_ahead(&self, program: &Program) {
        program.link_ahead(self.0.iter().map(Vec::as_slice));
    }

    /// Those functions that are part of the linked program. Tells of the others.
    pub(super) fn in_program(&self, program: &Program, options: &RunOptions) -> Self {
        let unknown: HashSet<Vec<u8>> = program.unknown_ahead().into_iter().collect();
        if let Some(path) = options.order.as_ref().filter(|_| !unknown.is_empty()) {
            let (path, count, all) = (printable_path(path), unknown.len(), self.0.len());
            say::warning(format_args!(
                "{path}: {count} of {all} functions are not in the program"
            ));
        }
        let known = self.0.iter().filter(|name| !unknown.contains(*name));
        Self(known.cloned().collect())
    }
}

/// Where `--record-order` wants the functions that the program calls.
pub(super) struct Record {
    /// As the user has written it.
    asked: String,
    place: PathBuf,
    session: Session,
}

impl Record {
    /// Has first calls recorded, if `--record-order` is given. To be said before the program is linked.
    ///
    /// # Errors
    /// When it is known by now that the file cannot be written.
    pub(super) fn start(options: &RunOptions, jit: &Jit) -> Result<Option<Self>, String> {
        let Some(path) = &options.record_order else {
            return Ok(None);
        };
        let asked = printable_path(path).to_string();
        // The program may change its directory.
        let place = std::path::absolute(options.place_of(path));
        let place = place.map_err(|error| format!("cannot write {asked}: {error}"))?;
        check_place(&place).map_err(|problem| format!("cannot write {asked}: {problem}"))?;
        let session = jit.session().clone();
        session.record_first_calls();
        Ok(Some(Self {
            asked,
            place,
            session,
        }))
    }

    /// Writes the file when the program ends. What was linked ahead comes first: its calls are not seen.
    pub(super) fn write_at_exit(self, ahead: CallOrder) {
        at_exit(move || {
            begin_own_work();
            let text = text_of(ahead, self.session.first_calls());
            let written = output::write(&self.place, Use::Read, |to| to.write_all(text.as_bytes()));
            if let Err(problem) = written {
                say::error(format_args!("--record-order {}: {problem}", self.asked));
            }
            end_own_work();
        });
    }
}

fn check_place(place: &Path) -> Result<(), &'static str> {
    if place.is_dir() {
        return Err("it is a directory");
    }
    match place.parent() {
        Some(directory) if !directory.is_dir() => Err("its directory does not exist"),
        _ => Ok(()),
    }
}

/// The text of the file.
fn text_of(ahead: CallOrder, calls: Vec<FirstCall>) -> String {
    let mut text =
        "# Functions in the order of their first calls, for `orc-jit run --lazy --order`\n"
            .to_owned();
    let ahead = ahead.0.into_iter().map(|name| (name, String::new()));
    let calls = calls.into_iter().map(|call| (call.name, call.object));
    let mut seen = HashSet::new();
    for (name, object) in ahead.chain(calls) {
        if seen.contains(&name) {
            continue;
        }
        escape(&name, &mut text);
        if !object.is_empty() {
            text.push('\t');
            text.extend(object.chars().map(|c| if c.is_control() { '?' } else { c }));
        }
        text.push('\n');
        seen.insert(name);
    }
    text
}

/// Writes a name so that it is one word of printable characters, and no comment.
fn escape(name: &[u8], to: &mut String) {
    let mut is_first = true;
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => to.push_str("\\\\"),
                '#' if !is_first => to.push(c),
                c if c.is_whitespace() || c.is_control() || c == '#' => {
                    let mut bytes = [0; 4];
                    escape_bytes(c.encode_utf8(&mut bytes).as_bytes(), to);
                }
                c => to.push(c),
            }
            is_first = false;
        }
        escape_bytes(chunk.invalid(), to);
        is_first = false;
    }
}

fn escape_bytes(bytes: &[u8], to: &mut String) {
    for byte in bytes {
        let _ = write!(to, "\\x{byte:02x}");
    }
}

/// Undoes [`escape`].
fn unescape(word: &[u8]) -> Result<Vec<u8>, String> {
    let mut name = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, others)) = rest.split_first() {
        rest = others;
        if *first != b'\\' {
            name.push(*first);
            continue;
        }
        let (byte, length) = match rest {
            [b'\\', ..] => (Some(b'\\'), 1),
            [b't', ..] => (Some(b'\t'), 1),
            [b'n', ..] => (Some(b'\n'), 1),
            [b'x', high, low, ..] => (hexadecimal(*high, *low), 3),
            _ => (None, 0),
        };
        let Some(byte) = byte else {
            return Err("a backslash begins \\\\, \\t, \\n or \\x and two hexadecimal digits: write one as \\\\".to_owned());
        };
        name.push(byte);
        rest = &rest[length..];
    }
    Ok(name)
}

fn hexadecimal(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let value = digit(high)? * 16 + digit(low)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &[u8], object: &str) -> FirstCall {
        FirstCall {
            dylib: jit_core::batch::DylibId(0),
            name: name.to_vec(),
            object: object.to_owned(),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let names: [&[u8]; 8] = [
            b"main",
            b"_ZN3fooEv",
            b"# no comment",
            b"a#b",
            b"tab\tand\\n",
            b"\xff\x00 bytes",
            "größe\u{a0}x".as_bytes(),
            b"last",
        ];
        let calls = names.map(|name| call(name, "lib a.a(b\tc.o)"));
        let text = text_of(CallOrder::default(), calls.to_vec());
        assert_eq!(text.lines().count(), names.len() + 1, "{text}");
        let read = CallOrder::parse(text.as_bytes()).unwrap();
        assert_eq!(read.0, names.map(<[u8]>::to_vec));
    }

    #[test]
    fn people_may_edit_the_file() {
        let text = b"\n # one\n  two \n\nthree  four.o\r\ntwo\n\tfive";
        let read = CallOrder::parse(text).unwrap();
        assert_eq!(read.0, [&b"two"[..], b"three", b"five"]);
        let wrong = CallOrder::parse(b"one\n\ntw\\o\n").unwrap_err();
        assert_eq!(wrong.0, 3);
        for text in [&b"\\"[..], b"\\x", b"\\x1", b"\\xg0", b"\\u12"] {
            assert_eq!(CallOrder::parse(text).unwrap_err().0, 1);
        }
    }

    #[test]
    fn what_was_linked_ahead_comes_first_and_once() {
        let ahead = CallOrder(vec![b"one".to_vec()]);
        let text = text_of(ahead, vec![call(b"two", "a.o"), call(b"one", "b.o")]);
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(lines, ["one", "two\ta.o"]);
    }
}
