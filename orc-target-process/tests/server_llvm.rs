//! LLVM's services, asked as LLVM's controllers ask them.

mod support;

use orc_shared::remote::llvm::LlvmService;
use orc_shared::sps::{SpsError, SpsExpected};
use orc_shared::{AllocAction, AllocActionPair, ExecutorAddr, ExecutorSymbolDef};
use support::controller::Spawned;
use support::machine::wrapper_storing;

const READ: u8 = 1;
const WRITE: u8 = 2;
const EXECUTE: u8 = 4;
const PAGE: u64 = 4096;

type Segment = (u8, ExecutorAddr, u64, Vec<u8>);
type Request = (Vec<Segment>, Vec<AllocActionPair>);

fn instance(it: &Spawned, service: LlvmService) -> ExecutorAddr {
    it.controller.symbol(service.name())
}

fn reserve(it: &mut Spawned, size: u64) -> ExecutorAddr {
    let arguments = (instance(it, LlvmService::MemoryManager), size);
    let SpsExpected(base): SpsExpected<ExecutorAddr> =
        it.controller.llvm(LlvmService::Reserve, &arguments);
    base.expect("there is memory")
}

fn initialize(it: &mut Spawned, request: Request) -> Result<ExecutorAddr, String> {
    let arguments = (instance(it, LlvmService::MemoryManager), request);
    let SpsExpected(key): SpsExpected<ExecutorAddr> =
        it.controller.llvm(LlvmService::Initialize, &arguments);
    key
}

fn release(it: &mut Spawned, bases: Vec<ExecutorAddr>) -> Result<(), String> {
    let arguments = (instance(it, LlvmService::MemoryManager), bases);
    let SpsError(outcome) = it.controller.llvm(LlvmService::ReleaseReserved, &arguments);
    outcome
}

#[test]
fn memory_is_reserved_initialized_and_released() {
    let mut it = Spawned::new();
    let base = reserve(&mut it, 3 * PAGE);
    let (text, data, more) = (base, base + PAGE, base + 2 * PAGE);
    let call = |byte: u8| AllocAction {
        function: text,
        args: vec![byte],
    };
    let request = (
        vec![
            (READ | EXECUTE, text, PAGE, wrapper_storing(data)),
            (READ | WRITE, data, PAGE, vec![9, 8, 7]),
            (READ, more, 10, vec![]),
        ],
        vec![AllocActionPair {
            finalize: call(1),
            dealloc: call(2),
        }],
    );
    assert_eq!(initialize(&mut it, request), Ok(base));
    let read: Vec<Vec<u8>> = it
        .controller
        .llvm(LlvmService::ReadBuffers, &vec![(data, 4_u64), (more, 2)]);
    assert_eq!(read, [vec![1, 8, 7, 0], vec![0, 0]]);
    assert_eq!(it.controller.call(text, &[5]), [0]);
    let read: Vec<u8> = it.controller.llvm(LlvmService::ReadUInt8s, &vec![data]);
    assert_eq!(read, [5]);
    let arguments = (instance(&it, LlvmService::MemoryManager), vec![base]);
    let SpsError(outcome) = it.controller.llvm(LlvmService::Deinitialize, &arguments);
    assert_eq!(outcome, Ok(()));
    let read: Vec<u8> = it.controller.llvm(LlvmService::ReadUInt8s, &vec![data]);
    assert_eq!(read, [2], "the dealloc action has run");
    assert_eq!(release(&mut it, vec![base]), Ok(()));
    let error = release(&mut it, vec![base]).expect_err("it is gone");
    assert!(error.contains("no memory was reserved"), "{error}");
    assert!(it.close().0.success());
}

#[test]
fn a_failed_action_undoes_those_before_it() {
    let mut it = Spawned::new();
    let base = reserve(&mut it, 2 * PAGE);
    let call = |byte: u8| AllocAction {
        function: base,
        args: vec![byte],
    };
    let unknown = AllocAction {
        function: instance(&it, LlvmService::DylibManager),
        args: Vec::new(),
    };
    let request = (
        vec![
            (READ | EXECUTE, base, PAGE, wrapper_storing(base + PAGE)),
            (READ | WRITE, base + PAGE, 1, vec![]),
        ],
        vec![
            AllocActionPair {
                finalize: call(1),
                dealloc: call(2),
            },
            AllocActionPair {
                finalize: unknown,
                dealloc: call(3),
            },
        ],
    );
    let error = initialize(&mut it, request).expect_err("fails");
    assert!(error.contains("is no action of an allocation"), "{error}");
    let read: Vec<u8> = it
        .controller
        .llvm(LlvmService::ReadUInt8s, &vec![base + PAGE]);
    assert_eq!(read, [2]);
    assert!(it.close().0.success());
}

