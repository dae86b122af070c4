//! Frames made of compact unwind entries.
//!
//! An entry of `__LD,__compact_unwind` has five words: the function, its length and encoding, the personality
//! routine and the LSDA. The encoding says how the caller's registers are found in the middle of the function; what it
//! says holds for all of it, which is true wherever a call returns to.

use hashbrown::HashMap;
use jit_core::graph::{BlockId, Edge, SymbolId};

use super::Maker;
use crate::object::added::Added;
use crate::object::relocations::{Aim, PlacedEdge, place_of};

/// Bytes of an entry, and where its parts are.
const ENTRY_SIZE: u64 = 32;
const PERSONALITY_AT: u64 = 16;
const LSDA_AT: u64 = 24;

/// An encoded pointer: a distance from its place, of 8 bytes.
const DISTANCE: u8 = 0x10;
/// The same in 4 bytes, to a word that has the address.
const INDIRECT_DISTANCE: u8 = 0x9b;

/// CIEs by what they say: the personality routine, and whether there are tables.
pub(super) type Cies = HashMap<Option<(SymbolId, bool)>, u32>;

/// What an entry says.
#[derive(Default)]
struct Entry {
    function: Option<Aim>,
    personality: Option<Aim>,
    lsda: Option<Aim>,
    length: u32,
    encoding: u32,
}

