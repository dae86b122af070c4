//! Relocations become edges: one flat vector, the edges of a block next to each other.

use jit_core::graph::{Block, BlockId, Content, Edge, EdgeKind, SymbolId, with_room};
use object::LittleEndian as LE;
use object::elf::{Rel64, Rela64, RelocationType, SHT_CREL, SHT_REL, SHT_RELA, SectionHeader64};
use object::read::elf::{Crel, SectionHeader};

use super::blocks::{Blocks, Fate};
use super::keep_alive::KeepAlive;
use super::view::View;
use crate::machine::{Machine, Meaning, implicit_addend};

/// A relocation section and the block it fixes up.
struct Table<'a> {
    section: &'a SectionHeader64<LE>,
    /// Index of the relocation section.
    index: u32,
    block: BlockId,
}

/// Decodes the relocations of every block; sets the blocks' `edges`.
///
/// # Errors
/// When a relocation is malformed, or of a kind that objects may not have: all of those kinds are
/// named.
pub(super) fn read(
    view: &View<'_>,
    blocks: &mut Blocks,
    keep_alive: &KeepAlive,
    symbol_count: u32,
) -> Result<Vec<Edge>, String> {
    let (tables, count) = find_tables(view, blocks)?;
    let mut reader = Reader {
        view,
        symbol_count,
        edges: Vec::with_capacity(with_room(count + keep_alive.len())),
        unsupported: Vec::new(),
        block_size: 0,
    };
    let mut done = vec![false; blocks.blocks.len()];
    for table in &tables {
        let at = table.block.0 as usize;
        if std::mem::replace(&mut done[at], true) {
            return Err(format!(
                "the section {} has two relocation sections",
                view.section_text(blocks.block_sections[at])
            ));
        }
        reader.read_table(table, &mut blocks.blocks[at], &blocks.owned, keep_alive)?;
    }
    for block in keep_alive.blocks() {
        let at = block.0 as usize;
        if !std::mem::replace(&mut done[at], true) {
            let start = reader.edges.len() as u32;
            reader.edges.extend(keep_alive.of(block));
            blocks.blocks[at].edges = start..reader.edges.len() as u32;
        }
    }
    for &block in &blocks.reversed {
        reverse(&mut blocks.blocks[block.0 as usize], &mut reader.edges);
    }
    match reader.unsupported.is_empty() {
        true => Ok(reader.edges),
        false => Err(reader.unsupported_message(blocks)),
    }
}

/// The relocation sections of blocks, and an upper bound of their relocations.
fn find_tables<'a>(view: &View<'a>, blocks: &Blocks) -> Result<(Vec<Table<'a>>, usize), String> {
    let mut tables = Vec::with_capacity(view.sections.len() / 2);
    let mut total_size = 0u64;
    let mut count = 0u64;
    for (index, section) in (0u32..).zip(view.sections) {
        let entry_size = match section.sh_type(LE) {
            SHT_RELA => size_of::<Rela64<LE>>() as u64,
            SHT_REL => size_of::<Rel64<LE>>() as u64,
            SHT_CREL => 1,
            _ => continue,
        };
        let Fate::Block(block) = blocks.fate(section.sh_info(LE)) else {
            continue;
        };
        let size = section.sh_size(LE);
        total_size = total_size.saturating_add(size);
        count = count.saturating_add(size / entry_size);
        tables.push(Table {
            section,
            index,
            block,
        });
    }
    // Relocation sections cannot overlap; the bound keeps reading linear in a damaged file.
    if total_size > view.bytes.len() as u64 || u32::try_from(count).is_err() {
        return Err("the relocations are larger than the file: it is truncated or damaged".into());
    }
    // No more than the file's size, as was just checked.
    Ok((tables, count as usize))
}

struct Reader<'a> {
    view: &'a View<'a>,
    symbol_count: u32,
    edges: Vec<Edge>,
    /// Relocations of unsupported kinds: one of each kind, with its section's block and offset.
    unsupported: Vec<(RelocationType, Table<'a>, u64, u32)>,
    block_size: u64,
}

