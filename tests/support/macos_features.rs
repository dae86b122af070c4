//! What of Mach-O the objects of a test hold: relocation types, kinds of sections and symbols, ways in which
//! functions say how they are unwound, forms of inputs. `docs/CONFORMANCE.md` is made of this.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use object::LittleEndian as LE;
use object::macho::{self, MachHeader64, Nlist64, Section64, SectionType};
use object::read::archive::{ArchiveFile, ArchiveKind};
use object::read::macho::{FatArch, MachHeader as _, MachOFatFile32, MachOFatFile64};
use object::read::macho::{Nlist as _, Section as _, Segment as _};

use crate::features::{Group, files_below};

/// Relocation types, by number.
const OF_X86_64: &[(u8, &str)] = &[
    (0, "X86_64_RELOC_UNSIGNED"),
    (1, "X86_64_RELOC_SIGNED"),
    (2, "X86_64_RELOC_BRANCH"),
    (3, "X86_64_RELOC_GOT_LOAD"),
    (4, "X86_64_RELOC_GOT"),
    (5, "X86_64_RELOC_SUBTRACTOR"),
    (6, "X86_64_RELOC_SIGNED_1"),
    (7, "X86_64_RELOC_SIGNED_2"),
    (8, "X86_64_RELOC_SIGNED_4"),
    (9, "X86_64_RELOC_TLV"),
];

const OF_ARM64: &[(u8, &str)] = &[
    (0, "ARM64_RELOC_UNSIGNED"),
    (1, "ARM64_RELOC_SUBTRACTOR"),
    (2, "ARM64_RELOC_BRANCH26"),
    (3, "ARM64_RELOC_PAGE21"),
    (4, "ARM64_RELOC_PAGEOFF12"),
    (5, "ARM64_RELOC_GOT_LOAD_PAGE21"),
    (6, "ARM64_RELOC_GOT_LOAD_PAGEOFF12"),
    (7, "ARM64_RELOC_POINTER_TO_GOT"),
    (8, "ARM64_RELOC_TLVP_LOAD_PAGE21"),
    (9, "ARM64_RELOC_TLVP_LOAD_PAGEOFF12"),
    (10, "ARM64_RELOC_ADDEND"),
];

/// Types of sections, by number.
const TYPES: &[(SectionType, &str)] = &[
    (macho::S_ZEROFILL, "S_ZEROFILL"),
    (macho::S_CSTRING_LITERALS, "S_CSTRING_LITERALS"),
    (macho::S_4BYTE_LITERALS, "S_4BYTE_LITERALS"),
    (macho::S_8BYTE_LITERALS, "S_8BYTE_LITERALS"),
    (macho::S_16BYTE_LITERALS, "S_16BYTE_LITERALS"),
    (macho::S_LITERAL_POINTERS, "S_LITERAL_POINTERS"),
    (macho::S_MOD_INIT_FUNC_POINTERS, "S_MOD_INIT_FUNC_POINTERS"),
    (macho::S_MOD_TERM_FUNC_POINTERS, "S_MOD_TERM_FUNC_POINTERS"),
    (macho::S_THREAD_LOCAL_REGULAR, "S_THREAD_LOCAL_REGULAR"),
    (macho::S_THREAD_LOCAL_ZEROFILL, "S_THREAD_LOCAL_ZEROFILL"),
    (macho::S_THREAD_LOCAL_VARIABLES, "S_THREAD_LOCAL_VARIABLES"),
];

/// Sections that are known by their names, and what is known by neither.
const NAMED: &[&str] = &[
    "__ustring",
    "__gcc_except_tab",
    "__eh_frame",
    "__compact_unwind",
];
const WHOLE: &str = "sections that are not taken apart";

const SYMBOLS: &[&str] = &[
    "N_WEAK_DEF",
    "N_WEAK_REF",
    "N_PEXT",
    "N_ALT_ENTRY",
    "N_NO_DEAD_STRIP",
    "N_COLD_FUNC",
    "N_ABS",
    "N_INDR",
    "N_UNDF with a size",
];

