//! What of ELF a built case holds: relocation types, thread-local models, kinds of sections and
//! symbols, forms of archives. `docs/CONFORMANCE.md` is made of this.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, SectionHeader64, Sym64};
use object::read::archive::{ArchiveFile, ArchiveKind};
use object::read::elf::{FileHeader as _, SectionHeader as _, SectionTable, Sym as _};

use crate::build::Built;
use crate::case::Case;

/// Relocation types that the psABI lets objects have, by number.
const RELOCATIONS: &[(u32, &str)] = &[
    (1, "R_X86_64_64"),
    (2, "R_X86_64_PC32"),
    (3, "R_X86_64_GOT32"),
    (4, "R_X86_64_PLT32"),
    (9, "R_X86_64_GOTPCREL"),
    (10, "R_X86_64_32"),
    (11, "R_X86_64_32S"),
    (12, "R_X86_64_16"),
    (13, "R_X86_64_PC16"),
    (14, "R_X86_64_8"),
    (15, "R_X86_64_PC8"),
    (17, "R_X86_64_DTPOFF64"),
    (18, "R_X86_64_TPOFF64"),
    (19, "R_X86_64_TLSGD"),
    (20, "R_X86_64_TLSLD"),
    (21, "R_X86_64_DTPOFF32"),
    (22, "R_X86_64_GOTTPOFF"),
    (23, "R_X86_64_TPOFF32"),
    (24, "R_X86_64_PC64"),
    (25, "R_X86_64_GOTOFF64"),
    (26, "R_X86_64_GOTPC32"),
    (27, "R_X86_64_GOT64"),
    (28, "R_X86_64_GOTPCREL64"),
    (29, "R_X86_64_GOTPC64"),
    (30, "R_X86_64_GOTPLT64"),
    (31, "R_X86_64_PLTOFF64"),
    (32, "R_X86_64_SIZE32"),
    (33, "R_X86_64_SIZE64"),
    (34, "R_X86_64_GOTPC32_TLSDESC"),
    (35, "R_X86_64_TLSDESC_CALL"),
    (41, "R_X86_64_GOTPCRELX"),
    (42, "R_X86_64_REX_GOTPCRELX"),
    (43, "R_X86_64_CODE_4_GOTPCRELX"),
    (44, "R_X86_64_CODE_4_GOTTPOFF"),
    (45, "R_X86_64_CODE_4_GOTPC32_TLSDESC"),
    (46, "R_X86_64_CODE_5_GOTPCRELX"),
    (47, "R_X86_64_CODE_5_GOTTPOFF"),
    (48, "R_X86_64_CODE_5_GOTPC32_TLSDESC"),
    (49, "R_X86_64_CODE_6_GOTPCRELX"),
    (50, "R_X86_64_CODE_6_GOTTPOFF"),
    (51, "R_X86_64_CODE_6_GOTPC32_TLSDESC"),
];

/// Thread-local models, and the relocations by which an object that uses one is known.
const MODELS: &[(&str, &[u32])] = &[
    ("general dynamic", &[19]),
    ("local dynamic", &[20]),
    ("initial exec", &[22]),
    ("local exec", &[23]),
    ("TLS descriptors", &[34]),
    ("APX forms", &[44, 45, 50]),
];

const SECTIONS: &[&str] = &[
    "COMDAT group",
    "group that is not COMDAT",
    ".gnu.linkonce",
    "mergeable strings",
    "mergeable constants",
    "SHF_GNU_RETAIN",
    "SHF_LINK_ORDER",
    "SHF_COMPRESSED",
    "SHT_CREL",
    "more than 65,279 sections",
    "alignment of a page or more",
    ".init_array",
    ".preinit_array",
    ".fini_array",
    ".ctors",
    ".dtors",
    ".init and .fini",
    ".gcc_except_table",
    ".eh_frame",
    ".tdata",
    ".tbss",
    ".ldata",
    ".lbss",
    ".lrodata",
    ".gnu.warning",
    "note",
];

const SYMBOLS: &[&str] = &[
    "weak definition",
    "weak undefined",
    "common",
    "STB_GNU_UNIQUE",
    "IFUNC",
    "hidden",
    "internal",
    "protected",
    "absolute",
    "versioned",
];

