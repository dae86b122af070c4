//! An archive of some of another one's members.
//!
//! Members keep their headers and their order, and the index its names and theirs, so the part is
//! linked as the whole is where nothing else is needed of it.

use std::collections::BTreeSet;

use super::member::{self, HEADER_SIZE};
use super::parse;

/// The mark of an archive that holds its members.
const MAGIC: &[u8] = b"!<arch>\n";

/// The archive `bytes` with nothing but the members whose headers are at these offsets
/// ([`super::Archive::watched`] tells them).
///
/// # Errors
/// When it is damaged, or thin: that one holds no members.
pub fn subset(bytes: &[u8], keep: &BTreeSet<u64>) -> Result<Vec<u8>, String> {
    let file = parse(bytes)?;
    if file.is_thin() {
        return Err("is a thin archive, which has no members to take".to_owned());
    }
    let kept = |offset: &u64| keep.contains(offset);
    let members: Vec<u64> = member::offsets(bytes)?.into_iter().filter(kept).collect();
    let mut names: Vec<(&[u8], u64)> = Vec::new();
    let symbols = file.symbols().map_err(|error| error.to_string())?;
    let has_index = symbols.is_some();
    for symbol in symbols.into_iter().flatten() {
        let symbol = symbol.map_err(|error| error.to_string())?;
        if keep.contains(&symbol.offset().0) {
            names.push((symbol.name(), symbol.offset().0));
        }
    }

    let index_size = 4 + names
        .iter()
        .map(|(name, _)| 4 + name.len() + 1)
        .sum::<usize>();
    let long_names = member::long_names(bytes).unwrap_or(&[]);
    let mut at = MAGIC.len();
    if has_index {
        at += HEADER_SIZE + index_size.next_multiple_of(2);
    }
    if !long_names.is_empty() {
        at += HEADER_SIZE + long_names.len().next_multiple_of(2);
    }
    let mut places = Vec::with_capacity(members.len());
    for &member in &members {
        let part = member::whole(bytes, member)?;
        places.push((member, at, part));
        at += part.len().next_multiple_of(2);
    }

    let mut out = Vec::with_capacity(at);
    out.extend(MAGIC);
    if has_index {
        let index = index(&names, &places)?;
        special(&mut out, "/", &index);
    }
    if !long_names.is_empty() {
        special(&mut out, "//", long_names);
    }
    for (_, at, part) in places {
        debug_assert_eq!(
            out.len(),
            at,
            "offsets in the index are those of the members"
        );
        out.extend(part);
        pad(&mut out);
    }
    Ok(out)
}

/// An index in System V's format: a count, the offsets, the names.
fn index(names: &[(&[u8], u64)], places: &[(u64, usize, &[u8])]) -> Result<Vec<u8>, String> {
    let too_large = |_| "has more than four gigabytes of members in use".to_owned();
    let count = u32::try_from(names.len()).map_err(too_large)?;
    let mut index = Vec::from(count.to_be_bytes());
    for (_, member) in names {
        let at = places.binary_search_by_key(member, |place| place.0);
        let at = at.map_err(|_| "has an index that names what is no member".to_owned())?;
        let offset = u32::try_from(places[at].1).map_err(too_large)?;
        index.extend(offset.to_be_bytes());
    }
    for (name, _) in names {
        index.extend(*name);
        index.push(0);
    }
    Ok(index)
}

/// Appends a member that is no file.
fn special(out: &mut Vec<u8>, name: &str, content: &[u8]) {
    let size = content.len();
    let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 0);
    out.extend(header.bytes());
    out.extend(content);
    pad(out);
}

/// Members start at even offsets.
fn pad(out: &mut Vec<u8>) {
    if !out.len().is_multiple_of(2) {
        out.push(b'\n');
    }
}
