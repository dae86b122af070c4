use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ar_archive_writer::{
    ArchiveKind, DEFAULT_OBJECT_READER, NewArchiveMember, write_archive_to_stream,
};
use jit_core::graph::InputBytes;
use jit_core::name::NameTable;
use jit_core::object::{LazyObjects, ObjectError};

use orc_inputs::archive::{Archive, member_offsets, subset};
use orc_inputs::format::ReadObjects;
use orc_inputs::input::{InputOpener, OwnedBytes};

use crate::format;
use crate::test_object::{RawSymbol, write};

const LONG: &str = "a_member_name_of_more_than_sixteen_characters.o";

/// An object that defines these absolute symbols.
fn object(symbols: &[&'static str]) -> Vec<u8> {
    let symbol = |name: &&'static str| RawSymbol {
        name,
        info: 0x10,
        section: 0xfff1,
        ..Default::default()
    };
    write(&[], &symbols.iter().map(symbol).collect::<Vec<_>>(), 1)
}

fn members() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("a.o", object(&["a", "both"])),
        (LONG, object(&["b", "both"])),
        ("none.o", object(&[])),
        ("a.o", object(&["again"])),
        ("notes.txt", b"just text".to_vec()),
    ]
}

fn archive(kind: ArchiveKind, thin: bool, members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let new = |(name, bytes): &(&str, Vec<u8>)| NewArchiveMember {
        buf: Box::new(bytes.clone()),
        object_reader: &DEFAULT_OBJECT_READER,
        member_name: (*name).to_owned(),
        mtime: 0,
        uid: 0,
        gid: 0,
        perms: 0o644,
    };
    let members: Vec<_> = members.iter().map(new).collect();
    let mut to = Cursor::new(Vec::new());
    write_archive_to_stream(&mut to, &members, kind, thin, None).expect("an archive is written");
    to.into_inner()
}

fn open(bytes: Vec<u8>) -> Result<Archive, ObjectError> {
    let input: Arc<dyn InputBytes> = Arc::new(OwnedBytes::from(bytes));
    super::open("dir/lib.a", input, &Arc::new(NameTable::default()))
}

/// The index as (name, name of the member's object).
fn index(archive: &Archive) -> Vec<(String, String)> {
    let entry = |&(name, member): &(_, u32)| {
        let object = archive
            .load(member)
            .unwrap_or_else(|error| panic!("{error}"));
        (archive.objects().names.text(name), object.name().to_owned())
    };
    archive.index().iter().map(entry).collect()
}

fn expected() -> Vec<(String, String)> {
    let long = format!("dir/lib.a({LONG})");
    [
        ("a", "dir/lib.a(a.o)"),
        ("both", "dir/lib.a(a.o)"),
        ("b", &long),
        ("both", &long),
        ("again", "dir/lib.a(a.o)"),
    ]
    .map(|(name, object)| (name.to_owned(), object.to_owned()))
    .to_vec()
}

#[test]
fn index_formats() {
    for kind in [ArchiveKind::Gnu, ArchiveKind::Gnu64, ArchiveKind::Bsd] {
        let archive = open(archive(kind, false, &members())).expect("an archive");
        assert_eq!(index(&archive), expected());
        assert_eq!(archive.len(), 3);
        // The two members of one name are two members.
        assert_ne!(archive.index()[0].1, archive.index()[4].1);
    }
}

#[test]
fn an_archive_without_an_index_is_read_whole() {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, content) in members() {
        let name = format!("{}/", name.get(..8).unwrap_or(name));
        bytes.extend_from_slice(
            format!(
                "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                0,
                0,
                0,
                644,
                content.len()
            )
            .as_bytes(),
        );
        bytes.extend_from_slice(&content);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
    }
    let archive = open(bytes).expect("an archive");
    let names: Vec<String> = index(&archive).into_iter().map(|entry| entry.0).collect();
    assert_eq!(names, ["a", "both", "b", "both", "again"]);
}