const INPUTS: &[&str] = &[
    "archive with an index",
    "archive without an index",
    "archive with an index of 64 bits",
    "archive with BSD's index",
    "thin archive",
    "--whole-archive",
    "--as-needed",
    "--defsym",
    "-u",
    "--wrap",
    "-rdynamic",
    "--export-dynamic-symbol",
    "--dynamic-list or --export-dynamic-symbol-list",
    "-l:FILE",
    "-Bstatic or -static",
    "-l",
    "shared library",
    "response file",
];

/// Every feature that the document has a line for.
pub fn groups() -> Vec<(&'static str, Vec<&'static str>)> {
    vec![
        (
            "Relocation types",
            RELOCATIONS.iter().map(|r| r.1).collect(),
        ),
        ("Thread-local models", MODELS.iter().map(|m| m.0).collect()),
        ("Sections", SECTIONS.to_vec()),
        ("Symbols", SYMBOLS.to_vec()),
        ("Inputs and options", INPUTS.to_vec()),
    ]
}

/// The features of a case that was built.
pub fn features_of(case: &Case, built: &Built) -> BTreeSet<&'static str> {
    let mut found = Found::default();
    for input in files_below(&built.directory) {
        let Ok(bytes) = fs::read(&input) else {
            continue;
        };
        match input.extension().and_then(|e| e.to_str()) {
            Some("o") => found.object(&bytes),
            Some("a") => found.archive(&bytes),
            Some("so") => found.add("shared library"),
            _ => {}
        }
    }
    for word in case.jit.iter().chain(&built.inputs) {
        found.option(word);
    }
    found.features
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let (directories, mut files): (Vec<_>, Vec<_>) =
        entries.map(|e| e.path()).partition(|path| path.is_dir());
    files.extend(directories.iter().flat_map(|d| files_below(d)));
    files
}

#[derive(Default)]
struct Found {
    features: BTreeSet<&'static str>,
}

impl Found {
    fn add(&mut self, feature: &'static str) {
        self.features.insert(feature);
    }

    fn add_if(&mut self, holds: bool, feature: &'static str) {
        if holds {
            self.add(feature);
        }
    }

    fn option(&mut self, word: &str) {
        let word = word.strip_prefix("-Wl,").unwrap_or(word);
        let starts = |start: &str| word.starts_with(start);
        self.add_if(word == "--whole-archive", "--whole-archive");
        self.add_if(word == "--as-needed", "--as-needed");
        self.add_if(starts("--defsym"), "--defsym");
        self.add_if(starts("-u") || starts("--undefined="), "-u");
        self.add_if(starts("--wrap"), "--wrap");
        self.add_if(word == "-rdynamic", "-rdynamic");
        self.add_if(
            starts("--export-dynamic-symbol="),
            "--export-dynamic-symbol",
        );
        self.add_if(
            starts("--dynamic-list") || starts("--export-dynamic-symbol-list"),
            "--dynamic-list or --export-dynamic-symbol-list",
        );
        self.add_if(starts("-l:"), "-l:FILE");
        self.add_if(starts("-l") && !starts("-l:"), "-l");
        self.add_if(
            word == "-Bstatic" || word == "-static",
            "-Bstatic or -static",
        );
        self.add_if(starts("@"), "response file");
    }

    fn archive(&mut self, bytes: &[u8]) {
        let Ok(archive) = ArchiveFile::parse(bytes) else {
            return;
        };
        let indexed = archive.symbols().is_ok_and(|symbols| symbols.is_some());
        self.add_if(archive.is_thin(), "thin archive");
        self.add(match (indexed, archive.kind()) {
            (false, _) => "archive without an index",
            (true, ArchiveKind::Gnu64) => "archive with an index of 64 bits",
            (true, ArchiveKind::Bsd | ArchiveKind::Bsd64) => "archive with BSD's index",
            (true, _) => "archive with an index",
        });
        for member in archive.members().flatten() {
            if let Ok(object) = member.data(bytes) {
                self.object(object);
            }
        }
    }

    fn object(&mut self, bytes: &[u8]) {
        let Ok(header) = FileHeader64::<LE>::parse(bytes) else {
            return;
        };
        let Ok(sections) = header.sections(LE, bytes) else {
            return;
        };
        self.add_if(sections.len() > 0xff00, "more than 65,279 sections");
        for section in sections.iter() {
            self.section(bytes, &sections, section);
        }
        if let Ok(symbols) = sections.symbols(LE, bytes, elf::SHT_SYMTAB) {
            for symbol in symbols.iter() {
                let name = symbol.name(LE, symbols.strings()).unwrap_or_default();
                self.symbol(symbol, name);
            }
        }
    }

