//! Small shared objects, synthesized in memory and given to the loader to bind names with.
//!
//! The loader binds a shared object's undefined symbols by its own rules (search order, versions,
//! IFUNCs, thread-locals), so the surest way to learn what it would bind a name to is to give it a
//! shared object with that name and an ordinary relocation, and to read the result. And libraries
//! bind to what such an object defines as to any other's definitions.
//!
//! Layout of the file, which is its layout in memory too:
//!
//! ```text
//! read, execute   ELF header, program headers, .dynsym, .dynstr, .gnu.hash,
//!                 .gnu.version{,_r,_d}, hook stub, .rela.dyn
//! read, write     hook words, import table, dynamic section
//! ```

mod open;
mod symbols;
mod versions;

pub(crate) use open::{LoaderError, OpenImage, last_loader_message};

use std::ops::Range;

use orc_shared::api::{Export, Import, ImportKind, ImportValue};
use symbols::Symbols;
use versions::Versions;

use super::tables;
use crate::host::arch::synthesized;
use crate::host::elf::writer::{HEADER_SIZE, SEGMENT_SIZE, SYMBOL_SIZE, Segment, Writer};
use crate::host::elf::{self, Rela};

/// What a synthesized object consists of.
#[derive(Default)]
pub(crate) struct ImageSpec<'a> {
    /// Libraries the loader loads with it.
    pub needed: &'a [String],
    /// Directories the loader searches for them.
    pub search_path: &'a [String],
    /// Whether they hold for what those need, too.
    pub search_path_for_all: bool,
    /// What it defines.
    pub exports: &'a [Export],
    /// What it leaves undefined, and whether the loader is to bind it (else its value stays zero).
    pub imports: &'a [Import],
    /// Imports, by index, that the loader is not asked about.
    pub unbound: &'a [bool],
    /// Function called when the loader has made all other relocations.
    pub hook: Option<HookWords>,
    /// Give it a block of static thread-local storage. Its exported thread-locals count from there.
    pub thread_local_block: bool,
    /// Have the loader make every stack of the process executable.
    pub executable_stack: bool,
}

/// What the hook stub needs, as addresses in this process.
#[derive(Clone, Copy)]
pub(crate) struct HookWords {
    /// First argument of the hook. The second is the address the object was loaded at.
    pub context: u64,
    /// `extern "C" fn(context, base) -> *const c_char`: null, or the reason to give up.
    pub hook: u64,
    /// `_dl_signal_error`, called with the reason, which makes the `dlopen` fail.
    pub signal_error: u64,
    /// C string: the object's name in the loader's message.
    pub object_name: u64,
    /// Where the jump stub leads: a function that code near the object has to reach. Or 0.
    pub jump: u64,
    /// Function that the loader calls before it calls any constructor of what it loads with the
    /// object. Or 0.
    pub preinit: u64,
}

/// Why an object cannot be synthesized.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A name that C strings cannot hold.
    #[error("name {0:?} contains a zero byte")]
    ZeroByte(String),
    /// More versions than version indices.
    #[error("more than 32,766 symbol versions")]
    TooManyVersions,
    /// More names than 32-bit offsets reach.
    #[error("the symbol names of the program exceed 4 GiB")]
    TooManyNames,
}

/// The bytes of a synthesized object, and where its import table will be.
pub(crate) struct Image {
    pub bytes: Vec<u8>,
    pub import_table: u64,
    /// Offsets of the dynamic symbols of the exports.
    pub exports: Range<u64>,
    /// Offset of the word that says how far the thread-local block is from the thread pointer.
    pub thread_local_offset: u64,
    /// Offset of the jump stub.
    pub jump_stub: u64,
}

const PAGE: u64 = 4096;
/// The last one is `PT_NULL` where there are no thread-locals.
const SEGMENTS: usize = 5;
/// Words at the start of the writable part: the hook's four, the `IRELATIVE` slot, the jump stub's,
/// the array of one function to call first, the offset of the thread-local block.
const HOOK_AREA: u64 = 64;
const PREINIT_ARRAY: u64 = 48;
const THREAD_LOCAL_OFFSET: u64 = 56;
/// Bytes of a thread-local block, which nothing is stored in.
const THREAD_LOCAL_SIZE: u64 = 1;
/// Two words for each import.
const IMPORT_SIZE: u64 = 16;

/// File offsets of the parts that the dynamic section names.
struct Parts {
    symbols: u64,
    strings: (u64, u64),
    hash: u64,
    versions: Option<versions::Offsets>,
    stub: u64,
    rela: u64,
    rela_size: u64,
    writable: u64,
}