/// What entries of compact unwinding say, by their mode: x86-64's, arm64's.
const MODES: &[(&str, u32, u32)] = &[
    ("a frame pointer", 0x0100_0000, 0x0400_0000),
    ("a stack of known size", 0x0200_0000, 0x0200_0000),
    (
        "a stack of a size that is in an instruction",
        0x0300_0000,
        NO_MODE,
    ),
    ("a record in __eh_frame", 0x0400_0000, 0x0300_0000),
];
const NO_MODE: u32 = u32::MAX;
const MODE_MASK: u32 = 0x0f00_0000;
const WITH_PERSONALITY: &str = "a personality routine";
const WITH_TABLE: &str = "a table of exceptions";

const INPUTS: &[&str] = &[
    UNIVERSAL,
    UNIVERSAL_ARCHIVE,
    UNIVERSAL_64,
    MACOS_INDEX,
    "LC_BUILD_VERSION",
    "LC_VERSION_MIN_MACOSX",
    "LC_LINKER_OPTION",
    "LC_DATA_IN_CODE",
];
const UNIVERSAL: &str = "universal object";
const UNIVERSAL_ARCHIVE: &str = "universal archive";
const UNIVERSAL_64: &str = "universal file with places of 64 bits";
const MACOS_INDEX: &str = "archive with macOS's index";

/// macOS on both CPUs.
const BOTH: &[&str] = &["macOS x86-64", "macOS arm64"];

