//! Which symbol of a table a place belongs to.

use object::LittleEndian as LE;
use object::elf::{STB_LOCAL, STT_COMMON, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE, STT_OBJECT, Sym64};

/// Of symbols that lie in one section or image, the one that has the byte at `value`. One that says
/// that it ends before is none; one without a size reaches to the next symbol. Of several at one
/// place, functions and variables come before labels, and global names before local ones.
pub(crate) fn best<'a>(
    symbols: impl Iterator<Item = &'a Sym64<LE>> + Clone,
    value: u64,
) -> Option<&'a Sym64<LE>> {
    let named = symbols.clone().filter(|symbol| {
        let names_something = matches!(
            symbol.st_type(),
            STT_FUNC | STT_OBJECT | STT_GNU_IFUNC | STT_NOTYPE | STT_COMMON
        );
        let start = symbol.st_value.get(LE);
        names_something && symbol.st_name.get(LE) != 0 && start <= value
    });
    let reaches = |symbol: &Sym64<LE>| {
        let size = symbol.st_size.get(LE);
        size == 0 || value - symbol.st_value.get(LE) < size
    };
    let best = named.max_by_key(|symbol| {
        (
            reaches(symbol) && symbol.st_size.get(LE) > 0,
            symbol.st_value.get(LE),
            symbol.st_type() != STT_NOTYPE,
            symbol.st_bind() != STB_LOCAL,
        )
    });
    let best = best.filter(|symbol| reaches(symbol))?;
    // A label within a function that has ended before the place says nothing about it.
    let at = best.st_value.get(LE);
    let holds_label = |symbol: &'a Sym64<LE>| {
        let start = symbol.st_value.get(LE);
        start <= at && at - start < symbol.st_size.get(LE)
    };
    let is_inner_label = best.st_size.get(LE) == 0 && symbols.into_iter().any(holds_label);
    (!is_inner_label).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::elf::{STB_GLOBAL, STB_WEAK, SymbolBind, SymbolInfo, SymbolType};
    use object::endian::{U16, U32, U64};

    fn symbol(name: u32, value: u64, size: u64, kind: (SymbolBind, SymbolType)) -> Sym64<LE> {
        Sym64 {
            st_name: U32::new(LE, name),
            st_info: SymbolInfo::new(kind.0, kind.1),
            st_other: object::elf::SymbolOther(0),
            st_shndx: U16::new(LE, object::elf::SymbolSection(1)),
            st_value: U64::new(LE, value),
            st_size: U64::new(LE, size),
        }
    }

    #[test]
    fn a_place_belongs_to_the_symbol_that_spans_it() {
        let function = (STB_GLOBAL, STT_FUNC);
        let table = [
            symbol(1, 0, 0x10, (STB_LOCAL, STT_FUNC)),
            symbol(2, 0, 0x10, (STB_WEAK, STT_FUNC)),
            symbol(3, 0x20, 0x20, function),
            symbol(4, 0x30, 0, (STB_LOCAL, STT_NOTYPE)),
            symbol(5, 0x50, 0, (STB_LOCAL, STT_NOTYPE)),
            symbol(0, 0x50, 0, (STB_LOCAL, object::elf::STT_SECTION)),
        ];
        let name = |value| best(table.iter(), value).map(|s| s.st_name.get(LE));
        assert_eq!(name(0), Some(2), "global before local");
        assert_eq!(name(0xf), Some(2));
        assert_eq!(name(0x10), None, "between functions");
        assert_eq!(
            name(0x38),
            Some(3),
            "a label within a function is no function"
        );
        assert_eq!(name(0x41), None);
        assert_eq!(
            name(0x1000),
            Some(5),
            "a label reaches as far as nothing follows"
        );
    }
}
