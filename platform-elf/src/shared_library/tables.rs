//! Where in a library's file the tables of its dynamic section lie.
//!
//! The dynamic section is found through the program headers, as the loader does: it gives addresses,
//! which the loadable segments map back to places in the file. Section headers may be stripped; the
//! only thing taken from them is a section's alignment.

use crate::machine::Machine;
use object::elf::{
    self, Dyn64, FileHeader64, GnuHashHeader, HashHeader, ProgramHeader64, SectionHeader64,
};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{LittleEndian as LE, ReadRef, U32};

/// A loadable segment.
struct Segment {
    addr: u64,
    size: u64,
    file_offset: u64,
    file_size: u64,
    executable: bool,
    writable: bool,
}

/// `DT_GNU_HASH`: offsets in the file of its four parts.
pub(super) struct GnuHash {
    pub(super) bloom: u64,
    pub(super) bloom_words: u32,
    pub(super) bloom_shift: u32,
    pub(super) buckets: u64,
    pub(super) bucket_count: u32,
    pub(super) chains: u64,
    pub(super) first_symbol: u32,
}

/// `DT_HASH`: offsets in the file of its two parts.
pub(super) struct SysvHash {
    pub(super) buckets: u64,
    pub(super) bucket_count: u32,
    pub(super) chains: u64,
    pub(super) chain_count: u32,
}

/// What the dynamic section says, with addresses turned into offsets in the file.
pub(super) struct Tables {
    segments: Vec<Segment>,
    relro: Option<(u64, u64)>,
    /// Offset of `.dynsym`.
    pub(super) symbols: u64,
    /// Number of its entries, as far as the hash tables tell.
    pub(super) symbol_count: u32,
    strings: (u64, u64),
    pub(super) gnu_hash: Option<GnuHash>,
    pub(super) sysv_hash: Option<SysvHash>,
    /// Offset of `.gnu.version`.
    pub(super) versyms: Option<u64>,
    /// Offset and number of the version definitions.
    pub(super) verdefs: Option<(u64, u64)>,
    /// Offset and number of the libraries that versions are needed of.
    pub(super) verneeds: Option<(u64, u64)>,
    /// `DT_SONAME`, `DT_RUNPATH` and `DT_NEEDED`, as offsets in the string table.
    pub(super) soname: Option<u32>,
    pub(super) run_path: Option<u32>,
    pub(super) needed: Vec<u32>,
    /// Whether the file is a program.
    pub(super) is_executable: bool,
    section_headers: (u64, u16),
}

/// The dynamic section's entries that a linker cares about; addresses still.
#[derive(Default)]
struct Dynamic {
    symbols: Option<u64>,
    strings: Option<u64>,
    strings_size: u64,
    gnu_hash: Option<u64>,
    sysv_hash: Option<u64>,
    versyms: Option<u64>,
    verdefs: Option<u64>,
    verdef_count: u64,
    verneeds: Option<u64>,
    verneed_count: u64,
    soname: Option<u32>,
    run_path: Option<u32>,
    needed: Vec<u32>,
    is_executable: bool,
}

