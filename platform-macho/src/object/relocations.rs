//! Relocations become edges.

use jit_core::graph::{BlockId, Edge, EdgeKind, Symbol, SymbolId, Target};
use object::LittleEndian as LE;
use object::macho::{self, RelocationInfo};

use super::blocks::Blocks;
use super::symbols::Symbols;
use super::view::{Place, View};
use crate::machine::{Form, Meaning, implicit_addend};

/// A relocation's target, with the addend that leads there.
#[derive(Clone, Copy)]
pub(crate) struct Aim {
    pub symbol: SymbolId,
    pub addend: i64,
}

/// An edge in a section, before sections are blocks.
#[derive(Clone, Copy)]
pub(crate) struct PlacedEdge {
    /// Offset in the section.
    pub offset: u64,
    pub aim: Aim,
    /// What is subtracted.
    pub minus: Option<SymbolId>,
    pub kind: EdgeKind,
}

/// What relocations are read with.
pub(crate) struct Reader<'a> {
    pub view: &'a View<'a>,
    pub blocks: &'a Blocks,
    pub symbols: &'a Symbols,
}

/// Reads the relocations of all sections in memory, and gives each block its edges.
///
/// # Errors
/// What is wrong with a relocation, and where.
pub(super) fn read(
    view: &View<'_>,
    blocks: &mut Blocks,
    symbols: &Symbols,
) -> Result<Vec<Edge>, String> {
    let count: usize = view
        .sections
        .iter()
        .map(|it| it.nreloc.get(LE) as usize)
        .sum();
    let mut edges: Vec<Edge> = Vec::with_capacity(jit_core::graph::with_room(count));
    for section in 0..view.sections.len() as u32 {
        if blocks.at(section, 0).is_none() {
            continue;
        }
        let reader = Reader {
            view,
            blocks,
            symbols,
        };
        let placed = reader.read(section)?;
        spread(view, blocks, section, &placed, &mut edges)?;
    }
    Ok(edges)
}

/// Appends the edges of a section's blocks. `placed` is in the order of offsets.
fn spread(
    view: &View<'_>,
    blocks: &mut Blocks,
    section: u32,
    placed: &[PlacedEdge],
    edges: &mut Vec<Edge>,
) -> Result<(), String> {
    let mut current: Option<BlockId> = None;
    for edge in placed {
        let (block, within) = blocks
            .at(section, edge.offset.cast_signed())
            .ok_or("internal error: a section in memory without a block")?;
        let home = &mut blocks.blocks[block.0 as usize];
        if current != Some(block) {
            home.edges = edges.len() as u32..edges.len() as u32;
            current = Some(block);
        }
        let offset = u32::try_from(within);
        let offset = offset
            .map_err(|_| format!("the section {} is too large", view.section_text(section)))?;
        if let Some(target) = edge.minus {
            edges.push(Edge {
                offset,
                target,
                addend: 0,
                kind: EdgeKind::SUBTRAHEND,
            });
        }
        edges.push(Edge {
            offset,
            target: edge.aim.symbol,
            addend: edge.aim.addend,
            kind: edge.kind,
        });
        home.edges.end = edges.len() as u32;
    }
    Ok(())
}

