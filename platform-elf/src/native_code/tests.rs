use std::sync::Arc;

use jit_core::symbolize::NativeCode as _;
use orc_inputs::input::ReadFiles;
use orc_inputs::process_map::ProcessMap;
use orc_shared::ExecutorAddr;

use crate::format;

/// This test, as the system's loader put it into memory.
fn own_map() -> ProcessMap {
    let text = std::fs::read_to_string("/proc/self/maps").expect("Linux has it");
    ProcessMap::parse(&text, format::only(), Arc::new(ReadFiles))
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
    let gone = "555555554000-555555556000 r--p 00000000 fe:00 1234 /usr/bin/my prog";
    let map = ProcessMap::parse(gone, format::only(), Arc::new(ReadFiles));
    assert!(
        map.find(ExecutorAddr::new(0x5555_5555_4000)).is_none(),
        "no such file"
    );
}
