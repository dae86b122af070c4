//! What is mapped in a process: the one reader of `/proc/PID/maps`. It does not allocate, so that a signal
//! handler can read, too.

use std::ffi::CStr;
use std::ops::Range;

/// A line of `/proc/self/maps` that is longer is cut: a path has up to 4,096 bytes.
const LINE_MAX: usize = 4096 + 128;

/// Room for reading.
pub(crate) struct Buffer([u8; 2 * LINE_MAX]);

/// A mapping, as its line says.
pub(crate) struct Mapping<'a> {
    pub range: Range<u64>,
    pub readable: bool,
    pub writable: bool,
    pub executable: bool,
    /// The whole line, with its end.
    pub line: &'a [u8],
}

impl Buffer {
    pub const fn new() -> Self {
        Self([0; 2 * LINE_MAX])
    }

    /// Calls `each` for every mapping of this process. Nothing is called if the system does not say.
    pub fn for_each(&mut self, each: impl FnMut(&Mapping<'_>)) {
        self.for_each_in(c"/proc/self/maps", each);
    }

    /// The same for the process whose list this is.
    pub fn for_each_in(&mut self, list: &CStr, mut each: impl FnMut(&Mapping<'_>)) {
        // SAFETY: the path is a C string.
        let file = unsafe { libc::open(list.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
        if file < 0 {
            return;
        }
        let mut filled = 0;
        loop {
            let room = &mut self.0[filled..];
            // SAFETY: the room is as large as is said.
            let read = unsafe { libc::read(file, room.as_mut_ptr().cast(), room.len()) };
            let Ok(read @ 1..) = usize::try_from(read) else {
                break;
            };
            filled += read;
            let mut used = 0;
            while let Some(end) = self.0[used..filled].iter().position(|&b| b == b'\n') {
                let line = &self.0[used..=used + end];
                if let Some(mapping) = parse(line) {
                    each(&mapping);
                }
                used += end + 1;
            }
            if used == 0 && filled == self.0.len() {
                // No line is that long.
                break;
            }
            self.0.copy_within(used..filled, 0);
            filled -= used;
        }
        // SAFETY: this function has opened the descriptor, and gives it to nobody.
        unsafe { libc::close(file) };
    }
}

impl<'a> Mapping<'a> {
    /// The path of its file, or what the kernel calls it (`[heap]`). Empty if it has no name.
    pub fn name(&self) -> &'a [u8] {
        let is_start = |byte: &u8| matches!(byte, b'/' | b'[');
        let start = self.line.iter().position(is_start);
        let name = start.map_or(&[][..], |at| &self.line[at..]);
        name.strip_suffix(b"\n").unwrap_or(name)
    }
}

/// The addresses of this process's mappings, in their order. None if the system does not say.
pub(crate) fn ranges() -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    Buffer::new().for_each(|mapping| ranges.push(mapping.range.clone()));
    ranges
}

/// What `find` makes of the first mapping that it makes anything of.
pub(crate) fn find<T>(mut find: impl FnMut(&Mapping<'_>) -> Option<T>) -> Option<T> {
    let mut found = None;
    Buffer::new().for_each(|mapping| {
        if found.is_none() {
            found = find(mapping);
        }
    });
    found
}

/// "start-end rwxp …", numbers in hexadecimal.
fn parse(line: &[u8]) -> Option<Mapping<'_>> {
    let dash = line.iter().position(|&b| b == b'-')?;
    let space = line.iter().position(|&b| b == b' ')?;
    let start = number(line.get(..dash)?)?;
    let end = number(line.get(dash + 1..space)?)?;
    Some(Mapping {
        range: start..end,
        readable: line.get(space + 1) == Some(&b'r'),
        writable: line.get(space + 2) == Some(&b'w'),
        executable: line.get(space + 3) == Some(&b'x'),
        line,
    })
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits.iter().try_fold(0u64, |value, &digit| {
        let digit = char::from(digit).to_digit(16)?;
        Some(value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_code_is_executable_and_own_stack_is_not() {
        let local = 0u8;
        let code = own_code_is_executable_and_own_stack_is_not as *const () as usize as u64;
        let stack = (&raw const local).addr() as u64;
        let mut found = [None, None];
        let mut lines = Vec::new();
        Buffer::new().for_each(|mapping| {
            for (found, addr) in found.iter_mut().zip([code, stack]) {
                if mapping.range.contains(&addr) {
                    *found = Some((mapping.readable, mapping.executable));
                }
            }
            lines.extend_from_slice(mapping.line);
        });
        assert_eq!(found, [Some((true, true)), Some((true, false))]);
        let executable = std::fs::read_link("/proc/self/exe").unwrap();
        let text = String::from_utf8(lines).unwrap();
        assert!(text.contains(executable.to_str().unwrap()), "{text}");
    }

    #[test]
    fn lines_are_parsed() {
        let line = b"7f12a000-7f12b000 r-xp 00000000 00:00 0  [vdso]\n";
        let mapping = parse(line).expect("a mapping");
        assert_eq!(mapping.range, 0x7f12_a000..0x7f12_b000);
        assert_eq!((mapping.readable, mapping.executable), (true, true));
        assert_eq!(mapping.name(), b"[vdso]");
        let file = b"1000-2000 rw-p 00000000 00:00 12 /a/file with [brackets]\n";
        let mapping = parse(file).expect("a mapping");
        assert_eq!(mapping.name(), b"/a/file with [brackets]");
        let nameless = parse(b"1000-2000 ---p 00000000 00:00 0 \n").expect("a mapping");
        assert_eq!(nameless.name(), b"");
    }

    #[test]
    fn other_lines_are_no_mappings() {
        for line in [
            "",
            "-",
            " ",
            "- ",
            "x-1 rwxp",
            "1-2",
            "12345678901234567-2 rwxp",
        ] {
            assert!(parse(line.as_bytes()).is_none(), "{line:?}");
        }
    }
}