#[test]
fn whole_archives() {
    let archive_of =
        |members: &[_]| open(archive(ArchiveKind::Gnu, false, members)).expect("an archive");
    let all = archive_of(&members()[..4]).members().expect("objects");
    let names: Vec<&str> = all.iter().map(|object| object.name()).collect();
    let long = format!("dir/lib.a({LONG})");
    assert_eq!(
        names,
        [
            "dir/lib.a(a.o)",
            &long,
            "dir/lib.a(none.o)",
            "dir/lib.a(a.o)"
        ]
    );
    let error = archive_of(&members())
        .members()
        .err()
        .expect("a text is no object");
    assert_eq!(
        error.to_string(),
        "dir/lib.a(notes.txt): is a text file, not an ELF object"
    );
    let metadata = [("lib.rmeta", b"rust".to_vec()), ("a.o", object(&["a"]))];
    assert_eq!(archive_of(&metadata).members().expect("objects").len(), 1);
}

/// Files in memory that count what is opened.
#[derive(Default)]
struct Files(Mutex<Vec<PathBuf>>);

impl InputOpener for Files {
    fn open(&self, path: &Path) -> std::io::Result<Arc<dyn InputBytes>> {
        self.0.lock().expect("not poisoned").push(path.to_owned());
        let name = path.strip_prefix("dir").ok().and_then(Path::to_str);
        match members().into_iter().find(|member| Some(member.0) == name) {
            Some(member) => Ok(Arc::new(OwnedBytes::from(member.1))),
            None => Err(std::io::ErrorKind::NotFound.into()),
        }
    }
}

fn open_thin(bytes: Vec<u8>, files: &Arc<Files>) -> Archive {
    let input: Arc<dyn InputBytes> = Arc::new(OwnedBytes::from(bytes));
    let names = Arc::new(NameTable::default());
    let objects = ReadObjects::new(format::only(), &names);
    Archive::with_opener("dir/lib.a", input, &objects, "dir", files.clone()).expect("an archive")
}

#[test]
fn thin_archives_open_members_when_needed() {
    let files = Arc::new(Files::default());
    let gone = ("gone.o", object(&["gone"]));
    let members = [members()[0].clone(), members()[1].clone(), gone];
    let archive = open_thin(archive(ArchiveKind::Gnu, true, &members), &files);
    assert!(files.0.lock().expect("not poisoned").is_empty());
    let b = archive
        .load(archive.index()[2].1)
        .expect("the file is there");
    assert_eq!(b.name(), format!("dir/lib.a({LONG})"));
    assert_eq!(
        *files.0.lock().expect("not poisoned"),
        [Path::new("dir").join(LONG)]
    );
    let error = archive
        .load(archive.index()[4].1)
        .err()
        .expect("the file is gone")
        .to_string();
    assert!(
        error.contains("dir/lib.a(gone.o): the thin archive's member dir/gone.o"),
        "{error}"
    );
    assert!(archive.members().is_err());
}

#[test]
fn archives_in_thin_archives() {
    // GNU ar names such a member by the inner archive and the offset of its header there.
    struct Inner(Vec<u8>);
    impl InputOpener for Inner {
        fn open(&self, path: &Path) -> std::io::Result<Arc<dyn InputBytes>> {
            assert_eq!(path, Path::new("dir/sub/inner.a"));
            Ok(Arc::new(OwnedBytes::from(self.0.clone())))
        }
    }
    let inner = archive(ArchiveKind::Gnu, false, &members()[..2]);
    let offset = member_offsets(&inner).expect("an archive")[1];
    let header = |name: &str, size: usize| format!("{name:<16}{:<32}{size:<10}`\n", 0);
    let mut outer = b"!<thin>\n".to_vec();
    outer.extend_from_slice(header("//", 14).as_bytes());
    outer.extend_from_slice(b"sub/inner.a/\n\n");
    outer.extend_from_slice(header(&format!("/0:{offset}"), 100).as_bytes());
    let input: Arc<dyn InputBytes> = Arc::new(OwnedBytes::from(outer));
    let names = Arc::new(NameTable::default());
    let opener = Arc::new(Inner(inner));
    let objects = ReadObjects::new(format::only(), &names);
    let archive =
        Archive::with_opener("dir/lib.a", input, &objects, "dir", opener).expect("an archive");
    let found: Vec<String> = archive
        .index()
        .iter()
        .map(|entry| names.text(entry.0))
        .collect();
    assert_eq!(found, ["b", "both"]);
    assert_eq!(
        archive.load(0).expect("a member").name(),
        format!("sub/inner.a({LONG})")
    );
}

