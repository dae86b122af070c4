//! Symbol tables of files that hold a compiler's internal code instead of machine code.
//!
//! Both compilers leave a table for linkers: gcc in a section of an ELF file, in the format of the
//! plugin interface; LLVM in a block of its bitcode, as a table of its library `irsymtab`.

use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectSection as _};

/// Whose internal code it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Producer {
    Gcc,
    /// With the version, as far as the file tells.
    Llvm(Option<u32>),
}

/// What a linker has to know of a file with internal code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Summary {
    pub(super) producer: Producer,
    pub(super) symbols: Vec<Symbol>,
}

/// A global symbol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Symbol {
    pub(super) name: Vec<u8>,
    pub(super) sort: Sort,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    Defined,
    WeaklyDefined,
    Undefined,
    WeaklyUndefined,
    Common,
}

/// What names may take together for each byte of their file.
const OVERLAP_MAX: usize = 32;

/// What the file says, `None` if it holds machine code or is something else.
///
/// # Errors
/// When its table is damaged, or missing.
pub(super) fn read(bytes: &[u8]) -> Option<Result<Summary, String>> {
    match bytes {
        [b'B', b'C', 0xc0, 0xde, ..] => Some(bitcode(bytes)),
        // A wrapper: a version, then where the bitcode is, and its size.
        [0xde, 0xc0, 0x17, 0x0b, ..] => {
            let at = word(bytes, 8).zip(word(bytes, 12));
            let inner = at.and_then(|(at, size)| bytes.get(at..at.checked_add(size)?));
            Some(bitcode(inner.unwrap_or(&[])))
        }
        [0x7f, b'E', b'L', b'F', ..] => gccs(bytes),
        _ => None,
    }
}

/// The 32-bit number at an offset.
fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
}

fn gccs(bytes: &[u8]) -> Option<Result<Summary, String>> {
    let file = ElfFile64::<Endianness>::parse(bytes).ok()?;
    let named = |start: &str| {
        let mut sections = file.sections();
        sections.find(|section| section.name().is_ok_and(|name| name.starts_with(start)))
    };
    let table = named(".gnu.lto_.symtab.")?;
    // With machine code beside it, nothing is to be done.
    // Names may overlap in their table: those before it are not worth more than the file.
    let mut room = bytes.len().saturating_mul(OVERLAP_MAX);
    let slim = file.symbols().map_while(|symbol| {
        use object::ObjectSymbol as _;
        let name = symbol.name_bytes().unwrap_or_default();
        room = room.checked_sub(name.len())?;
        Some(name)
    });
    let slim = slim.into_iter().any(|name| name == b"__gnu_lto_slim");
    let read = || {
        let table = table.data().map_err(|error| error.to_string())?;
        let symbols = gcc_table(table).ok_or("its table of symbols is cut off")?;
        Ok(Summary {
            producer: Producer::Gcc,
            symbols,
        })
    };
    slim.then(read)
}

/// Each entry: the name, the group, both with a null; kind, visibility, size and a number.
fn gcc_table(mut table: &[u8]) -> Option<Vec<Symbol>> {
    const AFTER_NAMES: usize = 1 + 1 + 8 + 4;
    let mut symbols = Vec::new();
    while !table.is_empty() {
        let name_end = table.iter().position(|&byte| byte == 0)?;
        let group = &table[name_end + 1..];
        let rest = &group[group.iter().position(|&byte| byte == 0)? + 1..];
        let sort = match rest.first()? {
            0 => Sort::Defined,
            1 => Sort::WeaklyDefined,
            2 => Sort::Undefined,
            3 => Sort::WeaklyUndefined,
            4 => Sort::Common,
            _ => return None,
        };
        let name = table[..name_end].to_vec();
        symbols.push(Symbol { name, sort });
        table = rest.get(AFTER_NAMES..)?;
    }
    Some(symbols)
}

fn bitcode(bytes: &[u8]) -> Result<Summary, String> {
    let blocks = blocks(bytes).ok_or("its bitcode is cut off or damaged")?;
    let block = |id: u64| blocks.iter().find(|(found, _)| *found == id);
    let producer = block(IDENTIFICATION).and_then(|(_, content)| identification(content));
    let table = block(SYMBOL_TABLE).and_then(|(_, content)| blob(content));
    let strings = block(STRING_TABLE).and_then(|(_, content)| blob(content));
    let (table, strings) = table
        .zip(strings)
        .ok_or("its bitcode has no table of symbols: make it with a compiler's -flto")?;
    let symbols = llvm_table(table, strings).ok_or("its bitcode has a damaged table of symbols")?;
    Ok(Summary {
        producer: Producer::Llvm(producer),
        symbols,
    })
}

const IDENTIFICATION: u64 = 13;
const STRING_TABLE: u64 = 23;
const SYMBOL_TABLE: u64 = 25;

