//! What a linker of JIT'd code may rely on: what the archive defines, and what it is made of.

mod built;

use std::collections::BTreeSet;

use object::elf;
use object::read::archive::ArchiveFile;
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, RelocationFlags, SectionFlags};

/// The entry points: LLVM 22's for ELF, ours, and what Rust and C++ look for by name.
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
    "__orc_rt_ext_elfnix_close",
    "__orc_rt_ext_elfnix_deregister_fini_sections",
    "__orc_rt_ext_elfnix_finalize_ranges",
    "__orc_rt_ext_elfnix_initialize",
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
    "dlerror",
    "dlopen",
    "dlsym",
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

fn objects() -> Vec<ElfFile64<'static, Endianness>> {
    let archive = built::archive();
    let file = ArchiveFile::parse(archive).expect("an archive");
    let members = file.members().map(|member| {
        let data = member.expect("a member").data(archive).expect("its data");
        ElfFile64::parse(data).expect("an ELF object")
    });
    members.collect()
}

fn names(of: impl Fn(&object::read::elf::ElfSymbol64<'_, '_>) -> bool) -> BTreeSet<String> {
    let objects = objects();
    let symbols = objects.iter().flat_map(|object| object.symbols());
    let chosen = symbols.filter(|symbol| symbol.is_global() && of(symbol));
    chosen
        .map(|symbol| symbol.name().expect("a name").to_owned())
        .collect()
}

#[test]
fn it_is_small_and_has_one_member() {
    assert_eq!(objects().len(), 1);
    let size = built::archive().len();
    assert!(size < orc_rt_archive::SIZE_MAX, "{size} bytes");
}

#[test]
fn it_defines_the_entry_points_and_nothing_else() {
    let expected: BTreeSet<String> = ENTRY_POINTS.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(names(|symbol| symbol.is_definition()), expected);
}

#[test]
fn its_index_names_what_it_defines() {
    let file = ArchiveFile::parse(built::archive()).expect("an archive");
    let index = file.symbols().expect("an index").expect("an index");
    let indexed: BTreeSet<String> = index
        .map(|symbol| String::from_utf8_lossy(symbol.expect("a name").name()).into_owned())
        .collect();
    assert_eq!(indexed, names(|symbol| symbol.is_definition()));
}

#[test]
fn it_demands_little_of_the_process() {
    let unexpected: Vec<String> = names(|symbol| symbol.is_undefined())
        .into_iter()
        .filter(|name| !DEMANDS.contains(&name.as_str()) && !name.starts_with("pthread_"))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

#[test]
fn unwinders_are_optional() {
    for name in [
        "__register_frame",
        "__deregister_frame",
        "__unw_add_dynamic_eh_frame_section",
        "__unw_remove_dynamic_eh_frame_section",
    ] {
        assert!(
            names(|symbol| symbol.is_undefined() && symbol.is_weak()).contains(name),
            "{name}"
        );
    }
}

#[test]
fn it_has_only_relocations_that_every_linker_knows() {
    for object in objects() {
        for section in object.sections() {
            for (offset, relocation) in section.relocations() {
                let RelocationFlags::Elf { r_type } = relocation.flags() else {
                    panic!("not an ELF relocation");
                };
                let known = [
                    elf::R_X86_64_64,
                    elf::R_X86_64_PC32,
                    elf::R_X86_64_PLT32,
                    elf::R_X86_64_GOTPCREL,
                    elf::R_X86_64_GOTPCRELX,
                    elf::R_X86_64_REX_GOTPCRELX,
                ];
                let name = section.name().unwrap_or_default();
                assert!(known.contains(&r_type), "{r_type:?} at {name}+{offset:#x}");
            }
        }
    }
}

#[test]
fn it_has_no_thread_locals_constructors_or_writable_code() {
    for object in objects() {
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
