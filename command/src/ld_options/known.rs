//! Options of GNU ld, lld, mold and gold that are not applied, and why that is right: they are about a
//! file that is not written, or about messages. What would change how a program behaves, and is not
//! done here, is refused with a reason.

/// What becomes of an option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// The option changes nothing, and nobody need hear so.
    Ignored,
    /// Nothing, and the user hears so: it asks for something to be printed.
    Unsaid,
    /// Nothing, but the file that it names has to be there.
    NamesFile,
    /// The option is an error, for this reason.
    Refused(&'static str),
}

/// Whether a value belongs to an option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Takes {
    /// None, or one behind `=`.
    Nothing,
    /// One behind `=`, or the next word.
    Value,
}

/// An option without its dashes.
pub(super) type Known = (&'static str, Takes, Fate);

use Fate::{Ignored, NamesFile, Refused, Unsaid};
use Takes::{Nothing, Value};

const ADDRESSES: Fate = Refused("addresses in memory are not for an option to choose here");
const AUDIT: Fate =
    Refused("libraries that watch the loader have to be there when a process starts: set LD_AUDIT");
pub(super) const EMULATION: &str = "programs are made for Linux: elf_x86_64 and aarch64linux";
const FILTER: Fate = Refused("only a shared library can be a filter, and a program is made here");
const INPUT_NAMES: Fate = Refused("inputs are read under their own names");
const NO_PAGES: Fate =
    Refused("it takes static libraries alone, for a file without pages: use -static");
const OTHER_FILE: Fate = Refused("no such file is written here");

/// About how a file is laid out, stripped, compressed and described.
const FILE: &[Known] = &[
    ("A", Value, Ignored),
    ("architecture", Value, Ignored),
    ("EL", Nothing, Ignored),
    ("G", Value, Ignored),
    ("gpsize", Value, Ignored),
    ("S", Nothing, Ignored),
    ("strip-debug", Nothing, Ignored),
    ("s", Nothing, Ignored),
    ("strip-all", Nothing, Ignored),
    ("strip-debug-gdb", Nothing, Ignored),
    ("strip-debug-non-line", Nothing, Ignored),
    ("strip-discarded", Nothing, Ignored),
    ("no-strip-discarded", Nothing, Ignored),
    ("x", Nothing, Ignored),
    ("X", Nothing, Ignored),
    ("discard-all", Nothing, Ignored),
    ("discard-locals", Nothing, Ignored),
    ("discard-none", Nothing, Ignored),
    ("apply-dynamic-relocs", Nothing, Ignored),
    ("no-apply-dynamic-relocs", Nothing, Ignored),
    ("build-id", Nothing, Ignored),
    ("no-build-id", Nothing, Ignored),
    ("call-graph-ordering-file", Value, NamesFile),
    ("call-graph-profile-sort", Nothing, Ignored),
    ("check-sections", Nothing, Ignored),
    ("no-check-sections", Nothing, Ignored),
    ("compress-debug-sections", Value, Ignored),
    ("compress-sections", Value, Ignored),
    ("copy-dt-needed-entries", Nothing, Ignored),
    ("no-copy-dt-needed-entries", Nothing, Ignored),
    ("add-needed", Nothing, Ignored),
    ("no-add-needed", Nothing, Ignored),
    ("ctf-share-types", Value, Ignored),
    ("ctf-variables", Nothing, Ignored),
    ("no-ctf-variables", Nothing, Ignored),
    ("debug-names", Nothing, Ignored),
    ("no-debug-names", Nothing, Ignored),
    ("default-imported-symver", Nothing, Ignored),
    ("default-symver", Nothing, Ignored),
    ("eh-frame-hdr", Nothing, Ignored),
    ("no-eh-frame-hdr", Nothing, Ignored),
    ("emit-relocs", Nothing, Ignored),
    ("q", Nothing, Ignored),
    ("enable-non-contiguous-regions", Nothing, Ignored),
    ("enable-non-contiguous-regions-warnings", Nothing, Ignored),
    ("execute-only", Nothing, Ignored),
    ("no-execute-only", Nothing, Ignored),
    ("force-exe-suffix", Nothing, Ignored),
    ("force-group-allocation", Nothing, Ignored),
    ("gdb-index", Nothing, Ignored),
    ("no-gdb-index", Nothing, Ignored),
    ("h", Value, Ignored),
    ("soname", Value, Ignored),
    ("hash-size", Value, Ignored),
    ("hash-style", Value, Ignored),
    ("ld-generated-unwind-info", Nothing, Ignored),
    ("no-ld-generated-unwind-info", Nothing, Ignored),
    ("merge-exidx-entries", Nothing, Ignored),
    ("no-nmagic", Nothing, Ignored),
    ("no-omagic", Nothing, Ignored),
    ("no-dynamic-linker", Nothing, Ignored),
    ("O", Value, Ignored),
    ("pack-dyn-relocs", Value, Ignored),
    ("use-android-relr-tags", Nothing, Ignored),
    ("no-use-android-relr-tags", Nothing, Ignored),
    ("package-metadata", Nothing, Ignored),
    ("qmagic", Nothing, Ignored),
    ("relax", Nothing, Ignored),
    ("no-relax", Nothing, Ignored),
    ("retain-symbols-file", Value, NamesFile),
    ("rosegment", Nothing, Ignored),
    ("no-rosegment", Nothing, Ignored),
    ("xosegment", Nothing, Ignored),
    ("no-xosegment", Nothing, Ignored),
    ("section-ordering-file", Value, NamesFile),
    ("symbol-ordering-file", Value, NamesFile),
    ("sort-common", Nothing, Ignored),
    ("sort-section", Value, Ignored),
    ("shuffle-sections", Nothing, Ignored),
    ("reverse-sections", Nothing, Ignored),
    ("randomize-section-padding", Value, Ignored),
    ("spare-dynamic-tags", Value, Ignored),
    ("split-by-file", Nothing, Ignored),
    ("split-by-reloc", Nothing, Ignored),
    ("traditional-format", Nothing, Ignored),
    ("undefined-version", Nothing, Ignored),
    ("no-undefined-version", Nothing, Ignored),
    ("unique", Nothing, Ignored),
];

/// About messages, resources of the linker, other tools, and what is so in any case.
/// About code for AArch64. Errata of the first Cortex-A53 are not worked around.
const AARCH64: &[Known] = &[
    ("fix-cortex-a53-835769", Nothing, Ignored),
    ("no-fix-cortex-a53-835769", Nothing, Ignored),
    ("fix-cortex-a53-843419", Nothing, Ignored),
    ("no-fix-cortex-a53-843419", Nothing, Ignored),
    ("pic-veneer", Nothing, Ignored),
    ("stub-group-size", Value, Ignored),
];

const OTHERS: &[Known] = &[
    ("(", Nothing, Ignored),
    (")", Nothing, Ignored),
    ("start-group", Nothing, Ignored),
    ("end-group", Nothing, Ignored),
    ("Bsymbolic", Nothing, Ignored),
    ("Bsymbolic-functions", Nothing, Ignored),
    ("Bsymbolic-non-weak", Nothing, Ignored),
    ("Bsymbolic-non-weak-functions", Nothing, Ignored),
    ("Bno-symbolic", Nothing, Ignored),
    ("Qy", Nothing, Ignored),
    ("accept-unknown-input-arch", Nothing, Ignored),
    ("no-accept-unknown-input-arch", Nothing, Ignored),
    ("allow-shlib-undefined", Nothing, Ignored),
    ("no-allow-shlib-undefined", Nothing, Ignored),
    ("assert", Value, Ignored),
    ("color-diagnostics", Nothing, Ignored),
    ("no-color-diagnostics", Nothing, Ignored),
    ("cref", Nothing, Unsaid),
    ("d", Nothing, Ignored),
    ("dc", Nothing, Ignored),
    ("dp", Nothing, Ignored),
    ("demangle", Nothing, Ignored),
    ("no-demangle", Nothing, Ignored),
    ("dependent-libraries", Nothing, Ignored),
    ("no-dependent-libraries", Nothing, Ignored),
    ("disable-multiple-abs-defs", Nothing, Ignored),
    ("error-handling-script", Value, NamesFile),
    ("error-limit", Value, Ignored),
    ("fork", Nothing, Ignored),
    ("no-fork", Nothing, Ignored),
    ("fortran-common", Nothing, Ignored),
    ("no-fortran-common", Nothing, Ignored),
    ("g", Nothing, Ignored),
    ("gc-keep-exported", Nothing, Ignored),
    ("no-gc-keep-exported", Nothing, Ignored),
    ("gnu-unique", Nothing, Ignored),
    ("icf", Nothing, Ignored),
    ("no-icf", Nothing, Ignored),
    ("ignore-data-address-equality", Nothing, Ignored),
    ("ignore-function-address-equality", Nothing, Ignored),
    ("keep-unique", Value, Ignored),
    ("print-map-discarded", Nothing, Unsaid),
    ("no-print-map-discarded", Nothing, Ignored),
    ("map-whole-files", Nothing, Ignored),
    ("no-map-whole-files", Nothing, Ignored),
    ("mmap-output-file", Nothing, Ignored),
    ("no-mmap-output-file", Nothing, Ignored),
    ("max-cache-size", Value, Ignored),
    ("mllvm", Value, Ignored),
    ("no-keep-memory", Nothing, Ignored),
    ("no-warn-mismatch", Nothing, Ignored),
    ("no-warn-search-mismatch", Nothing, Ignored),
    ("nostdlib", Nothing, Ignored),
    ("perf", Nothing, Ignored),
    ("plugin", Value, Ignored),
    ("plugin-opt", Value, Ignored),
    ("plugin-save-temps", Nothing, Ignored),
    ("print-archive-stats", Value, Unsaid),
    ("print-gc-sections", Nothing, Unsaid),
    ("no-print-gc-sections", Nothing, Ignored),
    ("print-icf-sections", Nothing, Unsaid),
    ("no-print-icf-sections", Nothing, Ignored),
    ("print-memory-usage", Nothing, Unsaid),
    ("print-output-format", Nothing, Unsaid),
    ("print-symbol-order", Value, Unsaid),
    ("print-sysroot", Nothing, Unsaid),
    ("quick-exit", Nothing, Ignored),
    ("no-quick-exit", Nothing, Ignored),
    ("reduce-memory-overheads", Nothing, Ignored),
    ("save-temps", Nothing, Ignored),
    ("stats", Nothing, Unsaid),
    ("t", Nothing, Unsaid),
    ("trace", Nothing, Unsaid),
    ("target-help", Nothing, Unsaid),
    ("thread-count", Value, Ignored),
    ("threads", Nothing, Ignored),
    ("no-threads", Nothing, Ignored),
    ("time-trace", Nothing, Ignored),
    ("time-trace-granularity", Value, Ignored),
    ("w", Nothing, Ignored),
    ("no-warnings", Nothing, Ignored),
    ("y", Value, Unsaid),
    ("trace-symbol", Value, Unsaid),
];

/// What is not done here, and would be missed.
const REFUSED: &[Known] = &[
    ("EB", Nothing, Refused("this machine is little-endian")),
    (
        "N",
        Nothing,
        Refused("no page is writable and executable here"),
    ),
    (
        "omagic",
        Nothing,
        Refused("no page is writable and executable here"),
    ),
    ("n", Nothing, NO_PAGES),
    ("nmagic", Nothing, NO_PAGES),
    (
        "no-ctors-in-init-array",
        Nothing,
        Refused("constructors of both kinds run in one order here"),
    ),
    ("b", Value, Refused("only ELF objects are inputs here")),
    ("format", Value, Refused("only ELF objects are inputs here")),
    ("c", Value, Refused("MRI scripts are not supported")),
    (
        "mri-script",
        Value,
        Refused("MRI scripts are not supported"),
    ),
    ("f", Value, FILTER),
    ("auxiliary", Value, FILTER),
    ("F", Value, FILTER),
    ("filter", Value, FILTER),
    (
        "just-symbols",
        Value,
        Refused("addresses of another program mean nothing in this one"),
    ),
    (
        "oformat",
        Value,
        Refused("a program in memory has no other format"),
    ),
    ("m", Value, Refused(EMULATION)),
    ("section-start", Value, ADDRESSES),
    ("image-base", Value, ADDRESSES),
    ("Ttext", Value, ADDRESSES),
    ("Tdata", Value, ADDRESSES),
    ("Tbss", Value, ADDRESSES),
    ("Ttext-segment", Value, ADDRESSES),
    ("Trodata-segment", Value, ADDRESSES),
    ("Tldata-segment", Value, ADDRESSES),
    ("audit", Value, AUDIT),
    ("depaudit", Value, AUDIT),
    ("P", Value, AUDIT),
    ("Bgroup", Nothing, Refused("it is for shared libraries")),
    ("chroot", Value, INPUT_NAMES),
    ("C", Value, INPUT_NAMES),
    ("directory", Value, INPUT_NAMES),
    ("remap-inputs", Value, INPUT_NAMES),
    ("remap-inputs-file", Value, INPUT_NAMES),
    (
        "dynamic-list-data",
        Nothing,
        Refused("name the symbols: --export-dynamic-symbol, --dynamic-list"),
    ),
    (
        "no-define-common",
        Nothing,
        Refused("it is for shared libraries"),
    ),
    (
        "orphan-handling",
        Value,
        Refused("no script lays sections out here, so none is an orphan"),
    ),
    ("out-implib", Value, OTHER_FILE),
    ("repro", Nothing, OTHER_FILE),
    ("reproduce", Value, OTHER_FILE),
    (
        "run",
        Nothing,
        Refused("a linker is not called here: name the inputs"),
    ),
    (
        "task-link",
        Value,
        Refused("task-level linking is not supported"),
    ),
    ("undefined-glob", Value, Refused("name the symbols: -u")),
    (
        "version-exports-section",
        Value,
        Refused("it is for shared libraries"),
    ),
    ("Y", Value, Refused("name the directories: -L")),
];

/// Starts of names that belong to a family: of compilers that work while linking, and warnings.
const FAMILIES: &[&str] = &[
    "lto-",
    "no-lto-",
    "lto=",
    "flto",
    "fuse-ld",
    "thinlto-",
    "opt-remarks-",
    "plugin-opt=",
    "bp-",
    "warn-",
    "no-warn-",
    "fat-lto-objects",
    "no-fat-lto-objects",
];

/// The option of this name.
pub(super) fn find(name: &str) -> Option<Known> {
    let all = || FILE.iter().chain(AARCH64).chain(OTHERS).chain(REFUSED);
    if let Some(known) = all().find(|(known, ..)| *known == name) {
        return Some(*known);
    }
    let family = FAMILIES.iter().find(|family| name.starts_with(**family));
    family.map(|family| (*family, Nothing, Ignored))
}

/// The names of those that need no work here.
pub(super) fn accepted() -> impl Iterator<Item = &'static str> {
    let all = FILE.iter().chain(AARCH64).chain(OTHERS);
    all.map(|(name, ..)| *name)
}

