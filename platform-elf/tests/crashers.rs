//! What fuzzing has crashed once: files of `fuzz/crashers/TARGET`, each through its target's entry.

use std::fs;
use std::path::Path;

use orc_inputs::{linker_script, symbol_list};
use platform_elf::{archive, object, shared_library};

type Entry = fn(&[u8]);

/// The fuzz targets and what they call.
const TARGETS: [(&str, Entry); 5] = [
    ("object", object::fuzz_object),
    ("archive", archive::fuzz_archive),
    ("shared_library", shared_library::fuzz_library),
    ("symbol_list", symbol_list::fuzz_symbol_list),
    ("linker_script", |bytes| {
        let _ = linker_script::looks_like_script(bytes);
        if let Ok(text) = std::str::from_utf8(bytes) {
            let _ = linker_script::parse(text, "script");
        }
    }),
];

#[test]
fn what_crashed_once_is_an_error_or_an_object_now() {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/crashers");
    let mut count = 0;
    for directory in fs::read_dir(&all).expect("there are crashers") {
        let directory = directory.expect("it can be read");
        let name = directory.file_name();
        if name == "macho_object" {
            // Those of the other platform's reader.
            continue;
        }
        let entry = TARGETS.iter().find(|(target, _)| name == *target);
        let (_, entry) = entry.unwrap_or_else(|| panic!("{name:?} is no target"));
        for file in fs::read_dir(directory.path()).expect("a directory") {
            let path = file.expect("it can be read").path();
            println!("{}", path.display());
            entry(&fs::read(path).expect("it can be read"));
            count += 1;
        }
    }
    assert!(count > 0, "no crasher was found");
}
