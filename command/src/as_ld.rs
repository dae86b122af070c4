//! Called in the place of `ld` itself, as compiler drivers do: `gcc -B DIRECTORY` with a link named `ld`,
//! `clang -fuse-ld=PATH`.
//!
//! The words are the linker's then, and name everything: start-up files, and the compiler's and the system's
//! libraries. They are put in the words of a driver, which is what the rest of this command understands.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::driver_libraries::is_start_file;
use super::link_cpu;
use super::link_line::InputName;

/// Whether the words, the command's name first, are a driver's to the linker: by that name, or because they
/// say which emulation they want, as those of gcc and clang do, and libtool's.
pub(super) fn is_call(args: &[OsString]) -> bool {
    let name = args.first().map(|name| named(name)).unwrap_or_default();
    let emulation = |words: &[OsString]| {
        let named = words[1].to_str().and_then(link_cpu::named);
        words[0] == "-m" && named.is_some()
    };
    let joined = |word: &OsString| {
        let emulation = word.to_str().and_then(|word| word.strip_prefix("-m"));
        emulation.and_then(link_cpu::named).is_some()
    };
    let says_so = args.windows(2).any(emulation) || args.iter().any(joined);
    name == "ld" || name.starts_with("ld.") || says_so
}

/// A linker's command line in the words of a compiler driver.
pub(super) fn in_words_of_a_driver(args: &[OsString]) -> Vec<OsString> {
    let is_static = args.iter().any(|word| word == "-static");
    let has_start_files = args.iter().any(|word| named(word).ends_with("crt1.o"));
    let has_libraries = args.iter().any(|word| word == "-lc");
    let mut words: Vec<OsString> = Vec::new();
    if is_static {
        words.push("-static".into());
    }
    if is_static || !has_start_files {
        words.push("-nostartfiles".into());
    }
    if is_static || !has_libraries {
        words.push("-nodefaultlibs".into());
    }
    for word in args {
        let is_part = |word: &OsString| {
            let name = InputName::File(word.into());
            !is_option(word) && is_start_file(&name, is_static)
        };
        if is_part(word) || word == "-static" {
            continue;
        }
        words.push("-Xlinker".into());
        words.push(relocated_already(word));
    }
    words
}

/// The start-up file for programs that relocate themselves has a twin for others, and here no program does.
fn relocated_already(word: &OsString) -> OsString {
    match named(word) {
        "rcrt1.o" => Path::new(word).with_file_name("crt1.o").into_os_string(),
        _ => word.clone(),
    }
}

fn is_option(word: &OsStr) -> bool {
    word.to_str().is_some_and(|word| word.starts_with('-'))
}

fn named(word: &OsStr) -> &str {
    let name = Path::new(word).file_name();
    name.and_then(OsStr::to_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    fn of(line: &str) -> String {
        let words = in_words_of_a_driver(&words(line)).into_iter();
        let words: Vec<String> = words.map(|word| word.into_string().unwrap()).collect();
        words.join(" ").replace("-Xlinker ", "~")
    }

    #[test]
    fn a_call_of_a_driver_is_known_by_name_or_emulation() {
        assert!(is_call(&words("orc-jit -pie -m elf_x86_64 -o a.out a.o")));
        assert!(is_call(&words("orc-jit -pie -m aarch64linux -o a.out a.o")));
        assert!(is_call(&words("orc-jit -EL -maarch64linux -o a.out a.o")));
        assert!(is_call(&words("bin/ld -o a.out a.o")) && is_call(&words("ld.orc --version")));
        assert!(!is_call(&words("orc-jit -m64 -o a.out a.o")) && !is_call(&words("old -m")));
    }

    #[test]
    fn what_a_driver_adds_is_left_to_the_platform() {
        assert_eq!(
            of("-m elf_x86_64 -pie -o x /l/Scrt1.o /l/crti.o a.o -lc /l/crtendS.o /l/crtn.o"),
            "~-m ~elf_x86_64 ~-pie ~-o ~x ~a.o ~-lc"
        );
        assert_eq!(of("-o x a.o"), "-nostartfiles -nodefaultlibs ~-o ~x ~a.o");
        assert_eq!(
            of("-static -pie /l/rcrt1.o /l/crti.o /g/crtbeginS.o a.o -lc"),
            "-static -nostartfiles -nodefaultlibs ~-pie ~/l/crt1.o ~/l/crti.o ~a.o ~-lc"
        );
    }
}
