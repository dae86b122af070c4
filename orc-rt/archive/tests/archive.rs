//! What a linker of JIT'd code may rely on: what the archive defines, and what it is made of.

mod built;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::OnceLock;

use object::elf;
use object::read::archive::ArchiveFile;
use object::read::elf::ElfFile64;
use object::{
    Architecture, Endianness, Object, ObjectSection, ObjectSymbol, RelocationFlags, SectionFlags,
};
use orc_shared::names::darwin;

/// The entry points: LLVM 22's for ELF, ours, and what Rust and C++ look for by name. Functions of macOS come on top.
const ENTRY_POINTS: &[&str] = &[
    "___orc_rt_elfnix_tls_get_addr",
    "___orc_rt_elfnix_tlsdesc_resolver",
    "__cxa_thread_atexit",
    "__orc_rt_elfnix_atexit",
    "__orc_rt_elfnix_create_pthread_key",
    "__orc_rt_elfnix_cxa_atexit",
    "__orc_rt_elfnix_cxa_finalize",
    "__orc_rt_elfnix_deregister_init_sections",
    "__orc_rt_elfnix_deregister_jitdylib",
    "__orc_rt_elfnix_deregister_object_sections",
    "__orc_rt_elfnix_jit_dlclose",
    "__orc_rt_elfnix_jit_dlerror",
    "__orc_rt_elfnix_jit_dlopen",
    "__orc_rt_elfnix_jit_dlsym",
    "__orc_rt_elfnix_jit_dlupdate",
    "__orc_rt_elfnix_platform_bootstrap",
    "__orc_rt_elfnix_platform_shutdown",
    "__orc_rt_elfnix_push_initializers_tag",
    "__orc_rt_elfnix_register_init_sections",
    "__orc_rt_elfnix_register_jitdylib",
    "__orc_rt_elfnix_register_object_sections",
    "__orc_rt_elfnix_libc_start_main",
    "__orc_rt_elfnix_run_program",
    "__orc_rt_elfnix_symbol_lookup_tag",
    "__orc_rt_ext_dlclose",
    "__orc_rt_ext_dlerror",
    "__orc_rt_ext_dlinfo",
    "__orc_rt_ext_dlopen",
    "__orc_rt_ext_dlsym",
    "__orc_rt_ext_dlupdate",
    "__orc_rt_ext_dlvsym",
    "__orc_rt_ext_elfnix_close",
    "__orc_rt_ext_elfnix_deregister_data",
    "__orc_rt_ext_elfnix_deregister_fini_sections",
    "__orc_rt_ext_elfnix_finalize_ranges",
    "__orc_rt_ext_elfnix_initialize",
    "__orc_rt_ext_elfnix_register_data",
    "__orc_rt_ext_elfnix_register_fini_sections",
    "__orc_rt_ext_elfnix_remove_ranges",
    "__orc_rt_ext_elfnix_run_main",
    "__orc_rt_ext_elfnix_set_arguments",
    "__orc_rt_ext_elfnix_set_exit_services",
    "__orc_rt_jit_dlclose_wrapper",
    "__orc_rt_jit_dlerror_wrapper",
    "__orc_rt_jit_dlopen_wrapper",
    "__orc_rt_jit_dlupdate_wrapper",
    "__orc_rt_log_error_to_stderr",
    "__orc_rt_reoptimize",
    "__orc_rt_reoptimize_tag",
    "__orc_rt_resolve",
    "__orc_rt_resolve_tag",
    "__orc_rt_run_program_wrapper",
    "__orc_rt_sysv_reenter",
    "rust_eh_personality",
];

/// What the process and the controller have to offer. A new name here is a new demand on them.
const DEMANDS: &[&str] = &[
    "_Unwind_Resume",
    "__deregister_frame",
    "__errno_location",
    "__orc_rt_jit_dispatch",
    "__orc_rt_jit_dispatch_ctx",
    "__register_frame",
    "__unw_add_dynamic_eh_frame_section",
    "__unw_remove_dynamic_eh_frame_section",
    "abort",
    "bcmp",
    "close",
    "dl_iterate_phdr",
    "dlclose",
    "dlerror",
    "dlinfo",
    "dlopen",
    "dlsym",
    "dlvsym",
    "exit",
    "free",
    "malloc",
    "mallopt",
    "memcpy",
    "memmove",
    "memset",
    "mmap",
    "mprotect",
    "munmap",
    "open",
    "posix_memalign",
    "read",
    "sigaltstack",
    "strlen",
    "syscall",
    "write",
];

