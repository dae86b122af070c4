//! Sources that are scripts: their first line says that this command runs them.
//!
//! ```c
//! #!/usr/bin/env -S orc-jit run --script
//! ```

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::sources::Language;

/// The option before a script's name.
pub(super) const OPTION: &str = "--script";

/// What is for this command, and what is for the program: that follows `--`, or a script's name.
pub(super) fn split(args: &[OsString]) -> (&[OsString], &[OsString]) {
    let first = args.iter().position(|arg| arg == "--" || arg == OPTION);
    let Some(at) = first else {
        return (args, &[]);
    };
    if args[at] == "--" {
        return (&args[..at], &args[at + 1..]);
    }
    // The system puts the script's name, and then what it is called with, behind what its first line says.
    args.split_at((at + 2).min(args.len()))
}

/// What a compiler is to be given in place of a C or C++ source that starts with `#!`: a copy in `dir` without that
/// line, whose messages name the source; and where the source's own headers are. Nothing for others (Rust's
/// compiler knows such lines).
///
/// # Errors
/// The copy cannot be written.
pub(super) fn for_compiler(
    language: Language,
    source: &Path,
    at: usize,
    dir: &Path,
) -> io::Result<Option<(PathBuf, PathBuf)>> {
    let extension = source.extension().and_then(OsStr::to_str);
    let is_assembly = matches!(extension, Some("s" | "S" | "i" | "ii"));
    if !matches!(language, Language::C | Language::Cxx) || is_assembly {
        return Ok(None);
    }
    let Some(rest) = behind_first_line(source) else {
        return Ok(None);
    };
    let name = source.file_name().unwrap_or(OsStr::new("source"));
    let mut copy_name = OsString::from(format!("{at}-"));
    copy_name.push(name);
    let copy = dir.join(copy_name);
    std::fs::write(&copy, [line_mark(source), rest].concat())?;
    let headers = match source.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    Ok(Some((copy, headers)))
}

/// What follows the first line of a file that starts with `#!`. Nothing of others: what is no file can be read once, and
/// is the compiler's; what cannot be read, the compiler tells.
fn behind_first_line(source: &Path) -> Option<Vec<u8>> {
    if source == Path::new("-") || !std::fs::metadata(source).ok()?.is_file() {
        return None;
    }
    let mut file = File::open(source).ok()?;
    let mut start = [0; 2];
    file.read_exact(&mut start).ok()?;
    if start != *b"#!" {
        return None;
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text).ok()?;
    let end = text.iter().position(|byte| *byte == b'\n');
    Some(end.map_or_else(Vec::new, |end| text.split_off(end + 1)))
}

/// A line that says that the second line of the source follows.
fn line_mark(source: &Path) -> Vec<u8> {
    let mut mark = b"#line 2 \"".to_vec();
    for byte in source.as_os_str().as_encoded_bytes() {
        if matches!(byte, b'"' | b'\\') {
            mark.push(b'\\');
        }
        mark.push(*byte);
    }
    mark.extend_from_slice(b"\"\n");
    mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_script_is_the_programs() {
        let split = |args: &[&str]| {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            let (own, program) = split(&args);
            let text = |args: &[OsString]| args.join(OsStr::new(" ")).into_string().unwrap();
            (text(own), text(program))
        };
        let pair = |own: &str, program: &str| (own.to_owned(), program.to_owned());
        assert_eq!(split(&["a.o", "--", "x"]), pair("a.o", "x"));
        assert_eq!(
            split(&["-O2", "--script", "a.c", "-x", "--", "y"]),
            pair("-O2 --script a.c", "-x -- y")
        );
        assert_eq!(
            split(&["a.o", "--", "--script", "y"]),
            pair("a.o", "--script y")
        );
        assert_eq!(split(&["--script"]), pair("--script", ""));
    }

    #[test]
    fn copies_name_the_source() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("a\"b.c");
        std::fs::write(&source, "#!x\nint main;\n").unwrap();
        let copied = |language| for_compiler(language, &source, 3, dir.path()).unwrap();
        let (copy, headers) = copied(Language::C).unwrap();
        assert_eq!(headers, dir.path());
        let expected = format!("#line 2 \"{}/a\\\"b.c\"\nint main;\n", dir.path().display());
        assert_eq!(std::fs::read_to_string(copy).unwrap(), expected);
        assert!(copied(Language::Rust).is_none());
        std::fs::write(&source, "int main;\n").unwrap();
        assert!(copied(Language::C).is_none());
    }
}
