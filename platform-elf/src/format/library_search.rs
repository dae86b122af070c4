//! Searches in directories made for the purpose.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jit_core::graph::InputBytes;

use orc_inputs::input::{InputOpener, ReadFiles};
use orc_inputs::library_search::{FoundContent, FoundInput, LibraryChoice, LibrarySearch};

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("search-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, file: &str, content: &[u8]) {
        std::fs::write(self.0.join(file), content).unwrap();
    }

    fn copy_library(&self, file: &str) {
        std::fs::copy("/lib/x86_64-linux-gnu/libgcc_s.so.1", self.0.join(file)).unwrap();
    }

    fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn search(dirs: &[&Dir]) -> LibrarySearch {
    let mut search = LibrarySearch::new(super::only(), Arc::new(ReadFiles));
    for dir in dirs {
        search.add_directory(dir.text());
    }
    search
}

/// The files found, as "kind file-name", or the error.
fn found(search: &LibrarySearch, name: &str, choice: LibraryChoice) -> String {
    let inputs = match search.find(name, choice) {
        Ok(inputs) => inputs,
        Err(error) => return error.to_string(),
    };
    let show = |input: &FoundInput| {
        let kind = match &input.content {
            FoundContent::Object(_) => "object",
            FoundContent::Archive(_) => "archive",
            FoundContent::Shared(_) => "shared",
            FoundContent::Names(_) => "names",
        };
        let mark = if input.as_needed { "?" } else { "" };
        format!("{kind} {mark}{}", input.path.file_name().unwrap().display())
    };
    inputs.iter().map(show).collect::<Vec<_>>().join(", ")
}

const ARCHIVE: &[u8] = b"!<arch>\n";

#[test]
fn shared_before_static_in_each_directory() {
    let (a, b) = (Dir::new("order-a"), Dir::new("order-b"));
    a.write("libx.a", ARCHIVE);
    b.copy_library("libx.so");
    b.write("libx.a", ARCHIVE);
    let both = LibraryChoice::SharedFirst;
    assert_eq!(found(&search(&[&a, &b]), "x", both), "archive libx.a");
    assert_eq!(found(&search(&[&b, &a]), "x", both), "shared libx.so");
    let only = LibraryChoice::StaticOnly;
    assert_eq!(found(&search(&[&b, &a]), "x", only), "archive libx.a");
    assert_eq!(found(&search(&[&b]), ":libx.so", only), "shared libx.so");
}

#[test]
fn libraries_of_another_machine_are_passed_over() {
    let (a, b) = (Dir::new("foreign-a"), Dir::new("foreign-b"));
    let mut foreign = b"\x7fELF\x01\x01\x01".to_vec();
    foreign.extend([0; 9]);
    foreign.extend([3, 0, 3, 0]);
    a.write("libx.so", &foreign);
    b.copy_library("libx.so");
    let both = LibraryChoice::SharedFirst;
    assert_eq!(found(&search(&[&a, &b]), "x", both), "shared libx.so");
}

#[test]
fn scripts_stand_for_their_files() {
    let dir = Dir::new("script");
    dir.copy_library("real.so.1");
    dir.write("libextra.a", ARCHIVE);
    dir.write("libx.so", b"GROUP(real.so.1 AS_NEEDED(real.so.1 -lextra))");
    dir.write("libloop.so", b"INPUT(-lloop)");
    dir.write("libgone.so", b"INPUT(gone.o)");
    dir.write("libbad.so", b"SECTIONS { }");
    let search = search(&[&dir]);
    let both = LibraryChoice::SharedFirst;
    assert_eq!(
        found(&search, "x", both),
        "shared real.so.1, shared ?real.so.1, archive ?libextra.a"
    );
    assert!(found(&search, "loop", both).contains("name each other"));
    assert!(found(&search, "gone", both).contains("names gone.o, which cannot be opened: no such"));
    assert!(found(&search, "bad", both).contains("libbad.so: linker script statement `SECTIONS`"));
}

