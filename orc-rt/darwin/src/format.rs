//! Formats of `printf` and `scanf` whose `long double` is a `double`.
//!
//! The letter `L` says that a number is a `long double`, and means 16 bytes to the C library here. `l` in its place means
//! nothing to `printf`, and a `double` to `scanf`. Both have the same length, so a format is copied and keeps its places.

use core::ffi::{c_char, c_int};

/// A character of a format: `char` or `wchar_t`.
pub trait Character: Copy {
    /// What says that a number is a `double`.
    const SMALL_L: Self;
    /// The character, if it is one of ASCII; else 0xff.
    fn ascii(self) -> u8;
}

impl Character for c_char {
    const SMALL_L: Self = b'l' as Self;
    fn ascii(self) -> u8 {
        self as u8
    }
}

impl Character for c_int {
    const SMALL_L: Self = b'l' as Self;
    fn ascii(self) -> u8 {
        u8::try_from(self).unwrap_or(0xff)
    }
}

/// A format for the C library.
pub struct Format<C> {
    text: *const C,
    /// The copy, if there is one.
    copy: *mut C,
}

impl<C: Character> Format<C> {
    /// The format for one of macOS, which may be null. Nothing without memory, and `errno` says so.
    ///
    /// # Safety
    /// `text` is null or ends with a zero, and lives as long as the format.
    #[inline(never)] // Many callers, and printing takes longer.
    pub unsafe fn new(text: *const C) -> Option<Self> {
        let as_it_is = Self {
            text,
            copy: core::ptr::null_mut(),
        };
        // SAFETY: the caller's text.
        let Some((length, true)) = (unsafe { look_at(text) }) else {
            return Some(as_it_is);
        };
        // SAFETY: the copy has room for the text and its end, and is new.
        unsafe {
            let copy: *mut C = libc::malloc((length + 1) * size_of::<C>()).cast();
            if copy.is_null() {
                return None;
            }
            core::ptr::copy_nonoverlapping(text, copy, length + 1);
            let characters = core::slice::from_raw_parts_mut(copy, length);
            while let Some(at) = next_long_double(characters) {
                characters[at] = C::SMALL_L;
            }
            Some(Self { text: copy, copy })
        }
    }

    /// The text, as long as this lives.
    pub fn text(&self) -> *const C {
        self.text
    }
}

impl<C> Drop for Format<C> {
    fn drop(&mut self) {
        // SAFETY: it is null or from `malloc`, and nobody else's.
        unsafe { libc::free(self.copy.cast()) };
    }
}

/// The length of a text that is not null, and whether it has a `long double`.
///
/// # Safety
/// It is null or ends with a zero.
unsafe fn look_at<C: Character>(text: *const C) -> Option<(usize, bool)> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller's text, up to its end.
    let characters = unsafe {
        let mut length = 0;
        while text.add(length).read().ascii() != 0 {
            length += 1;
        }
        core::slice::from_raw_parts(text, length)
    };
    let has_one = next_long_double(characters).is_some();
    Some((characters.len(), has_one))
}

/// Where a format says that a number is a `long double`.
fn next_long_double<C: Character>(format: &[C]) -> Option<usize> {
    let at = |at: usize| format.get(at).map_or(0, |character| character.ascii());
    let mut here = 0;
    while here < format.len() {
        if at(here) != b'%' {
            here += 1;
            continue;
        }
        here += 1;
        // Flags, numbers of arguments, widths, precisions.
        while matches!(
            at(here),
            b'-' | b'+' | b' ' | b'#' | b'\'' | b'*' | b'.' | b'$' | b'0'..=b'9'
        ) {
            here += 1;
        }
        let size = here;
        while matches!(at(here), b'h' | b'l' | b'L' | b'q' | b'j' | b'z' | b't') {
            here += 1;
        }
        match at(here) {
            b'a' | b'A' | b'e' | b'E' | b'f' | b'F' | b'g' | b'G' if at(size) == b'L' => {
                return Some(size);
            }
            b'[' => here = after_set(at, here),
            _ => here += 1,
        }
    }
    None
}

/// The end of a set of characters that begins here, as `scanf` has it: a bracket that stands first is a member.
fn after_set(at: impl Fn(usize) -> u8, mut here: usize) -> usize {
    here += 1;
    if at(here) == b'^' {
        here += 1;
    }
    if at(here) == b']' {
        here += 1;
    }
    while !matches!(at(here), b']' | 0) {
        here += 1;
    }
    here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_doubles_are_doubles() {
        let cases = [
            (c"%Lf %d", c"%lf %d"),
            (c"%-+8.3Le|%2$*1$Lg|%LA", c"%-+8.3le|%2$*1$lg|%lA"),
            (c"100%% Lf", c"100%% Lf"),
            (c"%Ld %lf %s", c"%Ld %lf %s"),
            (c"%[^]%Lf] %Lf", c"%[^]%Lf] %lf"),
            (c"%*Lf%5La", c"%*lf%5la"),
            (c"%", c"%"),
            (c"%L", c"%L"),
            (c"%[", c"%["),
        ];
        for (text, expected) in cases {
            // SAFETY: it is a C string, and so is what it becomes.
            unsafe {
                let format = Format::new(text.as_ptr()).expect("memory");
                assert_eq!(core::ffi::CStr::from_ptr(format.text()), expected);
            }
        }
    }

    #[test]
    fn texts_without_one_are_not_copied() {
        let text = c"%d of %s".as_ptr();
        // SAFETY: it is a C string.
        let format = unsafe { Format::new(text) }.expect("memory");
        assert_eq!(format.text(), text);
        // SAFETY: null is no text.
        let none = unsafe { Format::<c_char>::new(core::ptr::null()) }.expect("nothing");
        assert!(none.text().is_null());
    }

    #[test]
    fn wide_formats_are_translated_too() {
        let text: [c_int; 5] = [0xe9, 0x25, 0x4c, 0x66, 0];
        // SAFETY: it ends with a zero, and so does what it becomes.
        let wide = unsafe {
            let format = Format::new(text.as_ptr()).expect("memory");
            core::slice::from_raw_parts(format.text(), 5).to_vec()
        };
        assert_eq!(wide, [0xe9, 0x25, 0x6c, 0x66, 0]);
    }
}