#[test]
fn segments_outside_reserved_memory_are_errors() {
    let mut it = Spawned::new();
    let base = reserve(&mut it, PAGE);
    for segment in [
        (READ, base + PAGE, 1, vec![]),
        (READ, base, PAGE + 1, vec![]),
        (READ, base + 1, 1, vec![]),
        (READ, base, 1, vec![1, 2]),
        (READ, base, u64::MAX, vec![]),
        (READ, ExecutorAddr::new(0), PAGE, vec![]),
        (READ, ExecutorAddr::new(u64::MAX - PAGE + 1), PAGE, vec![]),
    ] {
        let error = initialize(&mut it, (vec![segment], vec![])).expect_err("is refused");
        assert!(error.contains("not in reserved memory"), "{error}");
    }
    assert!(initialize(&mut it, (vec![], vec![])).is_err());
    let arguments = (instance(&it, LlvmService::MemoryManager), u64::MAX);
    let SpsExpected(base): SpsExpected<ExecutorAddr> =
        it.controller.llvm(LlvmService::Reserve, &arguments);
    assert!(base.is_err());
    assert!(it.close().0.success());
}

#[test]
fn values_are_written_and_read() {
    let mut it = Spawned::new();
    let base = reserve(&mut it, PAGE);
    let at = |offset| base + offset;
    let controller = &mut it.controller;
    controller.llvm::<()>(LlvmService::WriteUInt8s, &vec![(at(0), 0x11_u8)]);
    controller.llvm::<()>(LlvmService::WriteUInt16s, &vec![(at(1), 0x2222_u16)]);
    controller.llvm::<()>(LlvmService::WriteUInt32s, &vec![(at(3), 0x3333_3333_u32)]);
    controller.llvm::<()>(LlvmService::WriteUInt64s, &vec![(at(8), 0x44_u64)]);
    controller.llvm::<()>(LlvmService::WritePointers, &vec![(at(16), at(32))]);
    controller.llvm::<()>(
        LlvmService::WriteBuffers,
        &vec![(at(32), &b"text\0more"[..])],
    );
    let read: Vec<u16> = controller.llvm(LlvmService::ReadUInt16s, &vec![at(1)]);
    assert_eq!(read, [0x2222]);
    let read: Vec<u32> = controller.llvm(LlvmService::ReadUInt32s, &vec![at(3)]);
    assert_eq!(read, [0x3333_3333]);
    let read: Vec<u64> = controller.llvm(LlvmService::ReadUInt64s, &vec![at(8)]);
    assert_eq!(read, [0x44]);
    let read: Vec<ExecutorAddr> = controller.llvm(LlvmService::ReadPointers, &vec![at(16)]);
    assert_eq!(read, [at(32)]);
    let read: Vec<String> = controller.llvm(LlvmService::ReadStrings, &vec![at(32), at(37)]);
    assert_eq!(read, ["text", "more"]);
    let read: Vec<u8> = controller.llvm(LlvmService::ReadUInt8s, &vec![at(0)]);
    assert_eq!(read, [0x11]);
    assert!(it.close().0.success());
}