#[test]
fn what_is_missing_is_explained() {
    let dir = Dir::new("missing");
    dir.copy_library("libnear.so.7");
    let error = found(&search(&[&dir]), "near", LibraryChoice::SharedFirst);
    assert!(error.starts_with("cannot find -lnear (there is"), "{error}");
    assert!(error.contains("use -l:libnear.so.7"), "{error}");
    assert!(error.contains("/usr/lib/x86_64-linux-gnu"), "{error}");
    let open = search(&[]).open(dir.0.as_path(), LibraryChoice::SharedFirst);
    assert!(open.err().unwrap().to_string().contains("is a directory"));
}

#[test]
fn the_systems_libraries() {
    let search = search(&[]);
    assert_eq!(
        search.find_soname("libm.so.6").unwrap().loader_name(),
        "libm.so.6"
    );
    assert!(search.find_soname("libnothing.so.6").is_none());
    let both = LibraryChoice::SharedFirst;
    assert_eq!(
        found(&search, "c", both),
        "shared libc.so.6, archive libc_nonshared.a, shared ?ld-linux-x86-64.so.2"
    );
    assert!(found(&search, "gcc", both).starts_with("cannot find -lgcc"));
    let mut asking = self::search(&[]);
    asking.ask_compiler("cc");
    assert_eq!(found(&asking, "gcc", both), "archive libgcc.a");
}

#[test]
fn sysroot_marks() {
    let dir = Dir::new("root");
    std::fs::create_dir_all(dir.0.join("usr/lib")).unwrap();
    dir.copy_library("usr/lib/libreal.so");
    dir.write("usr/lib/libx.so", b"INPUT(=/usr/lib/libreal.so)");
    dir.write("usr/lib/liby.so", b"INPUT(/usr/lib/libreal.so)");
    let mut search = search(&[]);
    search.set_sysroot(&dir.0);
    let both = LibraryChoice::SharedFirst;
    assert_eq!(found(&search, "x", both), "shared libreal.so");
    assert_eq!(found(&search, "y", both), "shared libreal.so");
}

/// Counts what is opened.
#[derive(Default)]
struct Counting(AtomicUsize);

impl InputOpener for Counting {
    fn open(&self, path: &Path) -> std::io::Result<Arc<dyn InputBytes>> {
        let opened = ReadFiles.open(path)?;
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(opened)
    }
}

#[test]
fn what_scripts_name_again_and_again_is_opened_once() {
    let dir = Dir::new("often");
    dir.copy_library("libreal.so");
    dir.write("libother.a", ARCHIVE);
    let often = "-lreal real.ld -lother ".repeat(50_000);
    dir.write("libx.so", format!("INPUT({often})").as_bytes());
    dir.write(
        "real.ld",
        format!("INPUT({})", "-lreal ".repeat(1000)).as_bytes(),
    );
    let opener = Arc::new(Counting::default());
    let mut search = LibrarySearch::new(super::only(), opener.clone());
    search.add_directory(dir.text());
    assert_eq!(
        found(&search, "x", LibraryChoice::SharedFirst),
        "shared libreal.so, archive libother.a, shared libreal.so, archive libother.a"
    );
    assert_eq!(opener.0.load(Ordering::Relaxed), 4);
}

#[test]
fn names_of_files_do_not_command_terminals() {
    let dir = Dir::new("terminal");
    dir.write("a\x1b[2J\nb.o", b"\0asm\x01\0\0\0");
    let opened = search(&[]).open(&dir.0.join("a\x1b[2J\nb.o"), LibraryChoice::SharedFirst);
    let error = opened.err().expect("it is no object").to_string();
    assert!(
        error.contains(r"/a\x1b[2J\nb.o: is a WebAssembly"),
        "{error}"
    );
    let error = found(&search(&[&dir]), "\x1b[2J", LibraryChoice::SharedFirst);
    assert!(error.starts_with(r"cannot find -l\x1b[2J"), "{error}");
}
