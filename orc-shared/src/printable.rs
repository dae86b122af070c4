//! Text of inputs as a terminal may have it.
//!
//! Names of symbols, sections and files come from whoever made the inputs, and may hold anything:
//! bytes that command a terminal, line ends that make one message look like two, marks that turn
//! the direction of writing. In messages, these are escaped.

use alloc::string::{String, ToString as _};
use core::fmt::{self, Write as _};

/// A name in a message: control characters, line ends and tabs among them, are escaped, and bytes that
/// are no UTF-8 are replaced.
#[must_use]
pub fn printable(name: &[u8]) -> Printable<'_> {
    Printable {
        text: name,
        keeps_lines: false,
    }
}

/// The same as a text.
#[must_use]
pub fn printable_text(name: &[u8]) -> String {
    printable(name).to_string()
}

/// A whole message: line ends and tabs are its own.
#[must_use]
pub fn printable_lines(message: &str) -> Printable<'_> {
    Printable {
        text: message.as_bytes(),
        keeps_lines: true,
    }
}

/// The first items of a list in a message, and how many more there are: inputs decide how long lists
/// are, people read the beginning.
#[must_use]
pub fn listed<T: fmt::Display>(
    items: impl IntoIterator<Item = T>,
    separator: &str,
    most: usize,
) -> String {
    let mut items = items.into_iter();
    let mut text = String::new();
    for (at, item) in items.by_ref().take(most).enumerate() {
        let separator = if at == 0 { "" } else { separator };
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}{item}");
    }
    let more = items.count();
    if more > 0 {
        let _ = write!(text, "{separator}… and {more} more");
    }
    text
}

/// Displays a text with what is not for a terminal escaped.
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a> {
    text: &'a [u8],
    keeps_lines: bool,
}

impl Printable<'_> {
    fn is_plain(self, letter: char) -> bool {
        match letter {
            '\n' | '\t' => self.keeps_lines,
            // Separators of lines and paragraphs, and what turns the direction of writing.
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => false,
            _ => !letter.is_control(),
        }
    }
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nearly all of them.
        if let Ok(text) = str::from_utf8(self.text)
            && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        {
            return f.write_str(text);
        }
        for chunk in self.text.utf8_chunks() {
            let mut rest = chunk.valid();
            while let Some(at) = rest.find(|letter| !self.is_plain(letter)) {
                let (plain, special) = rest.split_at(at);
                f.write_str(plain)?;
                let mut letters = special.chars();
                match letters.next() {
                    Some(letter @ ('\n' | '\r' | '\t')) => write!(f, "{}", letter.escape_default()),
                    Some(letter @ '\0'..='\x7f') => write!(f, "\\x{:02x}", u32::from(letter)),
                    Some(letter) => write!(f, "{}", letter.escape_unicode()),
                    None => Ok(()),
                }?;
                rest = letters.as_str();
            }
            f.write_str(rest)?;
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_a_terminal_is_escaped() {
        let shown = |name: &[u8]| printable_text(name);
        assert_eq!(shown(b"main"), "main");
        assert_eq!(shown("größe → x".as_bytes()), "größe → x");
        assert_eq!(shown(b"\x1b[31mred"), r"\x1b[31mred");
        assert_eq!(shown(b"a\nb\tc\rd\0e\x7f"), r"a\nb\tc\rd\x00e\x7f");
        assert_eq!(shown("\u{9b}31m".as_bytes()), r"\u{9b}31m");
        assert_eq!(
            shown("a\u{202e}b\u{2028}".as_bytes()),
            r"a\u{202e}b\u{2028}"
        );
        assert_eq!(shown(b"a\xffb\x9b"), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn long_lists_are_counted_from_some_item_on() {
        assert_eq!(listed([1, 2, 3], ", ", 3), "1, 2, 3");
        assert_eq!(listed(0..200_000, "\n", 2), "0\n1\n… and 199998 more");
        assert_eq!(listed([""; 0], ", ", 3), "");
    }

    #[test]
    fn messages_keep_their_lines() {
        let shown = printable_lines("one\n\ttwo\x1b]0;\x07").to_string();
        assert_eq!(shown, "one\n\ttwo\\x1b]0;\\x07");
    }
}
