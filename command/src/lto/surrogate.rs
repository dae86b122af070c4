//! Objects and archives that stand for files with internal code while names are resolved.

use super::symbols::{Sort, Symbol};

/// An object with these symbols and no content.
pub(super) fn object(symbols: &[Symbol]) -> Vec<u8> {
    const HEADER: usize = 64;
    const SECTIONS: usize = 5;
    const NAMES: &[u8] = b"\0.text\0.symtab\0.strtab\0.shstrtab\0";
    let mut table = vec![0; 24];
    let mut strings = vec![0];
    for Symbol { name, sort } in symbols {
        let (binding, section, value, size) = match sort {
            Sort::Defined => (1u8, 1u16, 0u64, 0u64),
            Sort::WeaklyDefined => (2, 1, 0, 0),
            Sort::Undefined => (1, 0, 0, 0),
            Sort::WeaklyUndefined => (2, 0, 0, 0),
            // SHN_COMMON, where the value is the alignment.
            Sort::Common => (1, 0xfff2, 1, 1),
        };
        table.extend((strings.len() as u32).to_le_bytes());
        table.extend([binding << 4, 0]);
        table.extend(section.to_le_bytes());
        table.extend(value.to_le_bytes());
        table.extend(size.to_le_bytes());
        strings.extend(name);
        strings.push(0);
    }
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    // ET_REL, EM_X86_64.
    file.extend([1, 0, 62, 0, 1, 0, 0, 0]);
    file.extend([0; 16]);
    file.extend((HEADER as u64).to_le_bytes());
    file.extend([0; 4]);
    for half in [HEADER as u16, 0, 0, 64, SECTIONS as u16, 4] {
        file.extend(half.to_le_bytes());
    }
    let mut at = (HEADER + SECTIONS * 64) as u64;
    let mut section = |name: u32, kind: u32, flags: u64, size: usize, link: u32, entry: u64| {
        file.extend(name.to_le_bytes());
        file.extend(kind.to_le_bytes());
        for word in [flags, 0, if kind == 0 { 0 } else { at }, size as u64] {
            file.extend(word.to_le_bytes());
        }
        file.extend(link.to_le_bytes());
        // Of a symbol table, the first global one.
        file.extend(u32::from(kind == 2).to_le_bytes());
        file.extend(if kind == 2 { 8u64 } else { 1 }.to_le_bytes());
        file.extend(entry.to_le_bytes());
        at += size as u64;
    };
    section(0, 0, 0, 0, 0, 0);
    // SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR; SHT_SYMTAB; SHT_STRTAB.
    section(1, 1, 6, 0, 0, 0);
    section(7, 2, 0, table.len(), 3, 24);
    section(15, 3, 0, strings.len(), 0, 0);
    section(23, 3, 0, NAMES.len(), 0, 0);
    file.extend(table);
    file.extend(strings);
    file.extend(NAMES);
    file
}

/// An archive of these members, without an index, and where their headers are.
pub(super) fn archive<'a>(
    members: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> (Vec<u8>, Vec<u64>) {
    let mut file = b"!<arch>\n".to_vec();
    let mut places = Vec::new();
    for (name, content) in members {
        places.push(file.len() as u64);
        // The name stands in front of the content, where it may be of any length.
        let (length, size) = (name.len(), name.len() + content.len());
        let header = format!(
            "#1/{length:<13}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
            0, 0, 0, 0
        );
        file.extend(header.bytes());
        file.extend(name.bytes());
        file.extend(content);
        if !file.len().is_multiple_of(2) {
            file.push(b'\n');
        }
    }
    (file, places)
}