#[test]
fn what_is_no_archive_is_refused() {
    assert!(open(b"\x7fELF".to_vec()).is_err());
    assert!(open(Vec::new()).is_err());
    let empty = open(b"!<arch>\n".to_vec()).expect("an archive of nothing");
    assert!(empty.is_empty() && empty.index().is_empty());
}

#[test]
fn damage_never_panics() {
    let whole = archive(ArchiveKind::Gnu, false, &members());
    let check = |bytes: Vec<u8>| {
        if let Ok(archive) = open(bytes) {
            for &(_, member) in archive.index() {
                let _ = archive.load(member);
            }
            let _ = archive.members();
        }
    };
    for length in 0..whole.len() {
        check(whole[..length].to_vec());
    }
    for at in 0..whole.len() {
        for damage in [0xff, 0, b'9', whole[at] ^ 1] {
            let mut bytes = whole.clone();
            bytes[at] = damage;
            check(bytes);
        }
    }
}

#[test]
fn a_part_is_linked_as_the_whole() {
    for kind in [ArchiveKind::Gnu, ArchiveKind::Gnu64, ArchiveKind::Bsd] {
        let whole = archive(kind, false, &members());
        let read = Arc::new(Mutex::new(BTreeSet::new()));
        let noted = read.clone();
        let note = move |offset| {
            noted.lock().unwrap().insert(offset);
        };
        let watched = open(whole.clone()).unwrap().watched(Arc::new(note));
        for member in [1, 2] {
            watched.load(member).unwrap();
        }
        let part = subset(&whole, &read.lock().unwrap()).unwrap();
        assert!(part.len() < whole.len());
        assert_eq!(index(&open(part.clone()).unwrap()), expected()[2..]);
        assert_eq!(
            subset(&part, &BTreeSet::new())
                .map(open)
                .unwrap()
                .unwrap()
                .len(),
            0
        );
        watched.members().err().expect("a text is no object");
        let all = subset(&whole, &read.lock().unwrap()).unwrap();
        assert_eq!(index(&open(all).unwrap()), expected());
        for size in 8..whole.len() {
            // An error or an archive: whatever is left of the whole, nothing panics.
            let _ = subset(&whole[..size], &read.lock().unwrap());
        }
    }
    let thin = archive(ArchiveKind::Gnu, true, &members()[..1]);
    assert!(
        subset(&thin, &BTreeSet::new())
            .unwrap_err()
            .contains("thin")
    );
}

/// An index of BSD's form has each name's place, so names can overlap.
#[test]
fn an_index_of_overlapping_names_is_damaged() {
    const COUNT: u32 = 30_000;
    let mut index = (8 * COUNT).to_le_bytes().to_vec();
    let member_at = 8 + 60 + 4 + 8 * COUNT + 4 + COUNT;
    for name in 0..COUNT {
        index.extend(name.to_le_bytes());
        index.extend(member_at.to_le_bytes());
    }
    index.extend(COUNT.to_le_bytes());
    index.extend(vec![b'x'; COUNT as usize - 1]);
    index.push(0);
    let mut bytes = b"!<arch>\n".to_vec();
    let object = object(&["a"]);
    for (name, content) in [("__.SYMDEF", &index), ("a.o/", &object)] {
        let size = content.len();
        let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644);
        bytes.extend(header.as_bytes());
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(2), 0);
    }
    let error = open(bytes).err().expect("it is refused").to_string();
    let expected = "dir/lib.a: the names of its members' symbols take more";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn names_of_members_do_not_command_terminals() {
    let members = [("a\x1b[31m.o", object(&["a"]))];
    let archive = open(archive(ArchiveKind::Gnu, false, &members)).expect("an archive");
    let object = archive.load(0).expect("a good member");
    assert_eq!(object.name(), r"dir/lib.a(a\x1b[31m.o)");
}
