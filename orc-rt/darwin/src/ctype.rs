//! `<ctype.h>`: a table that programs read themselves, and functions for what is not in it.

use core::ffi::{c_char, c_int, c_uint, c_void};

use super::locale::{Locale, or_c_locale};

// Classes, as macOS numbers them.
const ALPHA: u32 = 0x100;
const CONTROL: u32 = 0x200;
const DIGIT: u32 = 0x400;
const GRAPH: u32 = 0x800;
const LOWER: u32 = 0x1000;
const PUNCT: u32 = 0x2000;
const SPACE: u32 = 0x4000;
const UPPER: u32 = 0x8000;
const HEX: u32 = 0x1_0000;
const BLANK: u32 = 0x2_0000;
const PRINT: u32 = 0x4_0000;

/// Characters that the table has.
const COUNT: usize = 256;

/// The table (`_RuneLocale`): its layout is a part of macOS's interface.
#[repr(C)]
pub struct RuneLocale {
    magic: [u8; 8],
    encoding: [u8; 32],
    /// Functions that nobody calls.
    functions: [usize; 2],
    invalid: c_int,
    classes: [u32; COUNT],
    lower: [c_int; COUNT],
    upper: [c_int; COUNT],
    /// Ranges of further characters, of which there are none.
    further: [usize; 9],
}

/// `_DefaultRuneLocale`: the characters of ASCII.
#[unsafe(no_mangle)]
pub static __orc_rt_ext_darwin_default_rune_locale: RuneLocale = table();

const fn table() -> RuneLocale {
    let mut table = RuneLocale {
        magic: *b"RuneMagA",
        encoding: [0; 32],
        functions: [0; 2],
        invalid: 0,
        classes: [0; COUNT],
        lower: [0; COUNT],
        upper: [0; COUNT],
        further: [0; 9],
    };
    let mut at = 0;
    while at < COUNT {
        let byte = at as u8;
        table.classes[at] = classes(byte);
        table.lower[at] = byte.to_ascii_lowercase() as c_int;
        table.upper[at] = byte.to_ascii_uppercase() as c_int;
        at += 1;
    }
    table
}

/// The classes of a character of ASCII, and the value of a digit in the low bits.
const fn classes(byte: u8) -> u32 {
    let visible = PRINT | GRAPH;
    match byte {
        b'0'..=b'9' => visible | DIGIT | HEX | (byte - b'0') as u32,
        b'A'..=b'F' => visible | ALPHA | UPPER | HEX | (byte - b'A' + 10) as u32,
        b'a'..=b'f' => visible | ALPHA | LOWER | HEX | (byte - b'a' + 10) as u32,
        b'G'..=b'Z' => visible | ALPHA | UPPER,
        b'g'..=b'z' => visible | ALPHA | LOWER,
        b' ' => PRINT | SPACE | BLANK,
        b'\t' => CONTROL | SPACE | BLANK,
        b'\n' | 0x0b | 0x0c | b'\r' => CONTROL | SPACE,
        0..=0x1f | 0x7f => CONTROL,
        b'!'..=b'~' => visible | PUNCT,
        _ => 0,
    }
}

unsafe extern "C" {
    fn iswctype_l(character: c_uint, class: usize, locale: Locale) -> c_int;
    fn wctype_l(name: *const c_char, locale: Locale) -> usize;
    fn towlower_l(character: c_uint, locale: Locale) -> c_uint;
    fn towupper_l(character: c_uint, locale: Locale) -> c_uint;
    fn towlower(character: c_uint) -> c_uint;
    fn towupper(character: c_uint) -> c_uint;
    fn uselocale(locale: Locale) -> Locale;
}

/// The classes among `mask` that a character has in a locale.
fn mask_in(character: c_int, mask: u32, locale: Locale) -> u32 {
    if let Ok(byte @ 0..0x80) = u8::try_from(character) {
        return classes(byte) & mask;
    }
    let names = [
        (c"alpha", ALPHA),
        (c"cntrl", CONTROL),
        (c"digit", DIGIT),
        (c"graph", GRAPH),
        (c"lower", LOWER),
        (c"punct", PUNCT),
        (c"space", SPACE),
        (c"upper", UPPER),
        (c"xdigit", HEX),
        (c"blank", BLANK),
        (c"print", PRINT),
    ];
    let mut found = 0;
    for (name, class) in names.into_iter().filter(|(_, class)| class & mask != 0) {
        // SAFETY: the name is a C string and the locale is one.
        let has = unsafe {
            iswctype_l(
                character.cast_unsigned(),
                wctype_l(name.as_ptr(), locale),
                locale,
            )
        };
        if has != 0 {
            found |= class;
        }
    }
    found
}

/// `___maskrune`: the classes among `mask` that a character has.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_maskrune(character: c_int, mask: u32) -> u32 {
    // SAFETY: asks for the thread's locale.
    let current = unsafe { uselocale(core::ptr::null_mut()) };
    let global = core::ptr::without_provenance_mut::<c_void>(usize::MAX);
    let locale = if current == global {
        or_c_locale(core::ptr::null_mut())
    } else {
        current
    };
    mask_in(character, mask, locale)
}

/// `___maskrune_l`.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_maskrune_l(
    character: c_int,
    mask: u32,
    locale: Locale,
) -> u32 {
    mask_in(character, mask, or_c_locale(locale))
}

/// `___tolower`.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_tolower(character: c_int) -> c_int {
    // SAFETY: any number may be asked for.
    unsafe { towlower(character.cast_unsigned()).cast_signed() }
}

/// `___toupper`.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_toupper(character: c_int) -> c_int {
    // SAFETY: any number may be asked for.
    unsafe { towupper(character.cast_unsigned()).cast_signed() }
}

/// `____tolower_l`.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_tolower_l(character: c_int, locale: Locale) -> c_int {
    // SAFETY: any number may be asked for, in a locale.
    unsafe { towlower_l(character.cast_unsigned(), or_c_locale(locale)).cast_signed() }
}

/// `____toupper_l`.
#[unsafe(no_mangle)]
pub extern "C" fn __orc_rt_ext_darwin_toupper_l(character: c_int, locale: Locale) -> c_int {
    // SAFETY: any number may be asked for, in a locale.
    unsafe { towupper_l(character.cast_unsigned(), or_c_locale(locale)).cast_signed() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_have_the_classes_of_macos() {
        let of = |byte: u8| __orc_rt_ext_darwin_default_rune_locale.classes[usize::from(byte)];
        assert_eq!(of(b'7'), PRINT | GRAPH | DIGIT | HEX | 7);
        assert_eq!(of(b'G'), PRINT | GRAPH | ALPHA | UPPER);
        assert_eq!(of(b'\t'), CONTROL | SPACE | BLANK);
        assert_eq!(of(0x80), 0);
        assert_eq!(core::mem::offset_of!(RuneLocale, classes), 60);
        assert_eq!(
            __orc_rt_ext_darwin_maskrune(c_int::from(b'_'), PUNCT | ALPHA),
            PUNCT
        );
        assert_eq!(
            __orc_rt_ext_darwin_toupper(c_int::from(b'q')),
            c_int::from(b'Q')
        );
    }
}
