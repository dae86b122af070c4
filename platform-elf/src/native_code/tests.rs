use super::*;
use crate::input::ReadFiles;

const MAP: &str = "\
555555554000-555555556000 r--p 00000000 fe:00 1234                       /usr/bin/my prog
555555556000-55555555b000 r-xp 00002000 fe:00 1234                       /usr/bin/my prog
7ffff7fc1000-7ffff7fc5000 rw-p 00000000 00:00 0 
7ffff7ffd000-7ffff7fff000 rw-p 00001000 00:01 77                         /memfd:range (deleted)
7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffff";

fn map() -> ProcessMap {
    ProcessMap::parse(MAP, Arc::new(ReadFiles))
}

#[test]
fn mappings_are_found_by_address() {
    let map = map();
    let name = |addr| {
        map.mapping(ExecutorAddr::new(addr))
            .map(|m| m.name.as_str())
    };
    assert_eq!(name(0x5555_5555_4000), Some("/usr/bin/my prog"));
    assert_eq!(name(0x5555_5555_afff), Some("/usr/bin/my prog"));
    assert_eq!(name(0x5555_5555_b000), None);
    assert_eq!(name(0x7fff_f7fc_1000), Some(""));
    assert_eq!(name(0x7fff_f7ff_d000), Some("/memfd:range"));
    assert_eq!(name(0x7fff_ffff_e000), Some("[stack]"));
    assert_eq!(name(0), None);
    let code = map.mapping(ExecutorAddr::new(0x5555_5555_6000));
    let code = code.expect("it is mapped");
    assert_eq!((code.permissions.as_str(), code.offset), ("r-xp", 0x2000));
}

#[test]
fn lines_of_another_form_are_left_out() {
    assert_eq!(map().mappings.len(), 5);
    for line in [
        "",
        " ",
        "-",
        "1-",
        "1-2",
        "1-2 rwxp",
        "1-2 rwxp x 0 0",
        "2-1 rwxp 0 0:0 0",
    ] {
        assert_eq!(parse_line(line), None, "{line:?}");
    }
}

/// This test, as the system's loader put it into memory.
fn own_map() -> ProcessMap {
    let text = std::fs::read_to_string("/proc/self/maps").expect("Linux has it");
    ProcessMap::parse(&text, Arc::new(ReadFiles))
}

#[test]
fn functions_of_this_process_are_found() {
    let addr = ExecutorAddr::new(own_map as *const () as usize as u64);
    let (file, file_addr) = own_map().find(addr).expect("it is loaded");
    let executable = std::fs::read_link("/proc/self/exe").expect("readable");
    assert_eq!(file.path(), executable.to_str().expect("a plain path"));
    let near = file.symbol_at(file_addr).expect("tests have symbols");
    assert_eq!(near.offset, 0);
    assert!(String::from_utf8_lossy(&near.name).contains("own_map"));
    let lines = file.source_lines().expect("tests have debug information");
    let frames = lines.frames(file_addr);
    let source = frames.last().and_then(|frame| frame.file.clone());
    assert!(source.expect("a file").ends_with("native_code/tests.rs"));
}

#[test]
fn what_is_no_file_has_no_names() {
    let stack = 0u8;
    let addr = ExecutorAddr::new((&raw const stack).addr() as u64);
    assert!(own_map().find(addr).is_none());
    assert!(
        map().find(ExecutorAddr::new(0x5555_5555_4000)).is_none(),
        "no such file"
    );
}
