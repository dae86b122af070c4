//! What a linked library exports: a trie of names, which one of two load commands leads to.

use object::LittleEndian as LE;
use object::macho::{self, DylibCommand, MachHeader64};
use object::read::Error;
use object::read::macho::{ExportsTrieIterator, MachHeader as _};
use orc_shared::printable_text;

use super::Dylib;

/// Names that are read; a sane library has fewer.
const NAMES_MAX: usize = 1 << 20;

/// Reads a linked library.
///
/// # Errors
/// When it is damaged, or does not say what it is called.
pub(super) fn read(bytes: &[u8]) -> Result<Dylib, String> {
    let damaged = |error: Error| format!("is a damaged library for macOS ({error})");
    let header = MachHeader64::<LE>::parse(bytes, 0).map_err(damaged)?;
    let mut commands = header.load_commands(LE, bytes, 0).map_err(damaged)?;
    let mut dylib = Dylib::default();
    while let Some(command) = commands.next().map_err(damaged)? {
        if command.cmd() == macho::LC_ID_DYLIB {
            let id = command.data::<DylibCommand<LE>>().map_err(damaged)?;
            let name = command.string(LE, id.dylib.name).map_err(damaged)?;
            dylib.install_name = printable_text(name);
        } else if let Some(trie) = command.dyld_exports_trie().map_err(damaged)? {
            let names = trie.exports_trie(LE, bytes).map_err(damaged)?;
            dylib.add_exports(names)?;
        } else if let Some(info) = command.dyld_info().map_err(damaged)? {
            let names = info.exports_trie(LE, bytes).map_err(damaged)?;
            dylib.add_exports(names)?;
        }
    }
    match dylib.install_name.is_empty() {
        true => Err("is a library for macOS that does not say what it is called".to_owned()),
        false => Ok(dylib),
    }
}

impl Dylib {
    fn add_exports(&mut self, mut names: ExportsTrieIterator<'_>) -> Result<(), String> {
        let damaged = |error| format!("is a library for macOS with damaged exports ({error})");
        while let Some(symbol) = names.next().map_err(damaged)? {
            if self.names.len() == NAMES_MAX {
                return Err("is a library for macOS with damaged exports: there is no end".into());
            }
            self.names.push(symbol.into_name());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A library with a name and a trie, behind one command or the other.
    fn library(trie: &[u8], with_info: bool) -> Vec<u8> {
        let name = *b"/opt/libx.1.dylib\0\0\0\0\0\0\0";
        let words = |words: &[u32]| {
            words
                .iter()
                .flat_map(|it| it.to_le_bytes())
                .collect::<Vec<u8>>()
        };
        let mut commands = words(&[0xd, 24 + 24, 24, 0, 0, 0]);
        commands.extend(name);
        let size = trie.len() as u32;
        let at = 32 + commands.len() as u32 + if with_info { 48 } else { 16 };
        commands.extend(match with_info {
            true => words(&[0x8000_0022, 48, 0, 0, 0, 0, 0, 0, 0, 0, at, size]),
            false => words(&[0x8000_0033, 16, at, size]),
        });
        let mut file = words(&[
            0xfeed_facf,
            macho::CPU_TYPE_X86_64.0,
            3,
            6,
            2,
            commands.len() as u32,
            0,
            0,
        ]);
        file.extend(commands);
        file.extend(trie);
        file
    }

    /// `_a`, and `_ab`, which shares its beginning.
    const TRIE: &[u8] = &[
        // The root: no name ends, one edge "_a" to 6.
        0, 1, b'_', b'a', 0, 6, // `_a`: 2 bytes of flags and address; an edge "b" to 12.
        2, 0, 0x10, 1, b'b', 0, 13, // `_ab`.
        2, 0, 0x20, 0,
    ];

    #[test]
    fn names_are_read_from_either_trie() {
        for with_info in [false, true] {
            let dylib = read(&library(TRIE, with_info)).expect("a library");
            assert_eq!(dylib.install_name, "/opt/libx.1.dylib");
            assert_eq!(dylib.names, [b"_a".to_vec(), b"_ab".to_vec()]);
        }
    }

    #[test]
    fn damage_is_an_error() {
        // An edge that leads back to the root.
        let circle = [0, 1, b'_', 0, 0];
        let said = read(&library(&circle, false)).expect_err("damaged");
        assert!(
            said.starts_with("is a library for macOS with damaged exports ("),
            "{said}"
        );
        let whole = library(TRIE, true);
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{length}");
        }
    }
}
