//! `orc-jit` in a linker's place: what it writes where the user says.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use tests::command::{Behaviour, Ending, Invocation};
use tests::scratch::Scratch;

const MAIN: &str = "#include <stdio.h>\nint main(void) { puts(\"runs\"); return 7; }\n";

/// An object that can be linked, and one that lacks something.
fn objects() -> Scratch {
    let scratch = Scratch::new();
    scratch.compile("main.o", MAIN);
    scratch.compile(
        "bad.o",
        "int none(void);\nint main(void) { return none(); }\n",
    );
    scratch
}

/// Links `object` to `output`; nothing if the tests run without `orc-jit`.
fn link(scratch: &Scratch, output: &str, object: &str) -> Option<Behaviour> {
    scratch.orc_jit(&["-o", output, object])
}

#[track_caller]
fn assert_runs(scratch: &Scratch, program: &str) {
    let ran = Invocation::new([scratch.file(program)]).run_in(scratch.path());
    let ran = ran.expect("what was linked can be started");
    let message = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.ending, Ending::Exit(7), "{message}");
    assert_eq!(ran.stdout, b"runs\n");
}

#[track_caller]
fn assert_linked(behaviour: &Behaviour) {
    let message = String::from_utf8_lossy(&behaviour.stderr).into_owned();
    assert_eq!(behaviour.ending, Ending::Exit(0), "{message}");
}

#[test]
fn devices_and_pipes_stay_what_they_are() {
    let scratch = objects();
    let null = scratch.file("null");
    // As root, configure scripts link to /dev/null. Here stands another such device.
    let device = mknodat(
        CWD,
        &null,
        FileType::CharacterDevice,
        Mode::from(0o666),
        makedev(1, 3),
    );
    if device.is_ok() {
        let Some(linked) = link(&scratch, "null", "main.o") else {
            return;
        };
        assert_linked(&linked);
        let there = fs::symlink_metadata(&null).unwrap().file_type();
        assert!(there.is_char_device(), "{there:?}");
    }
    let pipe = scratch.file("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::from(0o666), 0).unwrap();
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read(pipe).unwrap()
    });
    let Some(linked) = link(&scratch, "pipe", "main.o") else {
        // The reader waits for somebody to write.
        fs::write(&pipe, "").unwrap();
        return;
    };
    assert_linked(&linked);
    let there = fs::symlink_metadata(&pipe).unwrap().file_type();
    assert!(there.is_fifo(), "{there:?}");
    scratch.write("read", reader.join().unwrap());
    fs::set_permissions(scratch.file("read"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_runs(&scratch, "read");
}

#[test]
fn links_are_written_through() {
    let scratch = objects();
    scratch.write("version-1", "old");
    symlink("version-1", scratch.file("program")).unwrap();
    let Some(linked) = link(&scratch, "program", "main.o") else {
        return;
    };
    assert_linked(&linked);
    assert!(scratch.file("program").is_symlink());
    assert!(!scratch.file("version-1").is_symlink());
    assert_runs(&scratch, "program");
    assert_runs(&scratch, "version-1");
}

#[test]
fn read_only_files_are_replaced() {
    let scratch = objects();
    scratch.write("program", "old");
    let read_only = fs::Permissions::from_mode(0o444);
    fs::set_permissions(scratch.file("program"), read_only).unwrap();
    let Some(linked) = link(&scratch, "program", "main.o") else {
        return;
    };
    assert_linked(&linked);
    assert_runs(&scratch, "program");
}

#[test]
fn what_the_link_did_not_make_stays() {
    let scratch = objects();
    fs::create_dir(scratch.file("program.objects")).unwrap();
    scratch.write("program.objects/precious", "a user's own");
    let Some(linked) = link(&scratch, "program", "main.o") else {
        return;
    };
    assert_linked(&linked);
    assert_eq!(scratch.read("program.objects/precious"), b"a user's own");
}

#[test]
fn an_input_is_not_overwritten() {
    let scratch = objects();
    let before = scratch.read("main.o");
    let Some(message) = scratch.message(&["-o", "main.o", "main.o"]) else {
        return;
    };
    assert!(
        message.contains("the input main.o is the output main.o, too"),
        "{message}"
    );
    assert_eq!(scratch.read("main.o"), before);
}