impl Reader<'_> {
    /// The edges of a section, in the order of their offsets.
    ///
    /// # Errors
    /// What is wrong with a relocation.
    pub fn read(&self, section: u32) -> Result<Vec<PlacedEdge>, String> {
        let header = self.view.sections[section as usize];
        let content = self.view.content(header)?.unwrap_or(0..0);
        let content = &self.view.bytes[content];
        let mut minus = None;
        let mut addend = None;
        let mut edges = Vec::new();
        for relocation in self.view.relocations(header)? {
            if relocation.r_scattered(LE, self.view.machine.number) {
                return Err(self.refused(
                    section,
                    relocation.r_word0.get(LE),
                    "is scattered, which only 32-bit objects are",
                ));
            }
            let info = relocation.info(LE);
            let refused = |why: &str| {
                let name = self.view.machine.relocation_text(info.r_type);
                Err(self.refused(section, info.r_address, &format!("({name}) {why}")))
            };
            let field = content.get(info.r_address as usize..).unwrap_or_default();
            match self.view.machine.meaning(&info, field) {
                Meaning::Refused(why) => return refused(why),
                Meaning::Subtractor if minus.is_some() => {
                    return refused("stands behind another first half of a pair");
                }
                Meaning::Subtractor | Meaning::Addend if addend.is_some() => {
                    return refused("stands behind another first half of a pair");
                }
                Meaning::Subtractor => minus = Some(info),
                Meaning::Addend if minus.is_some() => {
                    return refused("stands behind another first half of a pair");
                }
                // 24 bits with a sign.
                Meaning::Addend => addend = Some((info, signed24(info.r_symbolnum))),
                Meaning::Edge(form) => {
                    let pair = (minus.take(), addend.take());
                    match self.edge(section, content, &info, form, pair) {
                        Ok(edge) => edges.push(edge),
                        Err(why) => return refused(&why),
                    }
                }
            }
        }
        if let Some(first) = minus.or(addend.map(|(first, _)| first)) {
            return Err(self.refused(
                section,
                first.r_address,
                "is the first half of a pair, and the last relocation",
            ));
        }
        edges.sort_by_key(|edge| edge.offset);
        Ok(edges)
    }

    fn edge(
        &self,
        section: u32,
        content: &[u8],
        info: &RelocationInfo,
        form: Form,
        (minus, explicit): (Option<RelocationInfo>, Option<(RelocationInfo, i64)>),
    ) -> Result<PlacedEdge, String> {
        let at = info.r_address as usize;
        let field = at
            .checked_add(usize::from(form.width))
            .and_then(|end| content.get(at..end))
            .ok_or("lies outside its section")?;
        let field = match (explicit, form.implicit) {
            (None, true) => implicit_addend(field),
            (None, false) => 0,
            (Some((first, addend)), false) if first.r_address == info.r_address => addend,
            (Some(_), _) => return Err("does not fit the ADDEND before it".into()),
        };
        if self.view.machine.thread_local.contains(&info.r_type) {
            self.check_descriptor(info)?;
        }
        let aim = match info.r_extern {
            true => self.aim_of_symbol(info, field, form)?,
            false => self.aim(section, info, field, form.end)?,
        };
        let mut edge = PlacedEdge {
            offset: u64::from(info.r_address),
            aim,
            minus: None,
            kind: form.kind,
        };
        if let Some(minus) = minus {
            if minus.r_address != info.r_address || minus.r_length != info.r_length {
                return Err("is not of the same place as the SUBTRACTOR before it".into());
            }
            if !form.is_data {
                return Err("stands behind a SUBTRACTOR, and is not UNSIGNED".into());
            }
            let kind = self.view.machine.difference(form.width);
            edge.kind = kind.ok_or("is of a size that differences do not have")?;
            let (symbol, distance) = self.subtrahend(&minus)?;
            edge.minus = Some(symbol);
            edge.aim.addend = edge.aim.addend.wrapping_add(distance);
        }
        Ok(edge)
    }

    /// Checks that what is used as a thread-local is one, if the object has it.
    fn check_descriptor(&self, info: &RelocationInfo) -> Result<(), String> {
        let number = self.symbol(info.r_symbolnum)?.0;
        let place = self
            .view
            .place(number, &self.view.symbols[number as usize])?;
        let kind = match place {
            Place::Section { section, .. } => {
                let section = self.view.sections[section as usize];
                Some(section.flags.get(LE).typ())
            }
            Place::Common { .. } | Place::Absolute => None,
            Place::Undefined | Place::Alias { .. } | Place::Debugging => Some(DESCRIPTORS),
        };
        match kind == Some(DESCRIPTORS) {
            true => Ok(()),
            false => Err(format!(
                "uses {} as a thread-local, which it is not",
                self.view.symbol_text(number)
            )),
        }
    }

    /// What a relocation against a section leads to. `field` is what its field holds.
    fn aim(
        &self,
        section: u32,
        info: &RelocationInfo,
        field: i64,
        end: Option<(i64, i64)>,
    ) -> Result<Aim, String> {
        // The field leads to the place meant, as the file has it.
        let header = self.view.sections[section as usize];
        let place = header.addr.get(LE).wrapping_add(u64::from(info.r_address));
        let base = end.map_or(0, |(of_section, _)| {
            place.cast_signed().wrapping_add(of_section)
        });
        let address = field.wrapping_add(base);
        let mut aim = self.in_section(info.r_symbolnum, address)?;
        aim.addend = aim
            .addend
            .wrapping_sub(end.map_or(0, |(of_section, _)| of_section));
        Ok(aim)
    }

    /// What a relocation against a symbol leads to. `field` is what its field holds.
    ///
    /// # Errors
    /// When there is no such symbol.
    pub fn aim_of_symbol(
        &self,
        info: &RelocationInfo,
        field: i64,
        form: Form,
    ) -> Result<Aim, String> {
        let symbol = self.symbol(info.r_symbolnum)?;
        let addend = field.wrapping_sub(form.end.map_or(0, |(_, of_symbol)| of_symbol));
        Ok(Aim { symbol, addend })
    }

    /// A place of the section with this number, by its address in the file.
    fn in_section(&self, number: u32, address: i64) -> Result<Aim, String> {
        let index = number.wrapping_sub(1);
        let target = self.view.sections.get(index as usize);
        let target = target
            .ok_or_else(|| format!("refers to section {number} of {}", self.view.sections.len()))?;
        let offset = address.wrapping_sub(target.addr.get(LE).cast_signed());
        let found = self.blocks.at(index, offset);
        let (block, addend) = found.ok_or_else(|| {
            format!(
                "refers to the section {}, which is not in memory",
                self.view.section_text(index)
            )
        })?;
        Ok(Aim {
            symbol: self.symbols.of_block(block),
            addend,
        })
    }

    /// What a `SUBTRACTOR` subtracts, and what is to be added besides.
    fn subtrahend(&self, info: &RelocationInfo) -> Result<(SymbolId, i64), String> {
        if info.r_extern {
            return Ok((self.symbol(info.r_symbolnum)?, 0));
        }
        // The field has the place's address in the file taken off already; which place, it does not tell.
        let index = info.r_symbolnum.wrapping_sub(1);
        if !self.blocks.is_whole(index) {
            return Err(
                "subtracts a place of a section, and not a symbol, which is not supported".into(),
            );
        }
        let aim = self.in_section(info.r_symbolnum, 0)?;
        Ok((aim.symbol, -aim.addend))
    }

    fn symbol(&self, number: u32) -> Result<SymbolId, String> {
        let count = self.view.symbols.len();
        let symbol = self.view.symbols.get(number as usize);
        let symbol = symbol.ok_or_else(|| format!("refers to symbol {number} of {count}"))?;
        if symbol.n_type.is_stab() {
            return Err(format!("refers to the debugging entry {number}"));
        }
        Ok(SymbolId(number))
    }

    fn refused(&self, section: u32, offset: u32, what: &str) -> String {
        let section = self.view.section_text(section);
        format!("the relocation at {section}+{offset:#x} {what}")
    }
}

/// A number of 24 bits with a sign.
fn signed24(number: u32) -> i64 {
    i64::from((number << 8).cast_signed() >> 8)
}

/// The block and the offset that an aim leads to, if it is one of this object.
pub(crate) fn place_of(symbols: &[Symbol], aim: Aim) -> Option<(BlockId, i64)> {
    match symbols.get(aim.symbol.0 as usize)?.target {
        Target::Defined { block, offset } => {
            Some((block, offset.cast_signed().wrapping_add(aim.addend)))
        }
        _ => None,
    }
}

/// Types of sections whose words describe thread-locals.
pub(crate) const DESCRIPTORS: macho::SectionType = macho::S_THREAD_LOCAL_VARIABLES;
