//! The program's arguments in place of the host's, for the loader and the C library.
//!
//! Both keep the vector that the kernel has put on the first stack: the loader in `_dl_argv`, the C library
//! in variables without a name, `__libc_argc` and `__libc_argv`. The C library passes these to the
//! constructors of libraries that are opened, which is how a library that is no C code finds out how the
//! process was started. So they are looked for: a word that holds the vector's address, beside a
//! number that is the count. If there is no such place, or more than one, constructors go on seeing the
//! host's arguments.
//!
//! Behind the arguments lie the environment and what the kernel told the process (the auxiliary vector), and
//! some look for them there.

use std::ffi::{CStr, CString, c_char};
use std::ops::Range;

use crate::host::elf::PT_LOAD;
use crate::host::loader::{
    LoadedObject, is_protected, loaded_objects, lookup, tables, with_writable,
};

/// Words of the auxiliary vector that are looked at: twice as many as there are.
const AUXILIARY_MAX: usize = 128;

/// A vector of arguments, as the kernel lays it out. It is never freed: programs keep pointers to it.
pub(super) struct Vector {
    /// Arguments, a null, environment, a null, pairs of the auxiliary vector.
    words: &'static [u64],
    /// The number of arguments.
    count: usize,
    /// The texts of the arguments, one after the other, each with its zero.
    pub(super) arguments: &'static [u8],
    /// The same of the environment.
    pub(super) environment: &'static [u8],
}

impl Vector {
    /// A vector of these arguments, this process's environment, and its auxiliary vector.
    pub(super) fn leak(args: &[CString]) -> Self {
        let mut variables = Vec::new();
        for entry in environment() {
            // SAFETY: the entries of the environment are C strings.
            variables.push(unsafe { CStr::from_ptr(entry) });
        }
        let (arguments, mut words) = leak_texts(args.iter().map(CString::as_c_str));
        let (environment, starts) = leak_texts(variables.iter().copied());
        words.push(0);
        words.extend(starts);
        words.push(0);
        words.extend(auxiliary_vector().map_or(&[0, 0][..], |vector| vector));
        Self {
            words: words.leak(),
            count: args.len(),
            arguments,
            environment,
        }
    }

    /// The pairs of the auxiliary vector.
    pub(super) fn auxiliary(&self) -> &[u64] {
        let mut rest = &self.words[self.count + 1..];
        while let [first, more @ ..] = rest {
            rest = more;
            if *first == 0 {
                break;
            }
        }
        rest
    }

    fn addr(&self) -> u64 {
        self.words.as_ptr().expose_provenance() as u64
    }
}

/// The texts, one after the other, and the addresses at which they start.
fn leak_texts<'a>(texts: impl Iterator<Item = &'a CStr>) -> (&'static [u8], Vec<u64>) {
    let texts: Vec<&[u8]> = texts.map(CStr::to_bytes_with_nul).collect();
    let all: &[u8] = texts.concat().leak();
    let mut at = all.as_ptr().expose_provenance() as u64;
    let starts = texts.iter().map(|text| {
        let start = at;
        at += text.len() as u64;
        start
    });
    (all, starts.collect())
}

/// The entries of the process's environment.
fn environment() -> Vec<*const c_char> {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    let mut entries = Vec::new();
    // SAFETY: the C library's variable; nobody changes it while a program is prepared.
    let mut at = unsafe { environ };
    while !at.is_null() {
        // SAFETY: the vector ends with a null.
        let entry = unsafe { at.read() };
        if entry.is_null() {
            break;
        }
        entries.push(entry);
        at = at.wrapping_add(1);
    }
    entries
}

/// The vector that the process was started with, and the number of its arguments.
fn first_vector() -> Option<(u64, usize)> {
    let variable = lookup(c"_dl_argv", None)?;
    // SAFETY: the symbol is glibc's, a `char **` of the loader that lives as long as the process.
    let vector: u64 = unsafe { tables::read(variable) };
    if vector == 0 {
        return None;
    }
    // SAFETY: a null follows the last argument.
    let is_argument = |at: &usize| unsafe { tables::read::<u64>(vector + 8 * *at as u64) } != 0;
    Some((vector, (0..).take_while(is_argument).count()))
}

/// The pairs that the kernel has put behind the first environment; the last one is of kind 0.
fn auxiliary_vector() -> Option<&'static [u64]> {
    let start = auxiliary_vector_at()?;
    // SAFETY: as below: the pairs end with one of kind 0, and stay where they are.
    let words: &[u64] = unsafe { tables::table(start, AUXILIARY_MAX) };
    let end = words.chunks_exact(2).position(|pair| pair[0] == 0)?;
    Some(&words[..2 * (end + 1)])
}

