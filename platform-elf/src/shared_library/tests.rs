//! Libraries made by the system's compiler, looked into by name.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::Command;

use jit_core::executor::api::NativeKind;
use jit_core::native::NativeLibrary;

use orc_inputs::input::OwnedBytes;

use super::SharedLibrary;

const SOURCE: &str = r#"
    int old_f(void) { return 1; }
    int new_f(void) { return 2; }
    __asm__(".symver old_f, f@V1");
    __asm__(".symver new_f, f@@V2");
    int g_old(void) { return 3; }
    __asm__(".symver g_old, g@V1");
    char data[40] = {1};
    extern int alias __attribute__((alias("data")));
    const int constant = 7;
    void *const relro = &data;
    __thread int tls = 3;
    static int chosen(void) { return 4; }
    static void *choose(void) { return chosen; }
    int indirect(void) __attribute__((ifunc("choose")));
    __attribute__((visibility("protected"))) int kept = 5;
    extern int missing(void);
    int calls(void) { return missing(); }
"#;

fn build(flags: &[&str]) -> SharedLibrary {
    let bytes = compile(SOURCE, flags);
    let input = std::sync::Arc::new(OwnedBytes::from(bytes));
    SharedLibrary::new(std::path::Path::new("/tmp/libl.so"), input).unwrap()
}