#[test]
fn libraries_are_opened_and_names_resolved() {
    let mut it = Spawned::new();
    let manager = instance(&it, LlvmService::DylibManager);
    let open = |it: &mut Spawned, path: &str| {
        let arguments = (manager, path, 0_u64);
        let SpsExpected(handle): SpsExpected<ExecutorAddr> =
            it.controller.llvm(LlvmService::OpenDylib, &arguments);
        handle
    };
    let process = open(&mut it, "").expect("the process");
    assert!(open(&mut it, "/no/such/library.so").is_err());
    let libm = open(&mut it, "libm.so.6").expect("is installed");
    type Symbols = SpsExpected<Vec<Option<ExecutorSymbolDef>>>;
    let names = |names: &[(&'static str, bool)]| names.to_vec();
    let arguments = (
        process,
        names(&[("strlen", true), ("nowhere", true), ("nowhere", false)]),
    );
    let SpsExpected(found): Symbols = it.controller.llvm(LlvmService::ResolveSymbols, &arguments);
    let found = found.expect("is open");
    assert!(found[0].is_some_and(|it| !it.addr.is_null() && it.flags.bits() == 0x10));
    assert_eq!(found[1], None);
    assert_eq!(found[2].map(|it| it.addr), Some(ExecutorAddr::NULL));
    let arguments = (libm, names(&[("cos", true)]));
    let SpsExpected(found): Symbols = it.controller.llvm(LlvmService::ResolveSymbols, &arguments);
    let cos = found.expect("is open")[0].expect("is there").addr;
    assert!(!cos.is_null());
    let arguments = (ExecutorAddr::new(99), names(&[("cos", true)]));
    let SpsExpected(found): Symbols = it.controller.llvm(LlvmService::ResolveSymbols, &arguments);
    assert!(found.expect_err("is no handle").contains("0x63"));
    assert!(it.close().0.success());
}

#[test]
fn functions_are_run() {
    let library = support::library(
        "llvm_functions_are_run",
        "runs.c",
        "#include <string.h>\n\
         int the_main(int argc, char **argv) { return argc * 100 + strlen(argv[argc - 1]) + !argv[argc]; }\n\
         int no_argument(void) { return -3; }\n\
         int twice(int argument) { return 2 * argument; }",
        &[],
    );
    let mut it = Spawned::new();
    let opened = it.controller.order(
        orc_shared::remote::services::Service::OpenLibrary,
        support::path(&library).as_str(),
    );
    opened.expect("opens");
    let main = it.controller.function("the_main");
    let arguments = (main, vec!["program", "four"]);
    assert_eq!(
        it.controller
            .llvm::<i64>(LlvmService::RunAsMain, &arguments),
        205
    );
    let function = it.controller.function("no_argument");
    assert_eq!(
        it.controller
            .llvm::<i32>(LlvmService::RunAsVoidFunction, &function),
        -3
    );
    let function = it.controller.function("twice");
    let arguments = (function, 21_i32);
    assert_eq!(
        it.controller
            .llvm::<i32>(LlvmService::RunAsIntFunction, &arguments),
        42
    );
    assert!(it.close().0.success());
}

#[test]
fn shared_memory_has_a_name() {
    let mut it = Spawned::new();
    let instance = instance(&it, LlvmService::SharedMemory);
    let arguments = (instance, 2 * PAGE);
    let SpsExpected(reserved): SpsExpected<(ExecutorAddr, String)> = it
        .controller
        .llvm(LlvmService::SharedMemoryReserve, &arguments);
    let (base, name) = reserved.expect("there is memory");
    let file = format!("/dev/shm{name}");
    let mut content = wrapper_storing(base + PAGE);
    content.resize(PAGE as usize, 0xcc);
    let mut bytes = content;
    bytes.resize(2 * PAGE as usize, 0);
    std::fs::write(&file, bytes).expect("can be written");
    let segments = vec![
        (READ | EXECUTE, base, PAGE),
        (READ | WRITE, base + PAGE, PAGE),
    ];
    let request = (segments, Vec::<AllocActionPair>::new());
    let SpsExpected(key): SpsExpected<ExecutorAddr> = it.controller.llvm(
        LlvmService::SharedMemoryInitialize,
        &(instance, base, request),
    );
    assert_eq!(key, Ok(base));
    assert_eq!(it.controller.call(base, &[77]), [0]);
    let read: Vec<u8> = it
        .controller
        .llvm(LlvmService::ReadUInt8s, &vec![base + PAGE]);
    assert_eq!(read, [77]);
    let SpsError(outcome) = it
        .controller
        .llvm(LlvmService::SharedMemoryRelease, &(instance, vec![base]));
    assert_eq!(outcome, Ok(()));
    assert!(!std::path::Path::new(&file).exists(), "the name is gone");
    assert!(it.close().0.success());
}
