//! One member of an archive: its name and its bytes.

use std::path::Path;
use std::sync::Arc;

use jit_core::graph::InputBytes;
use jit_core::object::ObjectError;
use object::read::archive::{ArchiveFile, ArchiveOffset};
use orc_shared::{printable, printable_text};

use super::Archive;
use crate::input::{InputPart, printable_path};

/// Size of a member's header.
pub(super) const HEADER_SIZE: usize = 60;

/// A member.
pub(super) struct Member {
    /// The name for messages, as in "libfoo.a(bar.o)".
    pub name: String,
    /// The member's own name.
    pub file_name: String,
    pub input: Arc<dyn InputBytes>,
}

/// Offsets of the headers of all members but the special ones.
///
/// # Errors
/// When a header is damaged.
pub fn offsets(bytes: &[u8]) -> Result<Vec<u64>, String> {
    let file = super::parse(bytes)?;
    let mut offsets = Vec::new();
    let mut at = 8u64;
    while at < bytes.len() as u64 {
        let header = header(bytes, at)?;
        let special = is_special(header) || is_extended_index(bytes, at, header);
        if !special {
            offsets.push(at);
        }
        let held = special || !file.is_thin();
        let size = if held { size(header, at)? } else { 0 };
        // Members start at even offsets.
        let next = (HEADER_SIZE as u64)
            .checked_add(size)
            .and_then(|size| at.checked_add(size));
        at = next
            .and_then(|end| end.checked_next_multiple_of(2))
            .unwrap_or(u64::MAX);
    }
    Ok(offsets)
}

/// Finds the bytes of the member whose header is at `offset`.
///
/// # Errors
/// When the header is damaged, the member truncated, or a thin archive's file not readable.
pub(super) fn find(archive: &Archive, offset: u64) -> Result<Member, ObjectError> {
    let bytes = archive.input.bytes();
    let file = super::parse(bytes).map_err(|message| archive.error(message))?;
    if file.is_thin() {
        return find_thin(archive, &file, offset);
    }
    let member = file.member(ArchiveOffset(offset)).map_err(|error| {
        archive.error(format!(
            "the member at offset {offset:#x} is damaged ({error}): run ranlib on the archive"
        ))
    })?;
    let file_name = String::from_utf8_lossy(member.name()).into_owned();
    let name = format!("{}({})", archive.name, printable(member.name()));
    let (start, size) = member.file_range();
    let part = usize::try_from(start)
        .ok()
        .zip(usize::try_from(size).ok())
        .and_then(|(start, size)| {
            InputPart::new(Arc::clone(&archive.input), start..start.checked_add(size)?)
        });
    match part {
        Some(part) => Ok(Member {
            name,
            file_name,
            input: Arc::new(part),
        }),
        None => Err(ObjectError {
            object: name,
            message: "ends beyond the archive, which is truncated".into(),
        }),
    }
}

fn find_thin(
    archive: &Archive,
    file: &ArchiveFile<'_>,
    offset: u64,
) -> Result<Member, ObjectError> {
    let damaged = |what: &str| {
        archive.error(format!(
            "the member at offset {offset:#x} is damaged: {what}"
        ))
    };
    let bytes = archive.input.bytes();
    if let Some((path, inner_offset)) = nested(bytes, offset) {
        return find_nested(archive, &path, inner_offset);
    }
    let member = file
        .member(ArchiveOffset(offset))
        .map_err(|error| damaged(&error.to_string()))?;
    let file_name = String::from_utf8_lossy(member.name()).into_owned();
    let input = open(archive, &file_name)?;
    Ok(Member {
        name: format!("{}({})", archive.name, printable(member.name())),
        file_name,
        input,
    })
}

/// Opens a thin archive's file.
fn open(archive: &Archive, file_name: &str) -> Result<Arc<dyn InputBytes>, ObjectError> {
    let path = archive.directory.join(Path::new(file_name));
    archive.opener.open(&path).map_err(|error| ObjectError {
        object: format!("{}({})", archive.name, printable(file_name.as_bytes())),
        message: format!(
            "the thin archive's member {} cannot be read: {error}: \
             build it again, or make the archive without T",
            printable_path(&path)
        ),
    })
}