    fn section(
        &mut self,
        bytes: &[u8],
        sections: &SectionTable<'_, FileHeader64<LE>>,
        section: &SectionHeader64<LE>,
    ) {
        let (flags, kind) = (section.sh_flags(LE), section.sh_type(LE));
        if kind == elf::SHT_GROUP {
            let comdat = section.group(LE, bytes).ok().flatten();
            let comdat = comdat.is_some_and(|group| group.0 == elf::GRP_COMDAT);
            self.add(if comdat {
                "COMDAT group"
            } else {
                "group that is not COMDAT"
            });
        }
        self.add_if(flags.contains(elf::SHF_COMPRESSED), "SHF_COMPRESSED");
        let name = sections.section_name(LE, section).unwrap_or_default();
        self.add_if(name.starts_with(b".gnu.warning."), ".gnu.warning");
        if let Ok(Some((relocations, _))) = section.rela(LE, bytes) {
            if self.is_loaded(sections, section) {
                let types = relocations.iter().map(|r| r.r_info.get(LE) as u32);
                self.relocations(types);
            }
        } else if let Ok(Some((relocations, _))) = section.crel(LE, bytes) {
            self.add("SHT_CREL");
            if self.is_loaded(sections, section) {
                let types = relocations.flatten().map(|r| r.r_type.0);
                self.relocations(types);
            }
        }
        if !flags.contains(elf::SHF_ALLOC) {
            return;
        }
        let merged = flags.contains(elf::SHF_MERGE);
        let strings = flags.contains(elf::SHF_STRINGS);
        self.add_if(merged && strings, "mergeable strings");
        self.add_if(merged && !strings, "mergeable constants");
        self.add_if(flags.contains(elf::SHF_GNU_RETAIN), "SHF_GNU_RETAIN");
        self.add_if(flags.contains(elf::SHF_LINK_ORDER), "SHF_LINK_ORDER");
        self.add_if(
            section.sh_addralign(LE) >= 4096,
            "alignment of a page or more",
        );
        self.add_if(kind == elf::SHT_NOTE, "note");
        self.add_if(name.starts_with(b".gnu.linkonce."), ".gnu.linkonce");
        self.add_if(
            section.sh_size(LE) > 0 && name == b".init",
            ".init and .fini",
        );
        for &known in SECTIONS.iter().filter(|known| known.starts_with('.')) {
            let rest = name.strip_prefix(known.as_bytes());
            let same = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."));
            self.add_if(same && section.sh_size(LE) > 0, known);
        }
    }

    /// Whether the section that a relocation section is for gets into memory.
    fn is_loaded(
        &self,
        sections: &SectionTable<'_, FileHeader64<LE>>,
        relocations: &SectionHeader64<LE>,
    ) -> bool {
        let target = object::SectionIndex(relocations.sh_info(LE) as usize);
        sections
            .section(target)
            .is_ok_and(|section| section.sh_flags(LE).contains(elf::SHF_ALLOC))
    }

    fn relocations(&mut self, types: impl Iterator<Item = u32>) {
        let types: BTreeSet<u32> = types.collect();
        for (number, name) in RELOCATIONS {
            self.add_if(types.contains(number), name);
        }
        for (name, signs) in MODELS {
            self.add_if(signs.iter().any(|sign| types.contains(sign)), name);
        }
    }

    fn symbol(&mut self, symbol: &Sym64<LE>, name: &[u8]) {
        let section = symbol.st_shndx(LE);
        let undefined = section == elf::SHN_UNDEF;
        let bind = symbol.st_bind();
        self.add_if(bind == elf::STB_WEAK && !undefined, "weak definition");
        self.add_if(bind == elf::STB_WEAK && undefined, "weak undefined");
        self.add_if(bind == elf::STB_GNU_UNIQUE, "STB_GNU_UNIQUE");
        self.add_if(symbol.st_type() == elf::STT_GNU_IFUNC, "IFUNC");
        self.add_if(section == elf::SHN_COMMON, "common");
        let absolute = section == elf::SHN_ABS && symbol.st_type() != elf::STT_FILE;
        self.add_if(absolute, "absolute");
        self.add_if(bind == elf::STB_GLOBAL && name.contains(&b'@'), "versioned");
        match symbol.st_visibility() {
            elf::STV_HIDDEN => self.add("hidden"),
            elf::STV_INTERNAL => self.add("internal"),
            elf::STV_PROTECTED => self.add("protected"),
            _ => {}
        }
    }
}