impl Tables {
    /// Reads the headers and the dynamic section.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let header = check_header(bytes)?;
        let headers = header
            .program_headers(LE, bytes)
            .map_err(|e| format!("bad program headers: {e}"))?;
        let segments = loadable(headers);
        let find = |kind| headers.iter().find(|h| h.p_type(LE) == kind);
        let relro = find(elf::PT_GNU_RELRO)
            .map(|h| (h.p_vaddr(LE), h.p_vaddr(LE).saturating_add(h.p_memsz(LE))));
        let dynamic = find(elf::PT_DYNAMIC).ok_or("no dynamic section; is it a static program?")?;
        let entries = dynamic
            .data_as_array::<Dyn64<LE>, _>(LE, bytes)
            .map_err(|()| "the dynamic section lies outside the file")?;
        let dynamic = read_dynamic(entries);
        let at = |addr: u64| offset_of(&segments, addr);
        let need = |addr: Option<u64>, what: &str| {
            addr.and_then(at)
                .ok_or_else(|| format!("the dynamic section has no usable {what}"))
        };
        let gnu_hash = dynamic.gnu_hash.and_then(at);
        let gnu_hash = gnu_hash.and_then(|at| read_gnu_hash(bytes, at));
        let sysv_hash = dynamic.sysv_hash.and_then(at);
        let sysv_hash = sysv_hash.and_then(|at| read_sysv_hash(bytes, at));
        let symbol_count = match (&sysv_hash, &gnu_hash) {
            (Some(sysv), _) => sysv.chain_count,
            (None, Some(gnu)) => gnu.symbol_count(bytes),
            (None, None) => return Err("has no symbol hash table".to_owned()),
        };
        Ok(Self {
            relro,
            symbols: need(dynamic.symbols, "symbol table")?,
            symbol_count,
            strings: (need(dynamic.strings, "string table")?, dynamic.strings_size),
            gnu_hash,
            sysv_hash,
            versyms: dynamic.versyms.and_then(at),
            verdefs: dynamic
                .verdefs
                .and_then(at)
                .map(|at| (at, dynamic.verdef_count)),
            verneeds: dynamic
                .verneeds
                .and_then(at)
                .map(|at| (at, dynamic.verneed_count)),
            soname: dynamic.soname,
            run_path: dynamic.run_path,
            needed: dynamic.needed,
            is_executable: dynamic.is_executable || header.e_type(LE) == elf::ET_EXEC,
            section_headers: (header.e_shoff(LE), header.e_shnum(LE)),
            segments,
        })
    }

    /// The string at an offset of the string table; empty if there is none.
    pub(super) fn string<'a>(&self, bytes: &'a [u8], at: u32) -> &'a [u8] {
        let (start, size) = self.strings;
        let from = start.saturating_add(u64::from(at));
        let end = start.saturating_add(size);
        bytes.read_bytes_at_until(from..end, 0).unwrap_or(b"")
    }

    /// Whether the address lies in executable memory.
    pub(super) fn is_executable(&self, addr: u64) -> bool {
        self.segment(addr).is_some_and(|s| s.executable)
    }

    /// Whether data at the address cannot be written once the library is relocated.
    pub(super) fn is_read_only(&self, addr: u64) -> bool {
        let in_relro = self.relro.is_some_and(|(a, b)| a <= addr && addr < b);
        in_relro || self.segment(addr).is_some_and(|s| !s.writable)
    }

    /// `sh_addralign` of a section, if the section headers are there.
    pub(super) fn section_align(&self, bytes: &[u8], index: u16) -> Option<u64> {
        let (start, count) = self.section_headers;
        if start == 0 || index == 0 || index >= count {
            return None;
        }
        let size = size_of::<SectionHeader64<LE>>() as u64;
        let at = start.checked_add(u64::from(index) * size)?;
        let header = bytes.read_at::<SectionHeader64<LE>>(at).ok()?;
        Some(header.sh_addralign(LE)).filter(|align| align.is_power_of_two())
    }

    fn segment(&self, addr: u64) -> Option<&Segment> {
        let inside = |s: &&Segment| s.addr <= addr && addr - s.addr < s.size;
        self.segments.iter().find(inside)
    }
}

impl GnuHash {
    /// The number of symbols: one more than the last one of the chain that starts last. (The table
    /// does not cover undefined symbols, which all have lower numbers.)
    fn symbol_count(&self, bytes: &[u8]) -> u32 {
        let word = |at: u64| bytes.read_at::<U32<LE>>(at).map_or(0, |w| w.get(LE));
        let buckets = (0..u64::from(self.bucket_count)).map(|i| word(self.buckets + i * 4));
        let mut last = buckets.max().unwrap_or(0);
        if last < self.first_symbol {
            return self.first_symbol;
        }
        loop {
            let at = self.chains + u64::from(last - self.first_symbol) * 4;
            match bytes.read_at::<U32<LE>>(at) {
                Ok(value) if value.get(LE) & 1 == 0 && last < u32::MAX - 1 => last += 1,
                _ => return last.saturating_add(1),
            }
        }
    }
}

fn check_header(bytes: &[u8]) -> Result<&FileHeader64<LE>, String> {
    if !bytes.starts_with(&elf::ELFMAG) {
        return Err("is not an ELF file".to_owned());
    }
    let header = FileHeader64::<LE>::parse(bytes)
        .map_err(|_| "is not a 64-bit little-endian ELF file".to_owned())?;
    if header.endian().is_err() || Machine::of(header.e_machine(LE)).is_none() {
        return Err("is for another machine than x86-64 and AArch64".to_owned());
    }
    match header.e_type(LE) {
        elf::ET_DYN | elf::ET_EXEC => Ok(header),
        elf::ET_REL => Err("is an object file, not a shared library".to_owned()),
        _ => Err("is not a shared library".to_owned()),
    }
}

