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
use crate::macos_features;

/// Relocation types that the psABI lets objects have, by number.
const OF_X86_64: &[(u32, &str)] = &[
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

/// Those of "ELF for the Arm 64-bit Architecture" that compilers and assemblers write.
const OF_AARCH64: &[(u32, &str)] = &[
    (257, "R_AARCH64_ABS64"),
    (258, "R_AARCH64_ABS32"),
    (259, "R_AARCH64_ABS16"),
    (260, "R_AARCH64_PREL64"),
    (261, "R_AARCH64_PREL32"),
    (262, "R_AARCH64_PREL16"),
    (263, "R_AARCH64_MOVW_UABS_G0"),
    (264, "R_AARCH64_MOVW_UABS_G0_NC"),
    (265, "R_AARCH64_MOVW_UABS_G1"),
    (266, "R_AARCH64_MOVW_UABS_G1_NC"),
    (267, "R_AARCH64_MOVW_UABS_G2"),
    (268, "R_AARCH64_MOVW_UABS_G2_NC"),
    (269, "R_AARCH64_MOVW_UABS_G3"),
    (270, "R_AARCH64_MOVW_SABS_G0"),
    (271, "R_AARCH64_MOVW_SABS_G1"),
    (272, "R_AARCH64_MOVW_SABS_G2"),
    (273, "R_AARCH64_LD_PREL_LO19"),
    (274, "R_AARCH64_ADR_PREL_LO21"),
    (275, "R_AARCH64_ADR_PREL_PG_HI21"),
    (276, "R_AARCH64_ADR_PREL_PG_HI21_NC"),
    (277, "R_AARCH64_ADD_ABS_LO12_NC"),
    (278, "R_AARCH64_LDST8_ABS_LO12_NC"),
    (279, "R_AARCH64_TSTBR14"),
    (280, "R_AARCH64_CONDBR19"),
    (282, "R_AARCH64_JUMP26"),
    (283, "R_AARCH64_CALL26"),
    (284, "R_AARCH64_LDST16_ABS_LO12_NC"),
    (285, "R_AARCH64_LDST32_ABS_LO12_NC"),
    (286, "R_AARCH64_LDST64_ABS_LO12_NC"),
    (287, "R_AARCH64_MOVW_PREL_G0"),
    (288, "R_AARCH64_MOVW_PREL_G0_NC"),
    (289, "R_AARCH64_MOVW_PREL_G1"),
    (290, "R_AARCH64_MOVW_PREL_G1_NC"),
    (291, "R_AARCH64_MOVW_PREL_G2"),
    (292, "R_AARCH64_MOVW_PREL_G2_NC"),
    (293, "R_AARCH64_MOVW_PREL_G3"),
    (299, "R_AARCH64_LDST128_ABS_LO12_NC"),
    (307, "R_AARCH64_GOTREL64"),
    (308, "R_AARCH64_GOTREL32"),
    (309, "R_AARCH64_GOT_LD_PREL19"),
    (311, "R_AARCH64_ADR_GOT_PAGE"),
    (312, "R_AARCH64_LD64_GOT_LO12_NC"),
    (313, "R_AARCH64_LD64_GOTPAGE_LO15"),
    (314, "R_AARCH64_PLT32"),
    (315, "R_AARCH64_GOTPCREL32"),
    (512, "R_AARCH64_TLSGD_ADR_PREL21"),
    (513, "R_AARCH64_TLSGD_ADR_PAGE21"),
    (514, "R_AARCH64_TLSGD_ADD_LO12_NC"),
    (517, "R_AARCH64_TLSLD_ADR_PREL21"),
    (518, "R_AARCH64_TLSLD_ADR_PAGE21"),
    (519, "R_AARCH64_TLSLD_ADD_LO12_NC"),
    (523, "R_AARCH64_TLSLD_MOVW_DTPREL_G2"),
    (524, "R_AARCH64_TLSLD_MOVW_DTPREL_G1"),
    (525, "R_AARCH64_TLSLD_MOVW_DTPREL_G1_NC"),
    (526, "R_AARCH64_TLSLD_MOVW_DTPREL_G0"),
    (527, "R_AARCH64_TLSLD_MOVW_DTPREL_G0_NC"),
    (528, "R_AARCH64_TLSLD_ADD_DTPREL_HI12"),
    (529, "R_AARCH64_TLSLD_ADD_DTPREL_LO12"),
    (530, "R_AARCH64_TLSLD_ADD_DTPREL_LO12_NC"),
    (531, "R_AARCH64_TLSLD_LDST8_DTPREL_LO12"),
    (532, "R_AARCH64_TLSLD_LDST8_DTPREL_LO12_NC"),
    (533, "R_AARCH64_TLSLD_LDST16_DTPREL_LO12"),
    (534, "R_AARCH64_TLSLD_LDST16_DTPREL_LO12_NC"),
    (535, "R_AARCH64_TLSLD_LDST32_DTPREL_LO12"),
    (536, "R_AARCH64_TLSLD_LDST32_DTPREL_LO12_NC"),
    (537, "R_AARCH64_TLSLD_LDST64_DTPREL_LO12"),
    (538, "R_AARCH64_TLSLD_LDST64_DTPREL_LO12_NC"),
    (541, "R_AARCH64_TLSIE_ADR_GOTTPREL_PAGE21"),
    (542, "R_AARCH64_TLSIE_LD64_GOTTPREL_LO12_NC"),
    (543, "R_AARCH64_TLSIE_LD_GOTTPREL_PREL19"),
    (544, "R_AARCH64_TLSLE_MOVW_TPREL_G2"),
    (545, "R_AARCH64_TLSLE_MOVW_TPREL_G1"),
    (546, "R_AARCH64_TLSLE_MOVW_TPREL_G1_NC"),
    (547, "R_AARCH64_TLSLE_MOVW_TPREL_G0"),
    (548, "R_AARCH64_TLSLE_MOVW_TPREL_G0_NC"),
    (549, "R_AARCH64_TLSLE_ADD_TPREL_HI12"),
    (550, "R_AARCH64_TLSLE_ADD_TPREL_LO12"),
    (551, "R_AARCH64_TLSLE_ADD_TPREL_LO12_NC"),
    (552, "R_AARCH64_TLSLE_LDST8_TPREL_LO12"),
    (553, "R_AARCH64_TLSLE_LDST8_TPREL_LO12_NC"),
    (554, "R_AARCH64_TLSLE_LDST16_TPREL_LO12"),
    (555, "R_AARCH64_TLSLE_LDST16_TPREL_LO12_NC"),
    (556, "R_AARCH64_TLSLE_LDST32_TPREL_LO12"),
    (557, "R_AARCH64_TLSLE_LDST32_TPREL_LO12_NC"),
    (558, "R_AARCH64_TLSLE_LDST64_TPREL_LO12"),
    (559, "R_AARCH64_TLSLE_LDST64_TPREL_LO12_NC"),
    (560, "R_AARCH64_TLSDESC_LD_PREL19"),
    (561, "R_AARCH64_TLSDESC_ADR_PREL21"),
    (562, "R_AARCH64_TLSDESC_ADR_PAGE21"),
    (563, "R_AARCH64_TLSDESC_LD64_LO12"),
    (564, "R_AARCH64_TLSDESC_ADD_LO12"),
    (569, "R_AARCH64_TLSDESC_CALL"),
    (570, "R_AARCH64_TLSLE_LDST128_TPREL_LO12"),
    (571, "R_AARCH64_TLSLE_LDST128_TPREL_LO12_NC"),
    (572, "R_AARCH64_TLSLD_LDST128_DTPREL_LO12"),
    (573, "R_AARCH64_TLSLD_LDST128_DTPREL_LO12_NC"),
];

/// Thread-local models, and the relocations by which an object that uses one is known: x86-64's, AArch64's.
const MODELS: &[(&str, &[u32], &[u32])] = &[
    ("general dynamic", &[19], &[512, 513]),
    ("local dynamic", &[20], &[517, 518]),
    ("initial exec", &[22], &[541, 543]),
    ("local exec", &[23], &[544, 545, 546, 547, 549, 550, 551]),
    ("TLS descriptors", &[34], &[560, 562]),
    ("APX forms", &[44, 45, 50], &[]),
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

/// Linux on each CPU.
const BOTH: &[&str] = &["x86-64", "aarch64"];

/// Features of one kind: a table of the document.
#[derive(Debug)]
pub struct Group {
    /// Its heading.
    pub title: &'static str,
    /// What it has columns for.
    pub columns: &'static [&'static str],
    /// What it has a line for.
    pub features: Vec<&'static str>,
}

/// Every feature that the document has a line for.
pub fn groups() -> Vec<Group> {
    let names = |table: &[(u32, &'static str)]| table.iter().map(|row| row.1).collect();
    let group = |title, columns, features| Group {
        title,
        columns,
        features,
    };
    let mut groups = vec![
        group("Relocation types of x86-64", &["x86-64"], names(OF_X86_64)),
        group(
            "Relocation types of AArch64",
            &["aarch64"],
            names(OF_AARCH64),
        ),
        group(
            "Thread-local models",
            BOTH,
            MODELS.iter().map(|m| m.0).collect(),
        ),
        group("Sections", BOTH, SECTIONS.to_vec()),
        group("Symbols", BOTH, SYMBOLS.to_vec()),
        group("Inputs and options", BOTH, INPUTS.to_vec()),
    ];
    groups.extend(macos_features::groups());
    groups
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

/// All files below a directory.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let (directories, mut files): (Vec<_>, Vec<_>) =
        entries.map(|e| e.path()).partition(|path| path.is_dir());
    files.extend(directories.iter().flat_map(|d| files_below(d)));
    files
}

#[derive(Default)]
struct Found {
    features: BTreeSet<&'static str>,
    /// The machine of the object that is looked at.
    machine: Option<elf::Machine>,
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
        self.machine = Some(header.e_machine(LE));
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
        let of_aarch64 = self.machine == Some(elf::EM_AARCH64);
        let known = if of_aarch64 { OF_AARCH64 } else { OF_X86_64 };
        for (number, name) in known {
            self.add_if(types.contains(number), name);
        }
        for (name, on_x86_64, on_aarch64) in MODELS {
            let signs = if of_aarch64 { on_aarch64 } else { on_x86_64 };
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
