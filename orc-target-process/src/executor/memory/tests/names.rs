//! What the loader says of addresses in linked code.

use std::ffi::CStr;

use orc_shared::ExecutorAddr;
use orc_shared::api::{FunctionName, RangeId, SegmentKind, SegmentRequest};

use super::code::*;
use crate::executor::memory::{Finalized, MemoryManager};

/// An allocation of functions of 16 bytes each.
struct Named {
    memory: Finalized,
    start: u64,
}

impl Named {
    fn new(manager: &MemoryManager, range: RangeId, names: &[&str]) -> Self {
        let strings: Vec<u8> = names
            .iter()
            .flat_map(|n| [n.as_bytes(), &[0]].concat())
            .collect();
        let segment = |kind, size: usize| SegmentRequest {
            kind,
            content_size: size as u64,
            size: size as u64,
            align: 16,
        };
        let segments = [
            segment(SegmentKind::Text, 16 * names.len()),
            segment(SegmentKind::ReadOnly, strings.len()),
        ];
        let mut memory = manager.allocate(range, &segments).unwrap().unwrap();
        let [text, read_only] = [memory.addresses()[0], memory.addresses()[1]];
        memory.working_memory()[1].copy_from_slice(&strings);
        let mut memory = memory.finalize(Vec::new(), None).unwrap();
        let mut name = read_only;
        let mut functions = Vec::new();
        for (index, text_of_name) in names.iter().enumerate() {
            functions.push(FunctionName {
                start: text + 16 * index as u64,
                size: 16,
                name,
            });
            name += text_of_name.len() as u64 + 1;
        }
        memory.name_functions(&functions).unwrap();
        let start = text.value();
        Self { memory, start }
    }
}

/// The name and the start of the function at `addr`, as `dladdr` says.
fn dladdr(addr: u64) -> Option<(String, u64)> {
    // SAFETY: a structure of pointers, which may be null.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: `dladdr` takes any address.
    let found = unsafe { libc::dladdr(ExecutorAddr::new(addr).value() as *const _, &raw mut info) };
    if found == 0 || info.dli_sname.is_null() {
        return None;
    }
    // SAFETY: a name of a function that is not removed while this test looks.
    let name = unsafe { CStr::from_ptr(info.dli_sname) };
    Some((name.to_string_lossy().into_owned(), info.dli_saddr as u64))
}

#[test]
fn functions_are_named_until_they_are_removed() {
    let (manager, range) = manager(small_config());
    let first = Named::new(&manager, range, &["one", "two"]);
    let second = Named::new(&manager, range, &["three"]);
    let named = |name: &str, start| Some((name.to_owned(), start));
    assert_eq!(dladdr(first.start), named("one", first.start));
    assert_eq!(dladdr(first.start + 31), named("two", first.start + 16));
    assert_eq!(dladdr(second.start + 5), named("three", second.start));
    assert_eq!(manager.stats().total.named_functions, 3);
    let gone = first.start;
    first.memory.release().unwrap();
    assert_eq!(dladdr(gone), None);
    assert_eq!(dladdr(second.start), named("three", second.start));
    let third = Named::new(&manager, range, &["four", "five", "six"]);
    assert_eq!(dladdr(third.start + 40), named("six", third.start + 32));
    assert_eq!(manager.stats().total.named_functions, 4);
}

#[test]
fn names_are_not_found_by_name() {
    let (manager, range) = manager(small_config());
    let _named = Named::new(&manager, range, &["found_by_nobody"]);
    // SAFETY: a C string.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"found_by_nobody".as_ptr()) };
    assert!(found.is_null());
}

#[test]
fn as_many_as_there_is_room_for() {
    let (manager, range) = manager(small_config());
    let many: Vec<String> = (0..9000).map(|number| format!("f{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let named = Named::new(&manager, range, &many);
    let last = named.start + 16 * 8999;
    assert_eq!(dladdr(last + 3), Some(("f8999".to_owned(), last)));
    named.memory.release().unwrap();
    assert_eq!(manager.stats().total.named_functions, 0);
    for _ in 0..50 {
        Named::new(&manager, range, &many).memory.release().unwrap();
    }
    assert_eq!(manager.stats().total.named_functions, 0);
}
