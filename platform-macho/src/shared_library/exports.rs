//! What a linked library exports: a trie of names, which one of two load commands leads to.
//!
//! A node of the trie has what is known of the name that ends there, if one does (behind its size), and its edges: each
//! with more bytes of names, and the place of the node that it leads to. Each node has one edge that leads to it. (A
//! file may lie: a few hundred bytes whose nodes are shared spell more names than anyone can read.)

use hashbrown::HashSet;
use object::LittleEndian as LE;
use object::macho::{self, DylibCommand, MachHeader64};
use object::read::Error;
use object::read::macho::MachHeader as _;
use orc_shared::printable_text;

use super::Dylib;

/// Bytes that all names may have; those of sane libraries have less.
const BYTES_MAX: usize = 64 << 20;

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
            dylib.add_exports(trie.data(LE, bytes).map_err(damaged)?)?;
        } else if let Some(info) = command.dyld_info().map_err(damaged)? {
            dylib.add_exports(info.export_data(LE, bytes).map_err(damaged)?)?;
        }
    }
    match dylib.install_name.is_empty() {
        true => Err("is a library for macOS that does not say what it is called".to_owned()),
        false => Ok(dylib),
    }
}

impl Dylib {
    fn add_exports(&mut self, trie: &[u8]) -> Result<(), String> {
        let damaged = |at: usize| {
            format!("is a library for macOS with damaged exports (at byte {at} of the trie)")
        };
        if trie.is_empty() {
            return Ok(());
        }
        let mut known: HashSet<usize> = HashSet::new();
        known.insert(0);
        let mut waiting = vec![(0, Vec::new())];
        let mut read = 0;
        while let Some((at, name)) = waiting.pop() {
            let node = Node::read(trie, at).ok_or_else(|| damaged(at))?;
            for (more, to) in node.edges {
                let name = [&name, more].concat();
                read += name.len();
                if read > BYTES_MAX || !known.insert(to) {
                    return Err(damaged(at));
                }
                waiting.push((to, name));
            }
            if node.is_name {
                self.names.push(name);
            }
        }
        Ok(())
    }
}

/// A node of a trie.
struct Node<'a> {
    /// Whether a name ends here.
    is_name: bool,
    /// What names go on with, and the places of the nodes that this leads to.
    edges: Vec<(&'a [u8], usize)>,
}

impl<'a> Node<'a> {
    /// Reads the node at a place; `None` if it is damaged.
    fn read(trie: &'a [u8], at: usize) -> Option<Self> {
        let mut rest = trie.get(at..)?;
        let known = take_uleb(&mut rest)?;
        rest = rest.get(known..)?;
        let (count, mut rest) = rest.split_first()?;
        let mut edges = Vec::with_capacity(usize::from(*count));
        for _ in 0..*count {
            let end = rest.iter().position(|byte| *byte == 0)?;
            let more = &rest[..end];
            rest = &rest[end + 1..];
            edges.push((more, take_uleb(&mut rest)?));
        }
        Some(Self {
            is_name: known > 0,
            edges,
        })
    }
}

/// Takes a number of 7 bits a byte.
fn take_uleb(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, more) = rest.split_first()?;
        *rest = more;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(value).ok();
        }
    }
    None
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
        0, 1, b'_', b'a', 0, 6, // `_a`: 2 bytes of flags and address; an edge "b" to 13.
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
        let said = |trie: &[u8]| read(&library(trie, false)).expect_err("damaged");
        let start = "is a library for macOS with damaged exports (at byte ";
        // An edge that leads back to the root, and one that leads nowhere.
        assert_eq!(said(&[0, 1, b'_', 0, 0]), format!("{start}0 of the trie)"));
        assert_eq!(said(&[0, 1, b'_', 0, 9]), format!("{start}9 of the trie)"));
        // Each node has two edges to the next one: a name more with each bit.
        let node = |level: u16| {
            let next = 10 * (level + 1);
            let to = [(next & 0x7f) as u8 | 0x80, (next >> 7) as u8];
            [0, 2, b'a', 0, to[0], to[1], b'b', 0, to[0], to[1]]
        };
        let shared: Vec<u8> = (0..40).flat_map(node).collect();
        assert!(said(&shared).starts_with(start));
        let whole = library(TRIE, true);
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{length}");
        }
    }
}
