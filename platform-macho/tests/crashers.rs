//! What fuzzing has crashed once: files of `fuzz/crashers/macho_object`.

use std::fs;
use std::path::Path;

use platform_macho::object::fuzz_object;

#[test]
fn what_crashed_once_is_an_error_or_an_object_now() {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/crashers/macho_object");
    // There is no such directory before the first crash.
    for file in fs::read_dir(&all).into_iter().flatten() {
        let path = file.expect("it can be read").path();
        println!("{}", path.display());
        fuzz_object(&fs::read(path).expect("it can be read"));
    }
}