impl Image {
    /// Lays the object out.
    ///
    /// # Errors
    /// See [`ImageError`].
    pub fn new(spec: &ImageSpec<'_>) -> Result<Self, ImageError> {
        let mut versions = Versions::new(spec)?;
        let mut symbols = Symbols::new(spec, &versions)?;
        let mut out = Writer::default();
        out.pad_to(HEADER_SIZE + SEGMENTS as u64 * SEGMENT_SIZE);
        let bytes = &mut out.bytes;
        let (dynamic_names, version_parts) = {
            let names = symbols.add_dynamic_names(spec, &versions)?;
            (names, versions.build(&mut symbols)?)
        };

        let at_symbols = append(bytes, 8, &symbols.symbol_bytes());
        let at_hash = append(bytes, 8, &symbols.hash_bytes());
        let version_offsets = version_parts.map(|parts| parts.append(bytes, &symbols));
        let strings = symbols.string_bytes();
        let at_strings = append(bytes, 1, strings);
        let strings_size = strings.len() as u64;

        let stub = align(bytes.len() as u64, 16);
        let rela = stub + synthesized::STUB_SIZE as u64;
        let relocations = relocation_count(spec);
        let rela_size = (relocations * size_of::<Rela>()) as u64;
        let parts = Parts {
            symbols: at_symbols,
            strings: (at_strings, strings_size),
            hash: at_hash,
            versions: version_offsets,
            stub,
            rela,
            rela_size,
            writable: align(rela + rela_size, PAGE),
        };

        out.pad_to(stub);
        out.bytes
            .extend_from_slice(&synthesized::stub(stub, parts.writable));
        append_relocations(&mut out, spec, &parts);
        debug_assert_eq!(out.bytes.len() as u64, rela + rela_size);
        let read_execute = rela + rela_size;
        let import_table = append_writable(&mut out, spec, &parts);
        let dynamic = out.bytes.len() as u64;
        append_dynamic(&mut out, spec, &dynamic_names, &parts);
        write_headers(&mut out.bytes, spec, read_execute, parts.writable, dynamic);
        Ok(Self {
            bytes: out.bytes,
            import_table,
            exports: symbols.exports(at_symbols),
            thread_local_offset: parts.writable + THREAD_LOCAL_OFFSET,
            jump_stub: stub + synthesized::JUMP_STUB as u64,
        })
    }

    /// Reads the import table of the object once it is loaded and relocated.
    ///
    /// # Safety
    /// An object made of `imports` and laid out with its import table at `import_table` must be
    /// mapped at `base`.
    pub unsafe fn import_values(
        base: u64,
        import_table: u64,
        imports: &[Import],
    ) -> Vec<(ImportValue, Binding)> {
        let mut values = Vec::with_capacity(imports.len());
        for (index, import) in imports.iter().enumerate() {
            let at = base + import_table + IMPORT_SIZE * index as u64;
            // SAFETY: the caller's promise; each import has two words there.
            let [first, second]: [u64; 2] = unsafe { tables::read(at) };
            values.push(match import.kind {
                ImportKind::Address => (value(first, 0), Binding::of(first)),
                ImportKind::TlsModuleAndOffset => (value(first, second), Binding::of(first)),
                // The second word is the module, which says whether there is one.
                ImportKind::TpOffset => (value(first, 0), Binding::of(second)),
            });
        }
        values
    }
}

/// Whether an import led somewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Binding {
    Bound,
    Missing,
}

impl Binding {
    fn of(word: u64) -> Self {
        if word == 0 {
            Self::Missing
        } else {
            Self::Bound
        }
    }
}

fn value(value: u64, tls_offset: u64) -> ImportValue {
    ImportValue { value, tls_offset }
}

fn align(offset: u64, to: u64) -> u64 {
    offset.next_multiple_of(to)
}

fn append(bytes: &mut Vec<u8>, to: usize, part: &[u8]) -> u64 {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
    let at = bytes.len() as u64;
    bytes.extend_from_slice(part);
    at
}

fn is_bound(spec: &ImageSpec<'_>, index: usize) -> bool {
    !spec.unbound.get(index).copied().unwrap_or(false)
}

fn relocation_count(spec: &ImageSpec<'_>) -> usize {
    let imports = spec.imports.iter().enumerate();
    let imports: usize = imports
        .filter(|(index, _)| is_bound(spec, *index))
        .map(|(_, import)| {
            if import.kind == ImportKind::Address {
                1
            } else {
                2
            }
        })
        .sum();
    imports + usize::from(spec.hook.is_some()) + usize::from(spec.thread_local_block)
}

fn append_relocations(out: &mut Writer, spec: &ImageSpec<'_>, parts: &Parts) {
    let mut push = |offset, kind, symbol, addend| out.relocation(offset, kind, symbol, addend);
    for (index, import) in spec.imports.iter().enumerate() {
        if !is_bound(spec, index) {
            continue;
        }
        let at = parts.writable + HOOK_AREA + IMPORT_SIZE * index as u64;
        // Imports are the first symbols, after the null symbol.
        let symbol = index + 1;
        match import.kind {
            ImportKind::Address => push(at, synthesized::R_GLOB_DAT, symbol, 0),
            ImportKind::TlsModuleAndOffset => {
                push(at, synthesized::R_DTPMOD, symbol, 0);
                push(at + 8, synthesized::R_DTPOFF, symbol, 0);
            }
            ImportKind::TpOffset => {
                push(at, synthesized::R_TPOFF, symbol, 0);
                push(at + 8, synthesized::R_DTPMOD, symbol, 0);
            }
        }
    }
    if spec.thread_local_block {
        // Of the null symbol, which stands for the object itself.
        push(
            parts.writable + THREAD_LOCAL_OFFSET,
            synthesized::R_TPOFF,
            0,
            0,
        );
    }
    if spec.hook.is_some() {
        push(parts.writable + 32, synthesized::R_IRELATIVE, 0, parts.stub);
    }
}