/// What the C library has to offer besides, because functions of macOS are made of these. glibc has them all.
const DEMANDS_FOR_MACOS: &[&str] = &[
    "__ctype_get_mb_cur_max",
    "__vsnprintf_chk",
    "__vsprintf_chk",
    "btowc",
    "calloc",
    "clock_getres",
    "clock_gettime",
    "closedir",
    "confstr",
    "dirfd",
    "dprintf",
    "execv",
    "execve",
    "execvp",
    "fchmodat",
    "fcntl",
    "fdopendir",
    "freelocale",
    "fstat",
    "fstatfs",
    "fstatvfs",
    "futimes",
    "getpid",
    "getrandom",
    "ioctl",
    "iswctype_l",
    "kill",
    "localeconv",
    "lstat",
    "malloc_usable_size",
    "mbrlen",
    "mbrtowc",
    "mbsnrtowcs",
    "mbsrtowcs",
    "mbtowc",
    "newlocale",
    "openat",
    "opendir",
    "qsort_r",
    "raise",
    "readdir",
    "realloc",
    "rewinddir",
    "seekdir",
    "sem_open",
    "sendfile",
    "setlocale",
    "shm_open",
    "signal",
    "srand",
    "stat",
    "statfs",
    "statvfs",
    "strcoll_l",
    "strftime_l",
    "strnlen",
    "strtod_l",
    "strtof_l",
    "strtold_l",
    "strxfrm_l",
    "sysconf",
    "telldir",
    "towlower",
    "towlower_l",
    "towupper",
    "towupper_l",
    "unlinkat",
    "uselocale",
    "utimensat",
    "utimes",
    "vasprintf",
    "vdprintf",
    "verr",
    "verrx",
    "vfprintf",
    "vfscanf",
    "vfwprintf",
    "vfwscanf",
    "vprintf",
    "vscanf",
    "vsnprintf",
    "vsprintf",
    "vsscanf",
    "vswprintf",
    "vswscanf",
    "vsyslog",
    "vwarn",
    "vwarnx",
    "vwprintf",
    "vwscanf",
    "wcrtomb",
    "wcscoll_l",
    "wcsnrtombs",
    "wcsxfrm_l",
    "wctob",
    "wctype_l",
];

const ON_X86_64: &[elf::RelocationType] = &[
    elf::R_X86_64_64,
    elf::R_X86_64_PC32,
    elf::R_X86_64_PLT32,
    elf::R_X86_64_GOTPCREL,
    elf::R_X86_64_GOTPCRELX,
    elf::R_X86_64_REX_GOTPCRELX,
];

const ON_AARCH64: &[elf::RelocationType] = &[
    elf::R_AARCH64_ABS64,
    elf::R_AARCH64_PREL32,
    elf::R_AARCH64_PREL64,
    elf::R_AARCH64_CALL26,
    elf::R_AARCH64_JUMP26,
    elf::R_AARCH64_ADR_PREL_PG_HI21,
    elf::R_AARCH64_ADD_ABS_LO12_NC,
    elf::R_AARCH64_LDST8_ABS_LO12_NC,
    elf::R_AARCH64_LDST16_ABS_LO12_NC,
    elf::R_AARCH64_LDST32_ABS_LO12_NC,
    elf::R_AARCH64_LDST64_ABS_LO12_NC,
    elf::R_AARCH64_LDST128_ABS_LO12_NC,
    elf::R_AARCH64_ADR_GOT_PAGE,
    elf::R_AARCH64_LD64_GOT_LO12_NC,
];

/// The archives to look at: that of this machine, and that for AArch64 where it was built (`xtask cross`).
fn archives() -> Vec<&'static [u8]> {
    static CROSS: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    let cross = CROSS.get_or_init(|| {
        let targets = PathBuf::from(std::env::var_os("ORC_JIT_TARGETS")?);
        std::fs::read(targets.join("aarch64/liborc_rt.a")).ok()
    });
    let cross = cross.as_deref();
    [built::archive()].into_iter().chain(cross).collect()
}