/// The names of those that are refused.
pub(super) fn refused() -> impl Iterator<Item = &'static str> {
    REFUSED.iter().map(|(name, ..)| *name)
}

/// Keywords of `-z` that are about the file, or say what is so in any case; those that end with `=` take
/// a value.
const KEYWORDS: &[&str] = &[
    "call-nop=",
    "combreloc",
    "nocombreloc",
    "common",
    "nocommon",
    "common-page-size=",
    "max-page-size=",
    "extern-protected-data",
    "noextern-protected-data",
    "execstack-if-needed",
    "force-bti",
    "force-ibt",
    "global",
    "hazardplt",
    "ibt",
    "ibtplt",
    "ifunc-noplt",
    "indirect-extern-access",
    "noindirect-extern-access",
    "initfirst",
    "interpose",
    "keep-text-section-prefix",
    "nokeep-text-section-prefix",
    "lam-u48",
    "lam-u57",
    "lazy",
    "loadfltr",
    "now",
    "nodelete",
    "nodlopen",
    "nodump",
    "origin",
    "pac-plt",
    "pack-relative-relocs",
    "nopack-relative-relocs",
    "rel",
    "rela",
    "relro",
    "retpolineplt",
    "rodynamic",
    "sectionheader",
    "nosectionheader",
    "separate-code",
    "noseparate-code",
    "separate-loadable-segments",
    "shstk",
    "stack-size=",
    "start-stop-visibility=",
    "text",
    "notext",
    "textoff",
    "unique",
    "nounique",
    "unique-symbol",
    "nounique-symbol",
    "wxneeded",
    "x86-64-baseline",
    "x86-64-v2",
    "x86-64-v3",
    "x86-64-v4",
    "zicfilp=",
    "zicfiss=",
    "dead-reloc-in-nonalloc=",
];