impl<'a> Reader<'a> {
    fn read_table(
        &mut self,
        table: &Table<'a>,
        block: &mut Block,
        owned: &[u8],
        keep_alive: &KeepAlive,
    ) -> Result<(), String> {
        let start = self.edges.len() as u32;
        self.edges.extend(keep_alive.of(table.block));
        self.block_size = block.size;
        if table.section.sh_link(LE) != self.view.symtab {
            return Err(self.damaged(table, "refers to another symbol table than the object's"));
        }
        match table.section.sh_type(LE) {
            SHT_RELA => self.read_rela(table)?,
            SHT_REL => self.read_rel(table, &block.content, owned)?,
            _ => self.read_crel(table, &block.content, owned)?,
        }
        if self.edges.len() as u32 > start && block.content == Content::Zero && block.size > 0 {
            let fixups = self.edges[start as usize..].iter();
            if fixups.clone().any(|edge| edge.kind != EdgeKind::NONE) {
                return Err(self.damaged(table, "relocates a section without content"));
            }
        }
        block.edges = start..self.edges.len() as u32;
        Ok(())
    }

    fn read_rela(&mut self, table: &Table<'a>) -> Result<(), String> {
        let entries: &[Rela64<LE>] = table
            .section
            .data_as_array(LE, self.view.bytes)
            .map_err(|_| self.damaged(table, "lies outside the file: it is truncated"))?;
        let machine: &Machine = self.view.machine;
        for rela in entries {
            let info = rela.r_info.get(LE);
            let r_type = RelocationType(info as u32);
            let (offset, symbol) = (rela.r_offset.get(LE), (info >> 32) as u32);
            match machine.meaning(r_type) {
                Meaning::Edge(kind, width) => {
                    let offset = self.check(table, offset, width, symbol)?;
                    let target = SymbolId(symbol);
                    let addend = rela.r_addend.get(LE);
                    self.edges.push(Edge {
                        offset,
                        target,
                        addend,
                        kind,
                    });
                }
                Meaning::Ignored => {}
                Meaning::Unsupported => self.unsupported(r_type, table, offset, symbol),
            }
        }
        Ok(())
    }

    fn read_rel(
        &mut self,
        table: &Table<'a>,
        content: &Content,
        owned: &[u8],
    ) -> Result<(), String> {
        let entries: &[Rel64<LE>] = table
            .section
            .data_as_array(LE, self.view.bytes)
            .map_err(|_| self.damaged(table, "lies outside the file: it is truncated"))?;
        let content = self.content(content, owned);
        for rel in entries {
            self.read_implicit(table, &Crel::from_rel(rel, LE), content)?;
        }
        Ok(())
    }

    /// `SHT_CREL`: deltas in LEB128, with or without addends (generic ABI, proposed).
    fn read_crel(
        &mut self,
        table: &Table<'a>,
        content: &Content,
        owned: &[u8],
    ) -> Result<(), String> {
        let Ok(Some((entries, _))) = table.section.crel(LE, self.view.bytes) else {
            return Err(self.damaged(table, "lies outside the file: it is truncated"));
        };
        let content = self.content(content, owned);
        let explicit = entries.is_rela();
        for crel in entries {
            let crel = crel.map_err(|_| self.damaged(table, "ends within a relocation"))?;
            if explicit {
                self.read_explicit(table, &crel)?;
            } else {
                self.read_implicit(table, &crel, content)?;
            }
        }
        Ok(())
    }

    fn read_implicit(
        &mut self,
        table: &Table<'a>,
        rel: &Crel,
        content: &[u8],
    ) -> Result<(), String> {
        let field = match self.view.machine.meaning(rel.r_type) {
            Meaning::Edge(_, width) => usize::try_from(rel.r_offset)
                .ok()
                .and_then(|at| content.get(at..at.checked_add(usize::from(width))?)),
            Meaning::Ignored | Meaning::Unsupported => None,
        };
        let r_addend = field.map_or(0, implicit_addend);
        self.read_explicit(table, &Crel { r_addend, ..*rel })
    }

