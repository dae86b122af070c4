//! Images that are written and read again.

use orc_inputs::input::OwnedBytes;

use super::contents::{File, Index};
use super::*;
use crate::link_line::InputName;
use crate::sources::Language;
use crate::surroundings::{Became, Compiled, Surroundings as _};

fn file(path: &str, bytes: &[u8]) -> File {
    File {
        path: path.into(),
        bytes: Arc::new(OwnedBytes::from(bytes.to_vec())),
    }
}

fn written(files: &[File], index: &Index) -> Arc<dyn InputBytes> {
    let index = index.text(files);
    let mut image = Vec::new();
    contents::write(&mut image, files, &index).unwrap();
    assert_eq!(image.len() as u64, contents::size(files, &index));
    Arc::new(OwnedBytes::from(image))
}

#[test]
fn what_is_written_is_read_back() {
    let files = [
        file("/b/a b.o", b"object"),
        file("/b/empty", b""),
        file("/b/l.a", &[7; 5000]),
    ];
    let index = Index {
        arguments: ["a b.o", "-Ll", "-lz", "", "-Wl,-rpath,$ORIGIN/../lib:/x"]
            .map(OsString::from)
            .into(),
        directory: "/b".into(),
        libraries: [("/none/libw.so".into(), "libw-none.so.1".to_owned())].into(),
        directories: vec!["/c d".into()],
        answers: [(
            vec!["-###".to_owned(), "x y".to_owned()],
            "two\nlines".to_owned(),
        )]
        .into(),
        compiled: vec![
            Compiled {
                input: 0,
                language: Language::Cxx,
                became: Became::Object("/tmp/x.o".into()),
            },
            Compiled {
                input: 3,
                language: Language::Rust,
                became: Became::Line(["p.o", "-lq"].map(OsString::from).into()),
            },
        ],
    };
    let contents = Contents::read(&written(&files, &index), 0).unwrap();
    for file in &files {
        let read = contents.open(&file.path).unwrap();
        assert_eq!(read.bytes(), file.bytes.bytes());
    }
    assert!(contents.open(Path::new("/etc/passwd")).is_err());
    assert!(contents.open(Path::new("/none/libw.so")).is_err());
    assert_eq!(contents.compiler_directories(), [Path::new("/c d")]);
    let question = ["-###", "x y"].map(str::to_owned);
    assert_eq!(
        contents.ask_compiler("cc", &question).as_deref(),
        Ok("two\nlines")
    );
    assert!(contents.ask_compiler("cc", &question[1..]).is_err());
    let line = contents.line(Some(Path::new("/opt/p/bin"))).unwrap();
    assert_eq!(line.inputs[0].name, InputName::File("/b/a b.o".into()));
    assert_eq!(line.library_dirs, ["/b/l"]);
    assert_eq!(line.run_path, ["/opt/p/bin/../lib", "/x"]);
    let compiled = contents.compile(&line, Path::new(""), 1).unwrap();
    assert_eq!(format!("{compiled:?}"), format!("{:?}", index.compiled));
}

#[test]
fn damage_is_told() {
    let files = [file("/a.o", b"object")];
    let whole = written(&files, &Index::default());
    for size in 0..whole.bytes().len() {
        let cut: Arc<dyn InputBytes> = Arc::new(OwnedBytes::from(whole.bytes()[..size].to_vec()));
        // What is cut off at the end is padding, at most.
        if let Err(problem) = Contents::read(&cut, 0) {
            assert!(problem.contains("cut off"), "{size}: {problem}");
        } else {
            assert!(size + 8 > whole.bytes().len(), "{size}");
        }
    }
    let mut other = whole.bytes().to_vec();
    other[14] = b'1';
    let other: Arc<dyn InputBytes> = Arc::new(OwnedBytes::from(other));
    let problem = Contents::read(&other, 0).err().unwrap();
    assert!(problem.contains("another version"), "{problem}");
}

#[test]
fn the_file_around_an_image_is_an_executable() {
    let (command, image) = (b"/opt/my tools/orc-jit", b"image---");
    let start = launcher::start(command, image.len() as u64);
    let end = launcher::end(&start, command, image.len() as u64);
    let bytes = [&start[..], image, &end].concat();
    let file = ElfFile64::<Endianness>::parse(&*bytes).unwrap();
    let section = |name: &str| file.section_by_name(name).unwrap();
    assert_eq!(section(launcher::SECTION).data().unwrap(), image);
    assert_eq!(section(launcher::SECTION).file_range().unwrap().0 % 4096, 0);
    let text = section(".text");
    assert_eq!(text.address(), file.entry());
    assert!(text.data().unwrap().ends_with(b"/opt/my tools/orc-jit\0"));
}

#[test]
fn other_files_are_recognized_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    std::fs::write(&script, "#!/bin/sh\necho run\n").unwrap();
    assert!(read(&script).unwrap().is_none());
    assert!(read(&std::env::current_exe().unwrap()).unwrap().is_none());
    assert!(read(Path::new("/none")).is_err());
}
