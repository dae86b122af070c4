//! The records of an object's `__eh_frame`: CIEs and FDEs.

use jit_core::graph::Edge;
use object::LittleEndian as LE;

use super::Maker;
use crate::machine::{Meaning, implicit_addend};

/// Encodings of pointers (LSB, "DWARF Exception Header Encoding"): absolute or counted from the place, and
/// the size.
const ABSOLUTE: u8 = 0x00;
const FROM_PLACE: u8 = 0x10;
const APPLICATION: u8 = 0x70;
const SIZE: u8 = 0x0f;
const OMITTED: u8 = 0xff;

/// What the FDEs of a CIE look like.
#[derive(Clone, Copy)]
struct Cie {
    /// Offset in the block.
    at: u32,
    /// Encoding of the code's address.
    code: u8,
    /// Encoding of the LSDA's address, if FDEs have one.
    lsda: Option<u8>,
    /// Whether FDEs have augmentation data.
    augmented: bool,
}

/// An edge that the section's relocations ask for: offset in the section, edge.
type Asked = (u64, Edge);

impl Maker<'_> {
    /// Copies a section, with edges in place of what its bytes say about the file.
    pub(super) fn copy_section(&mut self, section: u32) -> Result<(), String> {
        let view = self.reader.view;
        let header = view.sections[section as usize];
        let content = view.content(header)?.unwrap_or(0..0);
        let base = self.here()?;
        self.bytes.extend_from_slice(&view.bytes[content]);
        let asked = self.apply_differences(section, base)?;
        let text = view.section_text(section);
        self.read_records(base, header.addr.get(LE), &asked)
            .map_err(|(at, what)| {
                let at = at - base;
                format!(
                    "the record at {text}+{at:#x} {what}: the call frame information is damaged"
                )
            })
    }

    /// Writes what pairs of relocations say into the copy, and returns the edges of others.
    fn apply_differences(&mut self, section: u32, base: u32) -> Result<Vec<Asked>, String> {
        let view = self.reader.view;
        let header = view.sections[section as usize];
        let damaged =
            |what: &str| format!("the relocations of {} {what}", view.section_text(section));
        let value = |index: u32| {
            view.symbols
                .get(index as usize)
                .map(|symbol| symbol.n_value.get(LE))
        };
        let mut asked = Vec::new();
        let mut relocations = view.relocations(header)?.iter();
        while let Some(relocation) = relocations.next() {
            let info = relocation.info(LE);
            let at = base as usize + info.r_address as usize;
            let field = self.bytes.get(at..).unwrap_or_default();
            match view.machine.meaning(&info, field) {
                Meaning::Subtractor => {
                    let minuend = relocations.next().map(|it| it.info(LE));
                    let minuend =
                        minuend.filter(|it| it.r_address == info.r_address && !it.r_pcrel);
                    let minuend = minuend.ok_or_else(|| damaged("have half a pair"))?;
                    let symbols = [&minuend, &info].map(|it| match it.r_extern {
                        true => value(it.r_symbolnum),
                        false => Some(0),
                    });
                    let [Some(plus), Some(minus)] = symbols else {
                        return Err(damaged("refer to a symbol that does not exist"));
                    };
                    let width = 1usize << info.r_length;
                    let start = base as usize + info.r_address as usize;
                    let field = self.bytes.get_mut(start..start + width);
                    let field = field.ok_or_else(|| damaged("lie outside of it"))?;
                    let sum = implicit_addend(field).cast_unsigned();
                    let sum = sum.wrapping_add(plus).wrapping_sub(minus).to_le_bytes();
                    field.copy_from_slice(&sum[..width]);
                }
                Meaning::Edge(form) if info.r_extern => {
                    let start = base as usize + info.r_address as usize;
                    let field = self.bytes.get(start..start + usize::from(form.width));
                    let field = field.ok_or_else(|| damaged("lie outside of it"))?;
                    // Where the addend is elsewhere, compilers leave numbers in the field that mean nothing.
                    let addend = match form.implicit {
                        true => implicit_addend(field),
                        false => 0,
                    };
                    let aim = self.reader.aim_of_symbol(&info, addend, form)?;
                    asked.push((
                        u64::from(base) + u64::from(info.r_address),
                        Edge {
                            offset: base + info.r_address,
                            target: aim.symbol,
                            addend: aim.addend,
                            kind: form.kind,
                        },
                    ));
                }
                Meaning::Edge(_) | Meaning::Addend | Meaning::Refused(_) => {
                    return Err(damaged("are of a kind that is not supported there"));
                }
            }
        }
        asked.sort_by_key(|(offset, _)| *offset);
        Ok(asked)
    }

    fn read_records(
        &mut self,
        base: u32,
        address: u64,
        asked: &[Asked],
    ) -> Result<(), (u32, &'static str)> {
        let mut cies: Vec<Cie> = Vec::new();
        let mut at = base;
        while (at as usize) < self.bytes.len() {
            let Some(length) = self.u32_at(at) else {
                let rest = &self.bytes[at as usize..];
                return match rest.iter().all(|byte| *byte == 0) {
                    true => Ok(()),
                    false => Err((at, "ends beyond its section")),
                };
            };
            let end = at.checked_add(4).and_then(|id| id.checked_add(length));
            let end = end.filter(|end| *end as usize <= self.bytes.len());
            let end = end.ok_or((at, "ends beyond its section"))?;
            let start = std::mem::replace(&mut at, end);
            if length == 0 {
                continue;
            }
            let pointer = self.u32_at(start + 4).filter(|_| length >= 4);
            let pointer = pointer.ok_or((start, "is too short"))?;
            if pointer == 0 {
                let cie = self
                    .read_cie(start, end)
                    .ok_or((start, "is no CIE that is known"))?;
                cies.push(cie);
                let own =
                    |(offset, _): &&Asked| (u64::from(start)..u64::from(end)).contains(offset);
                self.edges
                    .extend(asked.iter().filter(own).map(|(_, edge)| edge));
                continue;
            }
            let cie = (start + 4).checked_sub(pointer);
            let cie = cies.iter().rev().find(|it| Some(it.at) == cie);
            let cie = *cie.ok_or((start, "refers to a CIE that does not exist"))?;
            self.read_fde((start, end), cie, address.wrapping_sub(u64::from(base)))
                .ok_or((start, "describes code or a table that is not in memory"))?;
        }
        Ok(())
    }

    /// What a CIE says of its FDEs; `None` if it is damaged or of an unknown kind.
    fn read_cie(&self, start: u32, end: u32) -> Option<Cie> {
        let mut rest = self.bytes.get(start as usize + 8..end as usize)?;
        let version = take(&mut rest)?;
        if !matches!(version, 1 | 3) {
            return None;
        }
        let nul = rest.iter().position(|byte| *byte == 0)?;
        let augmentation = &rest[..nul];
        rest = &rest[nul + 1..];
        skip_leb(&mut rest)?;
        skip_leb(&mut rest)?;
        // The register of the return address: a byte, or a number.
        skip_leb(&mut rest)?;
        let mut cie = Cie {
            at: start,
            code: ABSOLUTE,
            lsda: None,
            augmented: false,
        };
        let Some((b'z', letters)) = augmentation.split_first() else {
            return augmentation.is_empty().then_some(cie);
        };
        cie.augmented = true;
        skip_leb(&mut rest)?;
        for letter in letters {
            match letter {
                b'R' => cie.code = take(&mut rest)?,
                b'L' => cie.lsda = Some(take(&mut rest)?).filter(|it| *it != OMITTED),
                b'P' => {
                    let width = width(take(&mut rest)?)?;
                    rest = rest.get(width as usize..)?;
                }
                b'S' | b'B' => {}
                _ => return None,
            }
        }
        Some(cie)
    }

    /// Makes a frame of an FDE. `to_file` is what leads from an offset in the block to an address in the file.
    fn read_fde(&mut self, (start, end): (u32, u32), cie: Cie, to_file: u64) -> Option<()> {
        let first = self.edges.len();
        let code_at = start + 8;
        let code_width = width(cie.code)?;
        let address = self.pointer(code_at, cie.code, end, to_file)?;
        let (aim, place) = self.aim_at(address)?;
        self.push_distance_over(code_at, code_width, aim, cie.code)?;
        let mut at = code_at + 2 * code_width;
        if cie.augmented {
            let mut rest = self.bytes.get(at as usize..end as usize)?;
            let before = rest.len();
            skip_leb(&mut rest)?;
            at += (before - rest.len()) as u32;
            if let Some(encoding) = cie.lsda {
                let width = width(encoding)?;
                let field = self.bytes.get(at as usize..(at + width) as usize)?;
                // Zero stands for none, however it is counted.
                if field.iter().any(|byte| *byte != 0) {
                    let address = self.pointer(at, encoding, end, to_file)?;
                    let (aim, _) = self.aim_at(address)?;
                    self.push_distance_over(at, width, aim, encoding)?;
                }
            }
        }
        self.push_frame(start, end - start, (first, self.edges.len()), place);
        Some(())
    }

    /// The address in the file that an encoded pointer of an FDE leads to.
    fn pointer(&self, at: u32, encoding: u8, end: u32, to_file: u64) -> Option<u64> {
        let width = width(encoding)?;
        let field_end = at
            .checked_add(width)
            .filter(|field_end| *field_end <= end)?;
        let field = self.bytes.get(at as usize..field_end as usize)?;
        let value = implicit_addend(field).cast_unsigned();
        match encoding & APPLICATION {
            FROM_PLACE => Some(value.wrapping_add(to_file).wrapping_add(u64::from(at))),
            _ => None,
        }
    }

    /// Puts an edge in place of a field's bytes.
    fn push_distance_over(
        &mut self,
        at: u32,
        width: u32,
        aim: crate::object::relocations::Aim,
        encoding: u8,
    ) -> Option<()> {
        if encoding & APPLICATION != FROM_PLACE {
            return None;
        }
        let field = self.bytes.get_mut(at as usize..(at + width) as usize)?;
        field.fill(0);
        self.push_distance(at, width, aim);
        Some(())
    }

    fn u32_at(&self, at: u32) -> Option<u32> {
        let field = self.bytes.get(at as usize..)?.first_chunk()?;
        Some(u32::from_le_bytes(*field))
    }
}

/// Bytes of a pointer.
fn width(encoding: u8) -> Option<u32> {
    match encoding & SIZE {
        0x00 | 0x04 | 0x0c => Some(8),
        0x03 | 0x0b => Some(4),
        _ => None,
    }
}

fn take(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

fn skip_leb(bytes: &mut &[u8]) -> Option<()> {
    let end = bytes.iter().position(|byte| *byte < 0x80)?;
    *bytes = &bytes[end + 1..];
    Some(())
}