/// The blocks of bitcode, by number. Nothing if it is damaged.
fn blocks(bytes: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    const ENTER_BLOCK: u64 = 1;
    let mut blocks = Vec::new();
    let mut bits = Bits { bytes, at: 32 };
    while bits.at + 64 <= bytes.len() * 8 {
        if bits.fixed(2)? != ENTER_BLOCK {
            // Padding, as archives have it behind a member.
            break;
        }
        let id = bits.variable(8)?;
        bits.variable(4)?;
        bits.align();
        let size = usize::try_from(bits.fixed(32)?).ok()?.checked_mul(4)?;
        let start = bits.at / 8;
        blocks.push((id, bytes.get(start..start.checked_add(size)?)?));
        bits.at += size * 8;
    }
    Some(blocks)
}

/// The content of a block that is nothing but a blob.
fn blob(block: &[u8]) -> Option<&[u8]> {
    const DEFINE_FORM: u64 = 2;
    /// The first form that a block defines itself.
    const FIRST_OWN: u64 = 4;
    let mut bits = Bits {
        bytes: block,
        at: 0,
    };
    loop {
        match bits.fixed(3)? {
            DEFINE_FORM => bits.skip_form()?,
            FIRST_OWN => break,
            _ => return None,
        }
    }
    let size = usize::try_from(bits.variable(6)?).ok()?;
    bits.align();
    let start = bits.at / 8;
    block.get(start..start.checked_add(size)?)
}

/// The version in `LLVM22.1.8`: an array of letters.
fn identification(block: &[u8]) -> Option<u32> {
    // Letters are six or seven bits wide, or eight: each width is tried at each place.
    for width in [8, 7, 6] {
        for start in 0..(block.len() * 8).min(128) {
            let mut bits = Bits {
                bytes: block,
                at: start,
            };
            let mut next = || Some(letter(bits.fixed(width)?, width));
            let text: String = (0..8).map_while(|_| next()).collect();
            if let Some(version) = text.strip_prefix("LLVM") {
                let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
                return digits.parse().ok();
            }
        }
    }
    None
}

/// A letter of bitcode: six bits stand for letters, digits, a full stop and an underscore.
fn letter(value: u64, width: u32) -> char {
    const SIX: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._";
    match width {
        6 => char::from(SIX[(value & 63) as usize]),
        _ => char::from(value as u8),
    }
}

/// LLVM's table: words and, for names, ranges of the string table. After the version come ranges:
/// the producer's name, modules, groups, symbols, and more.
fn llvm_table(table: &[u8], strings: &[u8]) -> Option<Vec<Symbol>> {
    const SYMBOLS_AT: usize = 7 * 4;
    /// Two names, the group, the flags.
    const SYMBOL_SIZE: usize = 6 * 4;
    const UNDEFINED: usize = 1 << 3;
    const WEAK: usize = 1 << 4;
    const COMMON: usize = 1 << 5;
    const GLOBAL: usize = 1 << 10;
    const FORMAT_SPECIFIC: usize = 1 << 11;
    let (start, count) = (word(table, SYMBOLS_AT)?, word(table, SYMBOLS_AT + 4)?);
    // Names may overlap in their table, but those of a compiler do not overlap so much.
    let mut room = (table.len() + strings.len()).saturating_mul(OVERLAP_MAX);
    let mut symbols = Vec::new();
    for at in 0..count {
        let at = start.checked_add(at.checked_mul(SYMBOL_SIZE)?)?;
        let (name, size) = (word(table, at)?, word(table, at + 4)?);
        let flags = word(table, at + 20)?;
        if flags & GLOBAL == 0 || flags & FORMAT_SPECIFIC != 0 {
            continue;
        }
        let sort = match (flags & UNDEFINED != 0, flags & WEAK != 0) {
            (true, true) => Sort::WeaklyUndefined,
            (true, false) => Sort::Undefined,
            (false, _) if flags & COMMON != 0 => Sort::Common,
            (false, true) => Sort::WeaklyDefined,
            (false, false) => Sort::Defined,
        };
        room = room.checked_sub(size)?;
        let name = strings.get(name..name.checked_add(size)?)?.to_vec();
        symbols.push(Symbol { name, sort });
    }
    Some(symbols)
}

/// Reads numbers of any width, lowest bit first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn fixed(&mut self, width: u32) -> Option<u64> {
        let mut value = 0;
        for bit in 0..width {
            let byte = self.bytes.get(self.at / 8)?;
            value |= u64::from(byte >> (self.at % 8) & 1) << bit;
            self.at += 1;
        }
        Some(value)
    }

    /// A number in pieces of `width` bits; the highest one of each says that more follow.
    fn variable(&mut self, width: u32) -> Option<u64> {
        let more = 1 << (width - 1);
        let (mut value, mut shift) = (0, 0);
        loop {
            let piece = self.fixed(width)?;
            value |= (piece & (more - 1)).checked_shl(shift)?;
            if piece & more == 0 {
                return Some(value);
            }
            shift += width - 1;
        }
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(32);
    }

    /// The definition of a record's form: its fields, each a value or how it is written.
    fn skip_form(&mut self) -> Option<()> {
        const FIXED: u64 = 1;
        const VARIABLE: u64 = 2;
        for _ in 0..self.variable(5)? {
            if self.fixed(1)? == 1 {
                self.variable(8)?;
            } else if matches!(self.fixed(3)?, FIXED | VARIABLE) {
                self.variable(5)?;
            }
        }
        Some(())
    }
}