/// Every feature of Mach-O that the document has a line for.
pub fn groups() -> Vec<Group> {
    let names = |table: &[(u8, &'static str)]| table.iter().map(|row| row.1).collect();
    let group = |title, columns, features| Group {
        title,
        columns,
        features,
    };
    let types = TYPES.iter().map(|row| row.1);
    let modes = MODES.iter().map(|row| row.0);
    vec![
        group(
            "Relocation types of Mach-O for x86-64",
            &BOTH[..1],
            names(OF_X86_64),
        ),
        group(
            "Relocation types of Mach-O for arm64",
            &BOTH[1..],
            names(OF_ARM64),
        ),
        group(
            "Sections of Mach-O",
            BOTH,
            types.chain(NAMED.iter().copied()).chain([WHOLE]).collect(),
        ),
        group("Symbols of Mach-O", BOTH, SYMBOLS.to_vec()),
        group(
            "Compact unwind entries with",
            BOTH,
            modes.chain([WITH_PERSONALITY, WITH_TABLE]).collect(),
        ),
        group("Inputs of Mach-O", BOTH, INPUTS.to_vec()),
    ]
}

/// What the objects and archives below a directory hold.
pub fn features_below(directory: &Path) -> BTreeSet<&'static str> {
    let mut found = Found::default();
    for path in files_below(directory) {
        let extension = path.extension().and_then(|e| e.to_str());
        if let (Some("o" | "a"), Ok(bytes)) = (extension, fs::read(&path)) {
            found.file(&bytes);
        }
    }
    found.features
}

#[derive(Default)]
struct Found {
    features: BTreeSet<&'static str>,
}

impl Found {
    fn add_if(&mut self, holds: bool, feature: &'static str) {
        if holds {
            self.features.insert(feature);
        }
    }

    fn file(&mut self, bytes: &[u8]) {
        if let Ok(file) = MachOFatFile32::parse(bytes) {
            self.universal(bytes, file.arches());
        } else if let Ok(file) = MachOFatFile64::parse(bytes) {
            self.add_if(true, UNIVERSAL_64);
            self.universal(bytes, file.arches());
        } else if let Ok(archive) = ArchiveFile::parse(bytes) {
            let is_macos = matches!(archive.kind(), ArchiveKind::Bsd | ArchiveKind::Bsd64);
            self.add_if(is_macos, MACOS_INDEX);
            for member in archive.members().flatten() {
                if let Ok(object) = member.data(bytes) {
                    self.object(object);
                }
            }
        } else {
            self.object(bytes);
        }
    }

    fn universal<Arch: FatArch>(&mut self, bytes: &[u8], parts: &[Arch]) {
        for part in parts {
            let Ok(part) = part.data(bytes) else {
                continue;
            };
            let is_archive = ArchiveFile::parse(part).is_ok();
            self.add_if(is_archive, UNIVERSAL_ARCHIVE);
            self.add_if(!is_archive, UNIVERSAL);
        }
    }

    /// Looks at an object; nothing is noted of what is none.
    fn object(&mut self, bytes: &[u8]) -> Option<()> {
        let header = MachHeader64::<LE>::parse(bytes, 0).ok()?;
        let is_arm64 = header.cputype(LE) == macho::CPU_TYPE_ARM64;
        let by_symbols = header.flags(LE).contains(macho::MH_SUBSECTIONS_VIA_SYMBOLS);
        self.add_if(!by_symbols, WHOLE);
        let mut commands = header.load_commands(LE, bytes, 0).ok()?;
        while let Ok(Some(command)) = commands.next() {
            let kind = command.cmd();
            self.add_if(kind == macho::LC_BUILD_VERSION, "LC_BUILD_VERSION");
            self.add_if(
                kind == macho::LC_VERSION_MIN_MACOSX,
                "LC_VERSION_MIN_MACOSX",
            );
            self.add_if(kind == macho::LC_LINKER_OPTION, "LC_LINKER_OPTION");
            self.add_if(kind == macho::LC_DATA_IN_CODE, "LC_DATA_IN_CODE");
            if let Ok(Some((segment, data))) = command.segment_64() {
                for section in segment.sections(LE, data).ok()? {
                    self.section(bytes, section, is_arm64);
                }
            } else if let Ok(Some(symtab)) = command.symtab() {
                let table = symtab.symbols::<MachHeader64<LE>, _>(LE, bytes).ok()?;
                table.iter().for_each(|symbol| self.symbol(symbol));
            }
        }
        Some(())
    }

    fn section(&mut self, bytes: &[u8], section: &Section64<LE>, is_arm64: bool) {
        if section.size.get(LE) == 0 {
            return;
        }
        let flags = section.flags.get(LE);
        for (kind, name) in TYPES {
            self.add_if(flags.typ() == *kind, name);
        }
        let known = NAMED
            .iter()
            .find(|known| known.as_bytes() == section.name());
        self.features.extend(known);
        let is_unwinding = section.name() == b"__compact_unwind";
        let place = section.offset.get(LE).into();
        if is_unwinding && let Ok(entries) = section.data(LE, bytes, place) {
            self.unwinding(entries, is_arm64);
        }
        let is_loaded = is_unwinding || !flags.contains(macho::S_ATTR_DEBUG);
        let relocations = section.relocations(LE, bytes).unwrap_or_default();
        let types = if is_arm64 { OF_ARM64 } else { OF_X86_64 };
        for relocation in relocations.iter().filter(|_| is_loaded) {
            let relocation = relocation.info(LE);
            let known = types.iter().find(|row| row.0 == relocation.r_type.0);
            self.features.extend(known.map(|row| row.1));
            // A personality routine is the third word of an entry, and a table the fourth.
            if is_unwinding {
                self.add_if(relocation.r_address % 32 == 16, WITH_PERSONALITY);
                self.add_if(relocation.r_address % 32 == 24, WITH_TABLE);
            }
        }
    }

    fn unwinding(&mut self, entries: &[u8], is_arm64: bool) {
        for entry in entries.chunks_exact(32) {
            let encoding = entry[12..16].try_into().map_or(0, u32::from_le_bytes);
            for &(name, on_x86_64, on_arm64) in MODES {
                let mode = if is_arm64 { on_arm64 } else { on_x86_64 };
                self.add_if(encoding & MODE_MASK == mode, name);
            }
        }
    }

    fn symbol(&mut self, symbol: &Nlist64<LE>) {
        if symbol.is_stab() {
            return;
        }
        let (flags, described) = (symbol.n_type, symbol.n_desc.get(LE));
        let is_undefined = flags.typ() == macho::N_UNDF;
        let defined = [
            (macho::N_WEAK_DEF, "N_WEAK_DEF"),
            (macho::N_ALT_ENTRY, "N_ALT_ENTRY"),
            (macho::N_NO_DEAD_STRIP, "N_NO_DEAD_STRIP"),
            (macho::N_COLD_FUNC, "N_COLD_FUNC"),
        ];
        for (flag, name) in defined {
            self.add_if(!is_undefined && described.contains(flag), name);
        }
        let is_weak = described.contains(macho::N_WEAK_REF);
        self.add_if(is_undefined && is_weak, "N_WEAK_REF");
        self.add_if(flags.is_pext(), "N_PEXT");
        self.add_if(flags.typ() == macho::N_ABS, "N_ABS");
        self.add_if(flags.typ() == macho::N_INDR, "N_INDR");
        let is_common = is_undefined && symbol.n_value.get(LE) != 0;
        self.add_if(is_common, "N_UNDF with a size");
    }
}