fn loadable(headers: &[ProgramHeader64<LE>]) -> Vec<Segment> {
    let load = headers.iter().filter(|h| h.p_type(LE) == elf::PT_LOAD);
    load.map(|h| Segment {
        addr: h.p_vaddr(LE),
        size: h.p_memsz(LE),
        file_offset: h.p_offset(LE),
        file_size: h.p_filesz(LE),
        executable: h.p_flags(LE).0 & elf::PF_X.0 != 0,
        writable: h.p_flags(LE).0 & elf::PF_W.0 != 0,
    })
    .collect()
}

/// Where in the file the byte at `addr` comes from.
fn offset_of(segments: &[Segment], addr: u64) -> Option<u64> {
    let inside = |s: &&Segment| s.addr <= addr && addr - s.addr < s.file_size;
    let segment = segments.iter().find(inside)?;
    segment.file_offset.checked_add(addr - segment.addr)
}

fn read_dynamic(entries: &[Dyn64<LE>]) -> Dynamic {
    let mut dynamic = Dynamic::default();
    for entry in entries {
        let value = entry.d_val.get(LE);
        let string = u32::try_from(value).ok();
        match entry.d_tag.get(LE) {
            elf::DT_NULL => break,
            elf::DT_SYMTAB => dynamic.symbols = Some(value),
            elf::DT_STRTAB => dynamic.strings = Some(value),
            elf::DT_STRSZ => dynamic.strings_size = value,
            elf::DT_GNU_HASH => dynamic.gnu_hash = Some(value),
            elf::DT_HASH => dynamic.sysv_hash = Some(value),
            elf::DT_VERSYM => dynamic.versyms = Some(value),
            elf::DT_VERDEF => dynamic.verdefs = Some(value),
            elf::DT_VERDEFNUM => dynamic.verdef_count = value,
            elf::DT_VERNEED => dynamic.verneeds = Some(value),
            elf::DT_VERNEEDNUM => dynamic.verneed_count = value,
            elf::DT_SONAME => dynamic.soname = string,
            elf::DT_RUNPATH => dynamic.run_path = string,
            elf::DT_RPATH => dynamic.run_path = dynamic.run_path.or(string),
            elf::DT_NEEDED => dynamic.needed.extend(string),
            elf::DT_FLAGS_1 => {
                dynamic.is_executable = value & elf::DF_1_PIE.0 != 0;
            }
            _ => {}
        }
    }
    dynamic
}

fn read_gnu_hash(bytes: &[u8], at: u64) -> Option<GnuHash> {
    let header = bytes.read_at::<GnuHashHeader<LE>>(at).ok()?;
    let bloom_words = header.bloom_count.get(LE);
    let bucket_count = header.bucket_count.get(LE);
    if !bloom_words.is_power_of_two() || bucket_count == 0 {
        return None;
    }
    let bloom = at + size_of::<GnuHashHeader<LE>>() as u64;
    let buckets = bloom + u64::from(bloom_words) * 8;
    let chains = buckets + u64::from(bucket_count) * 4;
    // Numbers that the file has no room for would be counted up to.
    (chains <= bytes.len() as u64).then(|| GnuHash {
        bloom,
        bloom_words,
        bloom_shift: header.bloom_shift.get(LE) % 32,
        buckets,
        bucket_count,
        chains,
        first_symbol: header.symbol_base.get(LE),
    })
}

fn read_sysv_hash(bytes: &[u8], at: u64) -> Option<SysvHash> {
    let header = bytes.read_at::<HashHeader<LE>>(at).ok()?;
    let bucket_count = header.bucket_count.get(LE);
    let chain_count = header.chain_count.get(LE);
    let buckets = at + size_of::<HashHeader<LE>>() as u64;
    let chains = buckets + u64::from(bucket_count) * 4;
    let fits = chains + u64::from(chain_count) * 4 <= bytes.len() as u64;
    (bucket_count != 0 && fits).then_some(SysvHash {
        buckets,
        bucket_count,
        chains,
        chain_count,
    })
}
