//! Response files: `@FILE` stands for the arguments in FILE, as with every compiler driver.
//!
//! Arguments are separated by white space; quotes of either kind and backslashes protect it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use jit_core::graph::InputBytes as _;
use orc_inputs::input::{OwnedBytes, printable_path};

use super::script;

/// Files that name files that name files: more is a loop.
const DEPTH_MAX: u32 = 8;

/// Replaces every `@FILE` up to a `--`, or a script, by the arguments in the file. A file that does not exist
/// leaves its argument as it is, as compilers do.
///
/// # Errors
/// When a file cannot be read, or names itself.
pub fn expand(args: impl IntoIterator<Item = OsString>) -> Result<Vec<OsString>, String> {
    let mut expanded = Vec::new();
    let mut args = args.into_iter();
    for arg in args.by_ref() {
        // A script's name follows, and all else is the program's.
        if arg == "--" || arg == script::OPTION {
            expanded.push(arg);
            break;
        }
        expand_into(arg, DEPTH_MAX, &mut expanded)?;
    }
    expanded.extend(args);
    Ok(expanded)
}

fn expand_into(arg: OsString, depth: u32, out: &mut Vec<OsString>) -> Result<(), String> {
    let Some(file) = arg.as_bytes().strip_prefix(b"@") else {
        out.push(arg);
        return Ok(());
    };
    let path = Path::new(OsStr::from_bytes(file));
    let Ok(file) = std::fs::metadata(path) else {
        out.push(arg);
        return Ok(());
    };
    // `@/dev/null`: compilers ask a device for its size, which is zero.
    if file.file_type().is_char_device() {
        return Ok(());
    }
    let depth = depth.checked_sub(1).ok_or_else(|| {
        format!(
            "{}: response files that name each other",
            printable_path(&path)
        )
    })?;
    let text = OwnedBytes::read(path).map_err(|e| format!("{}: {e}", printable_path(&path)))?;
    for word in split(text.bytes()) {
        expand_into(word, depth, out)?;
    }
    Ok(())
}

/// Splits the text of a response file into arguments.
#[must_use]
pub fn split(text: &[u8]) -> Vec<OsString> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => word.get_or_insert_default().extend(bytes.next()),
            _ if quote == Some(byte) => quote = None,
            b'"' | b'\'' if quote.is_none() => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            _ if quote.is_none() && byte.is_ascii_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    words.into_iter().map(OsString::from_vec).collect()
}

/// Writes arguments so that [`split`] reads them back, one a line.
#[must_use]
pub fn join(args: &[OsString]) -> Vec<u8> {
    let mut text = Vec::new();
    for arg in args {
        if arg.is_empty() {
            text.extend(b"\"\"");
        }
        for &byte in arg.as_bytes() {
            if byte.is_ascii_whitespace() || matches!(byte, b'\\' | b'"' | b'\'') {
                text.push(b'\\');
            }
            text.push(byte);
        }
        text.push(b'\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_quotes_and_backslashes() {
        let words = split(b"a  'b c'\n\"d\\\"e\" f\\ g '' h\"i\"j");
        let expected = ["a", "b c", "d\"e", "f g", "", "hij"];
        assert_eq!(words, expected.map(OsString::from));
        assert!(split(b" \n ").is_empty());
    }

    #[test]
    fn what_is_joined_splits_again() {
        let args: Vec<OsString> = ["a b", "", "c\\d", "'e\"", "f\ng", "plain"]
            .map(OsString::from)
            .into();
        assert_eq!(split(&join(&args)), args);
    }

    #[test]
    fn files_stand_for_their_arguments() {
        let dir = tempfile::tempdir().unwrap();
        let (outer, inner) = (dir.path().join("outer"), dir.path().join("inner"));
        std::fs::write(&inner, "x 'y z'").unwrap();
        std::fs::write(&outer, format!("1 @{} 2", inner.display())).unwrap();
        let at = |path: &Path| OsString::from(format!("@{}", path.display()));
        let args = [at(&outer), "--".into(), at(&outer)];
        let expanded = expand(args).unwrap();
        assert_eq!(
            expanded[..5],
            ["1", "x", "y z", "2", "--"].map(OsString::from)
        );
        assert_eq!(expanded.len(), 6);
        assert_eq!(expand([OsString::from("@/none")]).unwrap(), ["@/none"]);
        std::fs::write(&inner, format!("@{}", outer.display())).unwrap();
        assert!(
            expand([at(&outer)])
                .unwrap_err()
                .contains("name each other")
        );
    }
}