fn auxiliary_vector_at() -> Option<u64> {
    let (vector, count) = first_vector()?;
    let mut at = vector + 8 * (count as u64 + 1);
    // SAFETY: the first stack holds the environment, a null, and the pairs. Where variables were removed,
    // more nulls are in between; no pair before the last is of kind 0.
    unsafe {
        while tables::read::<u64>(at) != 0 {
            at += 8;
        }
        while tables::read::<u64>(at) == 0 {
            at += 8;
        }
    }
    // Somebody may have put another vector there. A pair that everybody has tells.
    // SAFETY: `getauxval` has no precondition: it looks a number up.
    let page = unsafe { libc::getauxval(libc::AT_PAGESZ) };
    // SAFETY: as above.
    let words: &[u64] = unsafe { tables::table(at, 2 * 8) };
    let mut pairs = words.chunks_exact(2);
    pairs
        .any(|pair| pair == [libc::AT_PAGESZ, page])
        .then_some(at)
}

/// Sets the name of the file that the kernel says it has started.
pub(super) fn set_file_name(path: &'static CStr) {
    let pairs = auxiliary_vector().into_iter().flatten().collect::<Vec<_>>();
    let Some(at) = pairs
        .chunks_exact(2)
        .position(|pair| *pair[0] == libc::AT_EXECFN)
    else {
        return;
    };
    if let Some(start) = auxiliary_vector_at() {
        let value = path.as_ptr().expose_provenance() as u64;
        // SAFETY: the value of the pair, on the first stack, which can be written to.
        unsafe { tables::write_word(start + 16 * at as u64 + 8, value) };
    }
}

/// Has the loader and the C library take this vector for the one that the process was started with.
pub(super) fn replace(vector: &Vector) {
    let Some((before, count)) = first_vector() else {
        return;
    };
    // The C library keeps the first vector's address, too: those who look for the name there find it.
    if let Some(name) = vector
        .words
        .first()
        .filter(|_| vector.count > 0 && count > 0)
    {
        // SAFETY: the first argument, on the first stack.
        unsafe { tables::write_word(before, *name) };
    }
    let objects = loaded_objects();
    let of = |addr: u64| objects.iter().find(|object| object.range().contains(&addr));
    let libc = lookup(c"gnu_get_libc_version", None).and_then(of);
    if let Some((libc, place)) = libc.and_then(|it| Some((it, Place::find(it, before, count)?))) {
        let protected = [place.vector, place.count]
            .iter()
            .any(|it| is_protected(libc, *it));
        if protected {
            let _ignored = with_writable(libc, || place.set(vector));
        } else {
            place.set(vector);
        }
    }
    let variable = lookup(c"_dl_argv", None);
    if let Some((variable, loader)) = variable.and_then(|it| Some((it, of(it)?))) {
        // SAFETY: the loader's variable, writable now.
        let set = || unsafe { tables::write_word(variable, vector.addr()) };
        let _ignored = with_writable(loader, set);
    }
}

/// Where the C library keeps a vector and its count.
struct Place {
    vector: u64,
    count: u64,
}

impl Place {
    /// The only place of this kind in `libc`.
    fn find(libc: &LoadedObject, vector: u64, count: usize) -> Option<Self> {
        let count = u32::try_from(count).ok()?;
        let headers = libc.headers.iter();
        let data = headers.filter(|it| it.p_type == PT_LOAD && it.p_flags & libc::PF_W != 0);
        let places = data.flat_map(|it| Self::all_in(libc.segment(it), vector, count));
        let mut places: Vec<Option<Self>> = places.collect();
        if places.len() > 1 {
            return None;
        }
        places.pop()?
    }

    /// For every word in `memory` that is the vector's address, its place, if a count is beside it.
    fn all_in(memory: Range<u64>, vector: u64, count: u32) -> Vec<Option<Self>> {
        let start = memory.start.next_multiple_of(8);
        let size = memory.end.saturating_sub(start) / 8;
        let data = std::ptr::with_exposed_provenance::<u64>(start as usize);
        // SAFETY: data of a loaded object, which can be read, from its first aligned word to its end. Other
        // threads may write to it, and no reference to it is made.
        let word = |at: u64| unsafe { data.add(at as usize).read_volatile() };
        let places = (0..size).filter(|&at| word(at) == vector);
        let places = places.map(|at| {
            let before = at.checked_sub(1).map(|at| (at, word(at)));
            let after = (at + 1 < size).then(|| (at + 1, word(at + 1)));
            let neighbours = before.into_iter().chain(after);
            let neighbours = neighbours.map(|(at, word)| (start + 8 * at, word));
            Self::beside(start + 8 * at, neighbours, count)
        });
        places.collect()
    }

    /// The place of the vector at this address, if one number next to it is the count.
    fn beside(
        vector: u64,
        neighbours: impl Iterator<Item = (u64, u64)>,
        count: u32,
    ) -> Option<Self> {
        let halves = neighbours.flat_map(|(addr, word)| {
            // The first half first, on the CPUs that there are.
            [(addr, word as u32), (addr + 4, (word >> 32) as u32)]
        });
        let mut counts = halves.filter(|(_, half)| *half == count);
        let (count, _) = counts.next()?;
        counts.next().is_none().then_some(Self { vector, count })
    }

    fn set(&self, vector: &Vector) {
        let count = std::ptr::with_exposed_provenance_mut::<u32>(self.count as usize);
        // SAFETY: two variables of the C library, which it reads when a library is opened.
        unsafe {
            tables::write_word(self.vector, vector.addr());
            count.write_volatile(vector.count as u32);
        }
    }
}