    fn read_explicit(&mut self, table: &Table<'a>, rel: &Crel) -> Result<(), String> {
        match self.view.machine.meaning(rel.r_type) {
            Meaning::Edge(kind, width) => {
                let offset = self.check(table, rel.r_offset, width, rel.r_sym)?;
                let target = SymbolId(rel.r_sym);
                self.edges.push(Edge {
                    offset,
                    target,
                    addend: rel.r_addend,
                    kind,
                });
            }
            Meaning::Ignored => {}
            Meaning::Unsupported => self.unsupported(rel.r_type, table, rel.r_offset, rel.r_sym),
        }
        Ok(())
    }

    /// The relocation's offset, if it lies in its section and its symbol exists.
    #[inline]
    fn check(&self, table: &Table<'a>, offset: u64, width: u8, symbol: u32) -> Result<u32, String> {
        let fits = offset
            .checked_add(u64::from(width))
            .is_some_and(|end| end <= self.block_size);
        match u32::try_from(offset) {
            Ok(offset) if fits && symbol < self.symbol_count => Ok(offset),
            _ => Err(self.impossible(table, offset, symbol)),
        }
    }

    #[cold]
    fn impossible(&self, table: &Table<'a>, offset: u64, symbol: u32) -> String {
        let what = if symbol >= self.symbol_count {
            format!("refers to symbol {symbol} of {}", self.symbol_count)
        } else {
            format!("lies outside the section of {:#x} bytes", self.block_size)
        };
        self.damaged(
            table,
            &format!("is damaged: the relocation at offset {offset:#x} {what}"),
        )
    }

    #[cold]
    fn damaged(&self, table: &Table<'a>, what: &str) -> String {
        format!(
            "the relocation section {} {what}",
            self.view.section_text(table.index)
        )
    }

    #[cold]
    fn unsupported(&mut self, r_type: RelocationType, table: &Table<'a>, offset: u64, symbol: u32) {
        // A damaged file may have any number of kinds.
        if self.unsupported.len() < 16 && self.unsupported.iter().all(|(t, ..)| *t != r_type) {
            let table = Table {
                section: table.section,
                index: table.index,
                block: table.block,
            };
            self.unsupported.push((r_type, table, offset, symbol));
        }
    }

    #[cold]
    fn unsupported_message(&self, blocks: &Blocks) -> String {
        let describe = |(r_type, table, offset, symbol): &(RelocationType, Table<'a>, u64, u32)| {
            format!(
                "unsupported relocation {} against {} at {}+{offset:#x}",
                self.view.machine.relocation_text(*r_type),
                self.view.symbol_text(*symbol),
                self.view
                    .section_text(blocks.block_sections[table.block.0 as usize]),
            )
        };
        self.unsupported
            .iter()
            .map(describe)
            .collect::<Vec<_>>()
            .join("; ")
    }

    fn content<'b>(&self, content: &Content, owned: &'b [u8]) -> &'b [u8]
    where
        'a: 'b,
    {
        match content {
            Content::Input(range) => self.view.bytes.get(range.clone()).unwrap_or(&[]),
            Content::Owned(range) => owned.get(range.clone()).unwrap_or(&[]),
            Content::FunctionNames | Content::Zero => &[],
        }
    }
}

/// Moves the edges of a block whose words were reversed to where their words are.
fn reverse(block: &mut Block, edges: &mut [Edge]) {
    let edges = &mut edges[block.edges.start as usize..block.edges.end as usize];
    // Edges that write nothing only keep other blocks alive.
    let keeps_alive = EdgeKind::NONE;
    if edges.iter().all(|edge| edge.kind == keeps_alive) {
        // The words that crtbegin.o and crtend.o mark the ends of the list with: nothing to run.
        block.content = Content::Zero;
        block.size = 0;
        edges.iter_mut().for_each(|edge| edge.offset = 0);
    }
    for edge in edges.iter_mut().filter(|edge| edge.kind != keeps_alive) {
        let word = u64::from(edge.offset) & !7;
        let within = edge.offset & 7;
        edge.offset = (block.size - 8).saturating_sub(word) as u32 + within;
    }
}