/// A member of a regular archive that GNU ar put into a thin one: "/NAME:OFFSET", where the name
/// is the inner archive's and the offset that of the member's header in it.
fn nested(bytes: &[u8], offset: u64) -> Option<(String, u64)> {
    let header = header(bytes, offset).ok()?;
    let name = std::str::from_utf8(header.get(1..16)?).ok()?.trim_end();
    let (name_offset, inner) = (header[0] == b'/').then(|| name.split_once(':'))??;
    let tail = long_names(bytes)?.get(name_offset.parse::<usize>().ok()?..)?;
    let end = tail.iter().position(|&b| b == b'\n')?;
    let path = String::from_utf8_lossy(&tail[..end]);
    Some((path.trim_end_matches('/').to_owned(), inner.parse().ok()?))
}

/// The table of long names.
pub(super) fn long_names(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = 8u64;
    // It comes first or after the index.
    for _ in 0..2 {
        let header = header(bytes, at).ok()?;
        let size = size(header, at).ok()?;
        let start = usize::try_from(at).ok()? + HEADER_SIZE;
        if header.starts_with(b"// ") {
            return bytes.get(start..start.checked_add(usize::try_from(size).ok()?)?);
        }
        at = (start as u64)
            .checked_add(size)?
            .checked_next_multiple_of(2)?;
    }
    None
}

fn find_nested(archive: &Archive, path: &str, offset: u64) -> Result<Member, ObjectError> {
    let inner = Archive {
        name: printable_text(path.as_bytes()),
        input: open(archive, path)?,
        objects: archive.objects.clone(),
        directory: archive.directory.clone(),
        opener: Arc::clone(&archive.opener),
        index: Vec::new(),
        uses: Vec::new(),
        members: Vec::new(),
        watch: None,
    };
    // An inner thin archive would have been flattened; one that claims to be must not recurse.
    if inner.input.bytes().starts_with(b"!<thin>\n") {
        return Err(archive.error(format!(
            "its member {} is a thin archive, too",
            printable(path.as_bytes())
        )));
    }
    find(&inner, offset)
}

/// The header at `offset` and what follows it, of an archive that holds its members.
pub(super) fn whole(bytes: &[u8], offset: u64) -> Result<&[u8], String> {
    let size = size(header(bytes, offset)?, offset)?;
    let start = usize::try_from(offset).ok();
    let end = size.checked_add(offset + HEADER_SIZE as u64);
    let end = end.and_then(|end| usize::try_from(end).ok());
    let range = start
        .zip(end)
        .and_then(|(start, end)| bytes.get(start..end));
    range.ok_or_else(|| format!("ends within the member at {offset:#x}: it is truncated"))
}

/// The member header at `offset`.
fn header(bytes: &[u8], offset: u64) -> Result<&[u8], String> {
    let header = usize::try_from(offset)
        .ok()
        .and_then(|at| bytes.get(at..at.checked_add(HEADER_SIZE)?))
        .ok_or_else(|| format!("ends within the member header at {offset:#x}: it is truncated"))?;
    if header[58..] != *b"`\n" {
        return Err(format!(
            "has no member header at {offset:#x}: it is damaged"
        ));
    }
    Ok(header)
}

/// The size that a header gives.
fn size(header: &[u8], offset: u64) -> Result<u64, String> {
    std::str::from_utf8(&header[48..58])
        .ok()
        .and_then(|size| size.trim_end().parse().ok())
        .ok_or_else(|| format!("the member header at {offset:#x} has no size: it is damaged"))
}

/// Whether the header is that of an index or of the table of long names.
fn is_special(header: &[u8]) -> bool {
    let specials: [&[u8]; 4] = [b"/ ", b"// ", b"/SYM64/ ", b"__.SYMDEF"];
    specials.iter().any(|special| header.starts_with(special))
}

/// Whether the header is that of an index whose name stands in front of its content (BSD).
fn is_extended_index(bytes: &[u8], at: u64, header: &[u8]) -> bool {
    let content = usize::try_from(at)
        .ok()
        .and_then(|at| bytes.get(at + HEADER_SIZE..));
    header.starts_with(b"#1/") && content.is_some_and(|c| c.starts_with(b"__.SYMDEF"))
}