fn objects(archive: &'static [u8]) -> Vec<ElfFile64<'static, Endianness>> {
    let file = ArchiveFile::parse(archive).expect("an archive");
    let members = file.members().map(|member| {
        let data = member.expect("a member").data(archive).expect("its data");
        ElfFile64::parse(data).expect("an ELF object")
    });
    members.collect()
}

fn names(
    archive: &'static [u8],
    of: impl Fn(&object::read::elf::ElfSymbol64<'_, '_>) -> bool,
) -> BTreeSet<String> {
    let objects = objects(archive);
    let symbols = objects.iter().flat_map(|object| object.symbols());
    let chosen = symbols.filter(|symbol| symbol.is_global() && of(symbol));
    chosen
        .map(|symbol| symbol.name().expect("a name").to_owned())
        .collect()
}

#[test]
fn it_is_small_and_functions_of_macos_are_apart() {
    for archive in archives() {
        let file = ArchiveFile::parse(archive).expect("an archive");
        let names = file
            .members()
            .map(|member| member.expect("a member").name().to_vec());
        let names: Vec<Vec<u8>> = names.collect();
        assert_eq!(names, [&b"orc_rt.o"[..], b"orc_rt_darwin.o"]);
        let [runtime, darwin] = &objects(archive)[..] else {
            panic!("two objects");
        };
        let of_macos = |symbol: &object::read::elf::ElfSymbol64<'_, '_>| {
            symbol
                .name_bytes()
                .expect("a name")
                .starts_with(darwin::PREFIX.as_bytes())
        };
        let of_runtime = runtime.symbols().filter(|symbol| symbol.is_global());
        assert!(!of_runtime.into_iter().any(|symbol| of_macos(&symbol)));
        let defined = darwin
            .symbols()
            .filter(|symbol| symbol.is_global() && symbol.is_definition());
        assert!(defined.into_iter().all(|symbol| of_macos(&symbol)));
    }
}

#[test]
fn it_defines_the_entry_points_and_nothing_else() {
    for archive in archives() {
        let of_cpu = match objects(archive)[0].architecture() {
            Architecture::Aarch64 => darwin::ADAPTED_ON_AARCH64,
            _ => &[],
        };
        let of_macos = darwin::ADAPTED.iter().chain(of_cpu);
        let expected = ENTRY_POINTS.iter().chain(of_macos.map(|(_, name)| name));
        let expected: BTreeSet<String> = expected.map(|&name| name.to_owned()).collect();
        assert_eq!(names(archive, |symbol| symbol.is_definition()), expected);
    }
}

#[test]
fn its_index_names_what_it_defines() {
    for archive in archives() {
        let file = ArchiveFile::parse(archive).expect("an archive");
        let index = file.symbols().expect("an index").expect("an index");
        let indexed: BTreeSet<String> = index
            .map(|symbol| String::from_utf8_lossy(symbol.expect("a name").name()).into_owned())
            .collect();
        assert_eq!(indexed, names(archive, |symbol| symbol.is_definition()));
    }
}

#[test]
fn it_demands_little_of_the_process() {
    let all = archives().into_iter();
    let undefined = all.flat_map(|archive| names(archive, |symbol| symbol.is_undefined()));
    let unexpected: Vec<String> = undefined
        .filter(|name| !DEMANDS.contains(&name.as_str()) && !name.starts_with("pthread_"))
        .filter(|name| !DEMANDS_FOR_MACOS.contains(&name.as_str()))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

#[test]
fn unwinders_are_optional() {
    for archive in archives() {
        let weak = names(archive, |symbol| symbol.is_undefined() && symbol.is_weak());
        for name in [
            "__register_frame",
            "__deregister_frame",
            "__unw_add_dynamic_eh_frame_section",
            "__unw_remove_dynamic_eh_frame_section",
        ] {
            assert!(weak.contains(name), "{name}");
        }
    }
}

#[test]
fn it_has_only_relocations_that_every_linker_knows() {
    for object in archives().into_iter().flat_map(objects) {
        for section in object.sections() {
            for (offset, relocation) in section.relocations() {
                let RelocationFlags::Elf { r_type } = relocation.flags() else {
                    panic!("not an ELF relocation");
                };
                let known = match object.architecture() {
                    Architecture::Aarch64 => ON_AARCH64,
                    _ => ON_X86_64,
                };
                let name = section.name().unwrap_or_default();
                assert!(known.contains(&r_type), "{r_type:?} at {name}+{offset:#x}");
            }
        }
    }
}

#[test]
fn it_has_no_thread_locals_constructors_or_writable_code() {
    for object in archives().into_iter().flat_map(objects) {
        for section in object.sections() {
            let name = section.name().expect("a name");
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
                panic!("not an ELF section");
            };
            assert!(!sh_flags.contains(elf::SHF_TLS), "{name}");
            let both = elf::SHF_WRITE | elf::SHF_EXECINSTR;
            assert!(!sh_flags.contains(both), "{name}");
            assert!(
                !name.contains("_array") && !name.starts_with(".ctors"),
                "{name}"
            );
        }
    }
}
