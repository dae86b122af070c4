//! Which members of an archive its entry points need.

use std::collections::HashMap;

use object::Endianness;
use object::read::archive::ArchiveFile;
use object::read::elf::ElfFile64;
use object::read::{Error, Object, ObjectSymbol};

use crate::ArchiveError;

/// An object in the archive.
pub struct Member<'a> {
    /// Its name in the archive.
    pub name: String,
    /// Its content.
    pub elf: ElfFile64<'a, Endianness>,
}

/// The members that define an entry point, and all that they need, in archive order.
pub fn reachable(
    archive: &[u8],
    is_entry_point: fn(&[u8]) -> bool,
) -> Result<Vec<Member<'_>>, ArchiveError> {
    let members = parse(archive)?;
    let definitions = definitions(&members)?;
    let mut needed = vec![false; members.len()];
    let mut to_visit: Vec<usize> = definitions
        .iter()
        .filter(|(name, _)| is_entry_point(name))
        .map(|(_, &index)| index)
        .collect();
    if to_visit.is_empty() {
        return Err(ArchiveError::NoEntryPoint);
    }
    while let Some(index) = to_visit.pop() {
        if std::mem::replace(&mut needed[index], true) {
            continue;
        }
        let member = &members[index];
        // A weak reference does not pull a member, here as in any linker.
        for symbol in member
            .elf
            .symbols()
            .filter(|s| s.is_undefined() && !s.is_weak())
        {
            let name = symbol.name_bytes().map_err(|error| member.damaged(error))?;
            to_visit.extend(definitions.get(name));
        }
    }
    drop(definitions);
    let kept = members
        .into_iter()
        .zip(needed)
        .filter(|(_, needed)| *needed);
    Ok(kept.map(|(member, _)| member).collect())
}

impl Member<'_> {
    /// The error of reading this member.
    pub fn damaged(&self, error: Error) -> ArchiveError {
        ArchiveError::Member {
            member: self.name.clone(),
            error,
        }
    }
}

fn parse(archive: &[u8]) -> Result<Vec<Member<'_>>, ArchiveError> {
    let damaged = |error| ArchiveError::Member {
        member: "(index)".to_owned(),
        error,
    };
    let file = ArchiveFile::parse(archive).map_err(damaged)?;
    let mut members = Vec::new();
    for member in file.members() {
        let member = member.map_err(damaged)?;
        let name = String::from_utf8_lossy(member.name()).into_owned();
        let parsed = member.data(archive).and_then(ElfFile64::parse);
        let elf = parsed.map_err(|error| ArchiveError::Member {
            member: name.clone(),
            error,
        })?;
        members.push(Member { name, elf });
    }
    Ok(members)
}

/// The first member that defines each global name.
fn definitions<'a>(members: &[Member<'a>]) -> Result<HashMap<&'a [u8], usize>, ArchiveError> {
    let mut definitions = HashMap::new();
    for (index, member) in members.iter().enumerate() {
        for symbol in member
            .elf
            .symbols()
            .filter(|s| s.is_definition() && s.is_global())
        {
            let name = symbol.name_bytes().map_err(|error| member.damaged(error))?;
            definitions.entry(name).or_insert(index);
        }
    }
    Ok(definitions)
}
