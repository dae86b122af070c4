//! Rust sources of the workspace, read just well enough for rules about them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace_root;

/// One Rust file.
#[derive(Debug)]
pub struct SourceFile {
    /// Path relative to the workspace, with `/`.
    pub path: String,
    /// The text as it is.
    pub text: String,
    /// The text with comments, strings and character literals blanked, line for line.
    pub code: String,
}

/// All Rust files below `directory` (relative to the workspace), sorted by path.
pub fn rust_files(directory: &str) -> Vec<SourceFile> {
    let root = workspace_root();
    let mut paths = Vec::new();
    collect(&root.join(directory), &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("source files are UTF-8");
        let relative = path.strip_prefix(&root).expect("it was found there");
        SourceFile {
            path: relative.to_string_lossy().into_owned(),
            code: blank(&text),
            text,
        }
    };
    paths.into_iter().map(read).collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path
                .file_name()
                .is_some_and(|name| name != "target" && name != "programs" && name != "rust")
            {
                collect(&path, paths);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// Replaces comments, strings and character literals by spaces, and keeps line breaks.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = skipped_len(rest, code.chars().next_back());
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            let (blanked, after) = rest.split_at(skipped);
            code.extend(blanked.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = after;
        }
    }
    code
}

/// Length of the comment or literal that `text` starts with; zero if it starts with code.
fn skipped_len(text: &str, before: Option<char>) -> usize {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if text.starts_with("//") {
        text.find('\n').unwrap_or(text.len())
    } else if text.starts_with("/*") {
        text.find("*/").map_or(text.len(), |end| end + 2)
    } else if text.starts_with('"') {
        quoted_len(text, '"')
    } else if !in_word && (text.starts_with("r\"") || text.starts_with("r#")) {
        raw_string_len(text)
    } else if text.starts_with('\'') && is_character(text) {
        quoted_len(text, '\'')
    } else {
        0
    }
}

/// Tells a character literal from a lifetime or a label.
fn is_character(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => true,
        (Some(_), second) => second == Some('\''),
        (None, _) => false,
    }
}

fn quoted_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Length of `r"…"` or `r#"…"#`; zero for a raw identifier such as `r#type`.
fn raw_string_len(text: &str) -> usize {
    let hashes = text[1..].chars().take_while(|c| *c == '#').count();
    if !text[1 + hashes..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let start = hashes + 2;
    text[start..]
        .find(&end)
        .map_or(text.len(), |at| start + at + end.len())
}

/// The words of `code`, lower-cased, with the number of their line: identifiers are split at
/// underscores and where case changes, so that `ElfObject` and `elf_object` both have `elf`.
pub fn words(code: &str) -> impl Iterator<Item = (usize, String)> + '_ {
    code.lines().enumerate().flat_map(|(number, line)| {
        let mut words = vec![String::new()];
        let mut previous = ' ';
        for c in line.chars() {
            let starts_word = c.is_uppercase() && previous.is_lowercase();
            if !c.is_alphanumeric() || starts_word {
                words.push(String::new());
            }
            if c.is_alphanumeric() {
                words
                    .last_mut()
                    .expect("never empty")
                    .extend(c.to_lowercase());
            }
            previous = c;
        }
        words
            .into_iter()
            .filter(|word| !word.is_empty())
            .map(move |word| (number + 1, word))
    })
}

/// The identifiers and keywords of `code`, with the number of their line.
pub fn identifiers(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let in_identifier = |c: char| c.is_alphanumeric() || c == '_';
    code.lines().enumerate().flat_map(move |(number, line)| {
        let names = line
            .split(move |c| !in_identifier(c))
            .filter(|name| !name.is_empty());
        names.map(move |name| (number + 1, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_kept() {
        let text = "let a = \"// no\"; // yes\nlet b = '\"'; let c: &'static str = r#\"x\"y\"#;\n";
        assert_eq!(
            blank(text),
            "let a =        ;       \nlet b =    ; let c: &'static str =         ;\n"
        );
    }

    #[test]
    fn words_split_at_case_and_underscores() {
        let all: Vec<_> = words("ElfObject elf_object\nself")
            .map(|(line, word)| format!("{line}{word}"))
            .collect();
        assert_eq!(all, ["1elf", "1object", "1elf", "1object", "2self"]);
    }
}