impl Maker<'_> {
    /// Appends frames for functions of the reader's.
    pub(super) fn add_frames_of_added(&mut self, added: &[Added]) -> Result<(), String> {
        for Added { block, code } in added {
            let symbol = self.reader.symbols.of_added(*block);
            let entry = Entry {
                function: Some(Aim { symbol, addend: 0 }),
                length: code.bytes.len() as u32,
                ..Entry::default()
            };
            self.add_frame(&entry, (*block, 0), code.frame)?;
        }
        Ok(())
    }

    /// Appends frames for functions that have entries and no frame.
    pub(super) fn add_compact(&mut self, sections: &[u32]) -> Result<(), String> {
        let mut described: Vec<(BlockId, u64)> = self
            .frames
            .iter()
            .map(|frame| (frame.code, frame.code_offset))
            .collect();
        described.sort_unstable();
        for section in sections {
            for entry in self.entries(*section)? {
                let Some(function) = entry.function else {
                    continue;
                };
                let text = || self.reader.view.section_text(*section);
                let place = place_of(&self.reader.symbols.symbols, function);
                let place = place.ok_or_else(|| {
                    format!("an entry of {} describes no function of the object", text())
                })?;
                let place_key = (place.0, place.1.cast_unsigned());
                if described.binary_search(&place_key).is_ok()
                    || (self.machine.unwinding.is_dwarf)(entry.encoding)
                {
                    continue;
                }
                let code = self.code_of(place).ok_or_else(|| {
                    format!(
                        "an entry of {} describes code outside of its section",
                        text()
                    )
                })?;
                let rules = (self.machine.unwinding.rules)(entry.encoding, code);
                let rules = rules.ok_or_else(|| {
                    format!(
                        "an entry of {} has the unknown encoding {:#x}",
                        text(),
                        entry.encoding
                    )
                })?;
                self.add_frame(&entry, place, &rules)?;
            }
        }
        Ok(())
    }

    /// The code from a place to the end of its block.
    fn code_of(&self, (block, offset): (BlockId, i64)) -> Option<&[u8]> {
        let (section, start) = *self.reader.blocks.origins.get(block.0 as usize)?;
        let view = self.reader.view;
        let content = view.content(view.sections[section as usize]).ok()??;
        let size = self.reader.blocks.blocks[block.0 as usize].size;
        let bytes = &view.bytes[content];
        let bytes = bytes.get(start as usize..(start + size) as usize)?;
        bytes.get(usize::try_from(offset).ok()?..)
    }

    /// The entries of a section.
    fn entries(&self, section: u32) -> Result<Vec<Entry>, String> {
        let view = self.reader.view;
        let header = view.sections[section as usize];
        let content = view.content(header)?.unwrap_or(0..0);
        let bytes = &view.bytes[content];
        let edges = self.reader.read(section)?;
        let mut edges = edges.into_iter().peekable();
        let mut entries = Vec::new();
        for (number, bytes) in (0u64..).zip(bytes.chunks_exact(ENTRY_SIZE as usize)) {
            let word = |at: usize| {
                u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
            };
            let mut entry = Entry {
                length: word(8),
                encoding: word(12),
                ..Entry::default()
            };
            let start = number * ENTRY_SIZE;
            while let Some(edge) = edges.next_if(|edge| edge.offset < start + ENTRY_SIZE) {
                let PlacedEdge { offset, aim, .. } = edge;
                match offset - start {
                    0 => entry.function = Some(aim),
                    PERSONALITY_AT => entry.personality = Some(aim),
                    LSDA_AT => entry.lsda = Some(aim),
                    _ => {
                        return Err(format!(
                            "an entry of {} is damaged",
                            view.section_text(section)
                        ));
                    }
                }
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Appends an FDE with these instructions, and a CIE if there is none like its.
    fn add_frame(
        &mut self,
        entry: &Entry,
        code: (BlockId, i64),
        rules: &[u8],
    ) -> Result<(), String> {
        let Some(function) = entry.function else {
            return Ok(());
        };
        let kind = entry
            .personality
            .map(|aim| (aim.symbol, entry.lsda.is_some()));
        let cie = match self.cies.get(&kind) {
            Some(cie) => *cie,
            None => {
                let cie = self.add_cie(entry.personality, entry.lsda.is_some())?;
                self.cies.insert(kind, cie);
                cie
            }
        };
        let start = self.here()?;
        let first = self.edges.len();
        self.push_u32(0);
        self.push_u32(start + 4 - cie);
        self.push_distance(start + 8, 8, function);
        self.bytes.extend([0; 8]);
        self.bytes.extend(u64::from(entry.length).to_le_bytes());
        match entry.lsda.filter(|_| entry.personality.is_some()) {
            Some(lsda) => {
                self.bytes.push(8);
                let at = self.here()?;
                self.push_distance(at, 8, lsda);
                self.bytes.extend([0; 8]);
            }
            None => self.bytes.push(0),
        }
        self.bytes.extend_from_slice(rules);
        self.end_record(start)?;
        let length = self.here()? - start;
        self.push_frame(start, length, (first, self.edges.len()), code);
        Ok(())
    }

    fn add_cie(&mut self, personality: Option<Aim>, has_lsda: bool) -> Result<u32, String> {
        let start = self.here()?;
        let unwinding = &self.machine.unwinding;
        self.push_u32(0);
        self.push_u32(0);
        self.bytes.push(1);
        let augmentation: &[u8] = match (personality, has_lsda) {
            (Some(_), true) => b"zPLR\0",
            (Some(_), false) => b"zPR\0",
            (None, _) => b"zR\0",
        };
        self.bytes.extend_from_slice(augmentation);
        self.bytes.extend_from_slice(&unwinding.factors);
        let size = match (personality, has_lsda) {
            (Some(_), true) => 7,
            (Some(_), false) => 6,
            (None, _) => 1,
        };
        self.bytes.push(size);
        if let Some(personality) = personality {
            self.bytes.push(INDIRECT_DISTANCE);
            let offset = self.here()?;
            let (kind, addend) = self.machine.table_distance;
            self.edges.push(Edge {
                offset,
                target: personality.symbol,
                addend,
                kind,
            });
            self.bytes.extend([0; 4]);
            if has_lsda {
                self.bytes.push(DISTANCE);
            }
        }
        self.bytes.push(DISTANCE);
        self.bytes.extend_from_slice(unwinding.entry);
        self.end_record(start)?;
        Ok(start)
    }

    fn push_u32(&mut self, value: u32) {
        self.bytes.extend(value.to_le_bytes());
    }

    /// Fills a record up to words, and writes its length.
    fn end_record(&mut self, start: u32) -> Result<(), String> {
        // DW_CFA_nop.
        while !self.bytes.len().is_multiple_of(8) {
            self.bytes.push(0);
        }
        let length = self.here()? - start - 4;
        self.bytes[start as usize..start as usize + 4].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }
}