/// The library that a source becomes.
fn compile(source: &str, flags: &[&str]) -> Vec<u8> {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let dir: PathBuf =
        std::env::temp_dir().join(format!("shared-library-{}-{count}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("l.c"), source).unwrap();
    std::fs::write(dir.join("l.map"), "V1 {}; V2 {};").unwrap();
    let out = dir.join("libl.so");
    let done = Command::new("cc")
        .current_dir(&dir)
        .args(["-shared", "-fPIC", "-Wl,--version-script=l.map", "l.c"])
        .args(flags)
        .arg("-o")
        .arg(&out)
        .status()
        .unwrap();
    assert!(done.success());
    let bytes = std::fs::read(&out).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    bytes
}

fn check_kinds(library: &SharedLibrary) {
    let find = |name: &str| library.find(name.as_bytes());
    assert_eq!(find("f").unwrap().kind, NativeKind::Function);
    assert!(find("indirect").unwrap().indirect);
    assert_eq!(find("tls").unwrap().kind, NativeKind::ThreadLocal);
    let data = find("data").unwrap();
    assert_eq!((data.kind, data.size), (NativeKind::Data, 40));
    assert!(data.align >= 8 && !data.read_only);
    assert!(find("constant").unwrap().read_only);
    assert_eq!(find("constant").unwrap().align, 4);
    assert!(find("relro").unwrap().read_only);
    assert!(find("missing").is_none() && find("chosen").is_none() && find("no").is_none());
}

fn check_versions(library: &SharedLibrary) {
    let addr = |name: &str| library.find(name.as_bytes()).map(|s| s.file_addr);
    assert_eq!(library.version(b"f").unwrap(), b"V2");
    assert_eq!(addr("f"), addr("f@V2"));
    assert_eq!(addr("f"), addr("f@@V2"));
    assert!(addr("f@V1").is_some() && addr("f@V1") != addr("f"));
    assert_eq!(addr("g"), None);
    assert!(addr("g@V1").is_some());
    assert_eq!(addr("f@V3"), None);
    assert_eq!(library.version(b"data"), None);
}

#[test]
fn names_are_found_through_either_hash_table() {
    for style in ["-Wl,--hash-style=gnu", "-Wl,--hash-style=sysv"] {
        let library = build(&[style]);
        check_kinds(&library);
        check_versions(&library);
    }
}

#[test]
fn aliases_share_an_address() {
    let library = build(&[]);
    let mut aliases = Vec::new();
    let addr = library.find(b"data").unwrap().file_addr;
    library.for_each_alias(addr, &mut |name| aliases.push(name.to_vec()));
    aliases.sort();
    assert_eq!(aliases, [b"alias".to_vec(), b"data".to_vec()]);
}

#[test]
fn protected_definitions_cannot_be_interposed() {
    let library = build(&["-Wl,--hash-style=gnu"]);
    let mut names = Vec::new();
    library.for_each_interposable(&mut |name| names.push(name.to_vec()));
    assert!(names.contains(&b"missing".to_vec()) && names.contains(&b"data".to_vec()));
    assert!(!names.contains(&b"kept".to_vec()));
    assert!(library.find(b"kept").is_some());
}

#[test]
fn interposable_names_are_walked_and_looked_up_alike() {
    for path in ["libc.so.6", "libm.so.6", "libgcc_s.so.1"] {
        let path = format!("/lib/x86_64-linux-gnu/{path}");
        let library = SharedLibrary::open(path.as_ref()).unwrap();
        let mut undefined = HashSet::new();
        library.for_each_undefined(&mut |name| {
            undefined.insert(name.to_vec());
        });
        let mut walked = 0;
        library.for_each_interposable(&mut |name| {
            walked += 1;
            assert!(library.defines_interposable(name) || undefined.remove(name));
        });
        assert!(undefined.is_empty() && walked > 100);
        assert!(walked <= library.interposable_count());
        assert!(!library.defines_interposable(b"no_library_has_this"));
    }
    let library = build(&["-Wl,--hash-style=gnu"]);
    assert!(library.defines_interposable(b"data") && !library.defines_interposable(b"kept"));
    let without_table = build(&["-Wl,--hash-style=sysv"]);
    assert_eq!(without_table.interposable_count(), 0);
}

#[test]
fn names_and_needs() {
    let library = build(&["-Wl,-soname,libother.so.3", "-Wl,--no-as-needed"]);
    assert_eq!(library.loader_name(), "libother.so.3");
    assert!(library.path().ends_with("/libl.so"));
    assert_eq!(library.needed(), ["libc.so.6"]);
    assert_eq!(library.name_elsewhere(), library.loader_name());
    let nameless = build(&[]);
    assert_eq!(nameless.loader_name(), nameless.path());
    assert_eq!(nameless.name_elsewhere(), "libl.so");
}

#[test]
fn the_c_library_offers_its_default_versions() {
    let libc = SharedLibrary::open("/lib/x86_64-linux-gnu/libc.so.6".as_ref()).unwrap();
    assert_eq!(libc.version(b"memcpy").unwrap(), b"GLIBC_2.14");
    assert!(libc.find(b"memcpy").unwrap().indirect);
    assert!(libc.find(b"memcpy@GLIBC_2.2.5").is_some());
    assert_eq!(
        libc.find(b"environ").map(|s| s.file_addr),
        libc.find(b"__environ").map(|s| s.file_addr)
    );
    assert!(libc.find(b"main").is_none());
}

#[test]
fn damaged_files_are_refused_and_never_panic() {
    let whole = std::fs::read("/lib/x86_64-linux-gnu/libgcc_s.so.1").unwrap();
    for length in (0..whole.len()).step_by(997) {
        let input = std::sync::Arc::new(OwnedBytes::from(whole[..length].to_vec()));
        if let Ok(library) = SharedLibrary::new("cut.so".as_ref(), input) {
            let _ = (library.find(b"_Unwind_Resume"), library.needed());
            library.for_each_interposable(&mut |_| ());
        }
    }
    let error = SharedLibrary::open("/bin/sh".as_ref()).err().unwrap();
    assert!(error.to_string().contains("is an executable"), "{error}");
}

#[test]
fn names_that_overlap_in_their_table_are_a_fault() {
    use object::read::elf::ElfFile64;
    use object::{LittleEndian, Object as _, ObjectSection as _};
    let functions: String = (0..4000)
        .map(|n| format!("void f{n}(void) {{}}\n"))
        .collect();
    let mut bytes = compile(&functions, &[]);
    let file = ElfFile64::<LittleEndian>::parse(&*bytes).unwrap();
    let range = |name| file.section_by_name(name).unwrap().file_range().unwrap();
    let (symbols, strings) = (range(".dynsym"), range(".dynstr"));
    let soname = strings.1 as usize - 64;
    let count = symbols.1 as usize / 24;
    assert!(count < soname);
    bytes[strings.0 as usize + 1..][..soname].fill(b'x');
    for index in 1..count {
        let at = symbols.0 as usize + 24 * index;
        bytes[at..at + 4].copy_from_slice(&(index as u32).to_le_bytes());
    }
    let input = std::sync::Arc::new(OwnedBytes::from(bytes));
    let library = SharedLibrary::new(std::path::Path::new("/l.so"), input).unwrap();
    assert_eq!(library.fault(), None);
    let mut called = 0;
    library.for_each_interposable(&mut |_| called += 1);
    assert!(called < count / 2, "{called} of {count}");
    assert!(library.fault().unwrap().contains("overlap"));
}