/// Keywords that are refused, and why.
const REFUSED_KEYWORDS: &[(&str, &str)] = &[
    (
        "globalaudit",
        "libraries that watch the loader have to be there when a process starts: set LD_AUDIT",
    ),
    (
        "nodefaultlib",
        "the loader's default directories are those of this process",
    ),
    (
        "nognustack",
        "it makes stacks executable: say so, with -z execstack",
    ),
    (
        "noreloc-overflow",
        "a value that does not fit its field is an error here",
    ),
];

/// Keywords that ask for messages about objects, some of them with a value that makes errors of these.
const REPORTS: &[&str] = &[
    "bti-report=",
    "cet-report=",
    "lam-report=",
    "lam-u48-report=",
    "lam-u57-report=",
    "report-relative-reloc",
];

/// What becomes of a keyword of `-z`; nothing if it is unknown.
pub(super) fn keyword(keyword: &str) -> Option<Fate> {
    if let Some((_, why)) = REFUSED_KEYWORDS.iter().find(|(name, _)| *name == keyword) {
        return Some(Refused(why));
    }
    if REPORTS.iter().any(|report| keyword.starts_with(report)) {
        return Some(match keyword.split_once('=') {
            Some((_, "none")) => Ignored,
            Some((_, "error")) => Refused("objects are not asked for these properties"),
            _ => Unsaid,
        });
    }
    let is = |known: &&&str| match known.strip_suffix('=') {
        Some(_) => keyword.starts_with(**known),
        None => keyword == **known,
    };
    KEYWORDS.iter().find(is).map(|_| Ignored)
}
