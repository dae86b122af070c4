//! Sections of literals: strings that end with a zero, and numbers of one size. Nobody can tell one from another
//! with the same bytes, so each is a block that may be merged.

use object::LittleEndian as LE;
use object::macho::{self, Section64};

use super::view::{View, section_name, segment_name};

/// What a section has literals of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Literals {
    /// Strings of units of so many bytes, which end with a unit of zeros.
    Strings(usize),
    /// Numbers of so many bytes.
    Numbers(usize),
}

/// Where the literals of a section begin; `None` if it is of another kind, or if relocations change what it says.
///
/// # Errors
/// When the last one ends beyond the section.
pub(super) fn cuts(view: &View<'_>, index: u32) -> Result<Option<Vec<u64>>, String> {
    let section = view.sections[index as usize];
    let Some(kind) = kind(section).filter(|_| section.nreloc.get(LE) == 0) else {
        return Ok(None);
    };
    let content = view.content(section)?.unwrap_or(0..0);
    let bytes = &view.bytes[content];
    let cuts = match kind {
        Literals::Strings(unit) => starts_of_strings(bytes, unit),
        Literals::Numbers(size) => starts_of_numbers(bytes, size),
    };
    let what = match kind {
        Literals::Strings(_) => "a string that has no end",
        Literals::Numbers(_) => "a literal that is cut off",
    };
    let text = || format!("the section {} ends with {what}", view.section_text(index));
    cuts.ok_or_else(text).map(Some)
}

fn kind(section: &Section64<LE>) -> Option<Literals> {
    Some(match section.flags.get(LE).typ() {
        macho::S_CSTRING_LITERALS => Literals::Strings(1),
        macho::S_4BYTE_LITERALS => Literals::Numbers(4),
        macho::S_8BYTE_LITERALS => Literals::Numbers(8),
        macho::S_16BYTE_LITERALS => Literals::Numbers(16),
        // UTF-16 has no type of its own.
        macho::S_REGULAR
            if segment_name(section) == b"__TEXT" && section_name(section) == b"__ustring" =>
        {
            Literals::Strings(2)
        }
        _ => return None,
    })
}

fn starts_of_strings(bytes: &[u8], unit: usize) -> Option<Vec<u64>> {
    let mut starts = vec![0];
    let mut at = 0;
    for character in bytes.chunks(unit) {
        at += character.len();
        if character.len() == unit && character.iter().all(|byte| *byte == 0) {
            starts.push(at as u64);
        }
    }
    // Behind the last one, none begins.
    let ends = starts.pop() == Some(bytes.len() as u64);
    if starts.is_empty() {
        starts.push(0);
    }
    ends.then_some(starts)
}

fn starts_of_numbers(bytes: &[u8], size: usize) -> Option<Vec<u64>> {
    let count = (bytes.len() / size).max(1);
    let starts = (0..count).map(|number| (number * size) as u64);
    bytes.len().is_multiple_of(size).then(|| starts.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_cut_behind_their_zeros() {
        assert_eq!(starts_of_strings(b"ab\0\0cd\0", 1), Some(vec![0, 3, 4]));
        assert_eq!(starts_of_strings(b"", 1), Some(vec![0]));
        assert_eq!(starts_of_strings(b"\0", 1), Some(vec![0]));
        assert_eq!(starts_of_strings(b"ab\0c", 1), None);
        // U+0100 has a zero byte first, and is none itself.
        let text = b"a\0\0\x01\0\0b\0\0\0";
        assert_eq!(starts_of_strings(text, 2), Some(vec![0, 6]));
        assert_eq!(starts_of_strings(b"a\0\0", 2), None);
    }

    #[test]
    fn numbers_are_cut_by_their_size() {
        assert_eq!(starts_of_numbers(&[0; 24], 8), Some(vec![0, 8, 16]));
        assert_eq!(starts_of_numbers(&[], 8), Some(vec![0]));
        assert_eq!(starts_of_numbers(&[0; 12], 8), None);
    }
}