/// Appends the hook words and the import table, and returns the table's offset.
fn append_writable(out: &mut Writer, spec: &ImageSpec<'_>, parts: &Parts) -> u64 {
    out.pad_to(parts.writable);
    if let Some(words) = spec.hook {
        out.longs(&[
            words.context,
            words.hook,
            words.signal_error,
            words.object_name,
            // The slot of the `IRELATIVE` relocation.
            0,
            words.jump,
            words.preinit,
        ]);
    }
    let table = parts.writable + HOOK_AREA;
    out.pad_to(table + IMPORT_SIZE * spec.imports.len() as u64);
    table
}

fn append_dynamic(
    out: &mut Writer,
    spec: &ImageSpec<'_>,
    names: &symbols::DynamicNames,
    parts: &Parts,
) {
    let mut entries: Vec<(u64, u64)> = Vec::with_capacity(names.needed.len() + 20);
    entries.extend(names.needed.iter().map(|&at| (elf::DT_NEEDED, at.into())));
    let flags = if spec.thread_local_block {
        elf::DF_BIND_NOW | elf::DF_STATIC_TLS
    } else {
        elf::DF_BIND_NOW
    };
    let search_path = match spec.search_path_for_all {
        true => elf::DT_RPATH,
        false => elf::DT_RUNPATH,
    };
    entries.extend(names.search_path.map(|at| (search_path, at.into())));
    entries.extend([
        (elf::DT_GNU_HASH, parts.hash),
        (elf::DT_STRTAB, parts.strings.0),
        (elf::DT_STRSZ, parts.strings.1),
        (elf::DT_SYMTAB, parts.symbols),
        (elf::DT_SYMENT, SYMBOL_SIZE),
        (elf::DT_FLAGS, flags),
        (elf::DT_FLAGS_1, elf::DF_1_NOW),
    ]);
    if parts.rela_size != 0 {
        entries.extend([
            (elf::DT_RELA, parts.rela),
            (elf::DT_RELASZ, parts.rela_size),
            (elf::DT_RELAENT, size_of::<Rela>() as u64),
        ]);
    }
    if spec.hook.is_some_and(|words| words.preinit != 0) {
        // The loader calls these before all constructors, as it does for an executable.
        entries.extend([
            (elf::DT_PREINIT_ARRAY, parts.writable + PREINIT_ARRAY),
            (elf::DT_PREINIT_ARRAYSZ, 8),
        ]);
    }
    if let Some(versions) = &parts.versions {
        entries.push((elf::DT_VERSYM, versions.symbols));
        if let Some((at, count)) = versions.needs {
            entries.extend([(elf::DT_VERNEED, at), (elf::DT_VERNEEDNUM, count)]);
        }
        if let Some((at, count)) = versions.definitions {
            entries.extend([(elf::DT_VERDEF, at), (elf::DT_VERDEFNUM, count)]);
        }
    }
    out.dynamic(entries);
}

fn write_headers(
    bytes: &mut [u8],
    spec: &ImageSpec<'_>,
    read_execute: u64,
    writable: u64,
    dynamic: u64,
) {
    let end = bytes.len() as u64;
    // The template is any byte that is zero: the end of the identification in the header.
    const ZERO: u64 = 15;
    let thread_locals = match spec.thread_local_block {
        true => Segment::of_file(elf::PT_TLS, elf::PF_R, ZERO, THREAD_LOCAL_SIZE, 1),
        false => Segment::of_file(elf::PT_NULL, 0, 0, 0, 0),
    };
    let stack = if spec.executable_stack { elf::PF_X } else { 0 };
    let parts = [
        (elf::PT_LOAD, elf::PF_R | elf::PF_X, 0, read_execute, PAGE),
        (elf::PT_LOAD, elf::PF_R | elf::PF_W, writable, end, PAGE),
        (elf::PT_DYNAMIC, elf::PF_R | elf::PF_W, dynamic, end, 8),
    ];
    let mut headers = Writer::default();
    headers.header(SEGMENTS);
    for (kind, flags, start, end, align) in parts {
        headers.segment(Segment::of_file(kind, flags, start, end - start, align));
    }
    headers.segment(Segment::stack(stack));
    headers.segment(thread_locals);
    bytes[..headers.bytes.len()].copy_from_slice(&headers.bytes);
}
