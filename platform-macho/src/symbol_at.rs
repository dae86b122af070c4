//! Which symbol of a table a place belongs to.

use object::LittleEndian as LE;
use object::macho::Nlist64;

/// Of the symbols of one section, each with its offset there, the one that has the byte at `at`: the last before it,
/// as sizes are not told. A symbol reaches to the next one, or to the end of the section. Of several at one place,
/// global names come before local ones. Returns its offset and its size, too.
pub(crate) fn best<'a>(
    symbols: impl Iterator<Item = (u64, &'a Nlist64<LE>)> + Clone,
    at: u64,
    section_size: u64,
) -> Option<(u64, &'a Nlist64<LE>, u64)> {
    let named = symbols
        .clone()
        .filter(|(_, symbol)| symbol.n_strx.get(LE) != 0);
    let before = named.filter(|(offset, _)| *offset <= at);
    let (offset, symbol) =
        before.max_by_key(|(offset, symbol)| (*offset, symbol.n_type.is_ext()))?;
    let next = symbols
        .map(|(offset, _)| offset)
        .filter(|next| *next > offset);
    let end = next.min().unwrap_or(section_size).min(section_size);
    (at < end).then_some((offset, symbol, end - offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::endian::{U16, U32, U64};
    use object::macho::{self, SymbolDesc, SymbolFlags};

    fn symbol(name: u32, flags: SymbolFlags) -> Nlist64<LE> {
        Nlist64 {
            n_strx: U32::new(LE, name),
            n_type: flags,
            n_sect: 1,
            n_desc: U16::new(LE, SymbolDesc(0)),
            n_value: U64::new(LE, 0),
        }
    }

    #[test]
    fn a_place_belongs_to_the_last_symbol_before_it() {
        let local = SymbolFlags::from(macho::N_SECT);
        let symbols = [
            (0, symbol(1, local)),
            (0, symbol(2, local | macho::N_EXT)),
            (0x20, symbol(3, local)),
        ];
        let of = |at| {
            let symbols = symbols.iter().map(|(offset, symbol)| (*offset, symbol));
            let found = best(symbols, at, 0x30);
            found.map(|(offset, symbol, size)| (offset, symbol.n_strx.get(LE), size))
        };
        assert_eq!(of(0), Some((0, 2, 0x20)), "global before local");
        assert_eq!(of(0x1f), Some((0, 2, 0x20)));
        assert_eq!(of(0x20), Some((0x20, 3, 0x10)));
        assert_eq!(of(0x30), None, "behind the section");
    }
}
