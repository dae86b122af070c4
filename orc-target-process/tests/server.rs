//! The executor's services, asked by a controller that speaks in raw messages.

mod support;

use std::io::Read as _;
use std::os::fd::AsRawFd as _;

use orc_shared::api::{
    Allocated, AllocationRequest, Content, Finalization, FinalizeRequest, ImportValue,
    LoadedLibrary, Placement, ProgramIdentity, ProgramImage, RangeId, SegmentKind, SegmentRequest,
    TlsRequest, TlsRoom,
};
use orc_shared::remote::Opcode;
use orc_shared::remote::services::{
    Accept, Accepted, Notice, Prepare, Service, Streams, VERSION, values,
};
use orc_shared::sps::{self, SpsError, SpsExpected};
use orc_shared::{ExecutorAddr, ExecutorAddrRange};
use orc_system::shared_memory::SharedMemory;
use support::controller::{Message, Spawned};
use support::machine::{TRIPLE, wrapper_returning};
use support::wrappers::{WRAPPERS, call, to_controller, with_wrappers};
use support::{function, library, path};

#[test]
fn the_setup_says_who_it_is() {
    let it = Spawned::new();
    let setup = &it.controller.setup;
    assert_eq!(setup.triple, TRIPLE);
    assert_eq!(setup.page_size, 4096);
    assert_eq!(it.controller.value::<u32>(values::VERSION), VERSION);
    assert_eq!(
        it.controller.value::<u64>(values::PID),
        u64::from(it.child.id())
    );
    assert!(it.controller.value::<bool>(values::DESCRIPTORS));
    assert_eq!(it.controller.value::<String>(values::BOOT_ID).len(), 36);
    for &service in Service::ALL {
        assert_eq!(it.controller.symbol(service.name()), service.tag());
    }
    let (status, errors) = it.close();
    assert!(status.success(), "{errors}");
}

#[test]
fn another_version_is_refused_and_the_executor_stays() {
    let mut it = Spawned::new();
    let accept = Accept {
        version: VERSION + 1,
        max_message: 1 << 20,
        silence_max_ms: 0,
        streams: Streams::Inherited,
    };
    let error = it.controller.expected::<Accepted>(Service::Accept, &accept);
    assert!(error.expect_err("is refused").contains("wants version"));
    assert_eq!(
        it.controller.accept(Streams::Forwarded).streams,
        Streams::Inherited
    );
    assert_eq!(it.controller.call(Service::Ping.tag(), &[]), []);
    assert!(it.close().0.success());
}

#[test]
fn wrapper_calls_run_on_the_main_thread_and_tell_of_errors() {
    let mut it = with_wrappers("server_wrapper_calls");
    assert_eq!(call(&mut it, "echo", b"12345678"), Ok(b"12345678".to_vec()));
    assert_eq!(
        call(&mut it, "echo", b"123456789"),
        Ok(b"123456789".to_vec())
    );
    assert_eq!(call(&mut it, "refuse", b""), Err("refused".to_owned()));
    assert_eq!(call(&mut it, "is_main_thread", b""), Ok(vec![1]));
    // By its address, a function has no way to tell.
    let refuse = it.controller.function("refuse");
    assert_eq!(it.controller.call(refuse, b""), b"");
    let echo = it.controller.function("echo");
    assert_eq!(it.controller.call(echo, b"by address"), b"by address");
    assert!(it.close().0.success());
}

#[test]
fn linked_code_calls_the_controller_and_is_called_meanwhile() {
    let mut it = with_wrappers("server_calls_back");
    let echo = it.controller.function("echo");
    let function = it.controller.function("call_back");
    let arguments = to_controller(&it, 0x7000, b"from linked code");
    let controller = &mut it.controller;
    let bytes = sps::encode(&(function, &arguments[..]));
    let sequence = controller.start(Service::Call.tag(), &bytes);
    let answer = controller.finish(sequence, &mut |controller, call| {
        assert_eq!(call.tag, Notice::Call.tag());
        let (tag, text): (ExecutorAddr, &[u8]) = sps::decode(&call.body).expect("a call");
        assert_eq!((tag.value(), text), (0x7000, &b"from linked code"[..]));
        assert_eq!(controller.call(echo, b"nested"), b"nested");
        sps::encode(&SpsExpected(Ok::<_, String>(b"to linked code".to_vec())))
    });
    let SpsExpected(answer) = sps::decode::<SpsExpected<Vec<u8>>>(&answer).expect("an answer");
    assert_eq!(answer, Ok(b"to linked code".to_vec()));

    // An error of the controller is one of the function.
    let sequence = controller.start(Service::Call.tag(), &bytes);
    let answer = controller.finish(sequence, &mut |_, _| {
        sps::encode(&SpsExpected::<Vec<u8>>(Err("no handler".to_owned())))
    });
    let SpsExpected(answer) = sps::decode::<SpsExpected<Vec<u8>>>(&answer).expect("an answer");
    assert_eq!(answer, Err("no handler".to_owned()));
    assert!(it.close().0.success());
}

#[test]
fn a_forked_child_cannot_call_the_controller() {
    let mut it = with_wrappers("server_fork");
    let arguments = to_controller(&it, 0x7000, b"");
    let status = call(&mut it, "call_back_in_a_child", &arguments).expect("is answered");
    let status = i32::from_le_bytes(status.try_into().expect("four bytes"));
    assert_eq!(status, 41 << 8);
    assert_eq!(call(&mut it, "echo", b"still"), Ok(b"still".to_vec()));
    assert!(it.close().0.success());
}

#[test]
fn the_programs_exit_is_the_executors() {
    let mut it = with_wrappers("server_exit");
    let function = it.controller.function("exit_with");
    let bytes = sps::encode(&(function, &[7_u8][..]));
    it.controller.start(Service::Call.tag(), &bytes);
    assert!(it.controller.is_closed());
    assert_eq!(it.ended().0.code(), Some(7));
}

#[test]
fn working_directory_environment_and_streams_are_the_controllers() {
    let library = library(
        "server_prepare",
        "wrappers.c",
        &format!("#define _GNU_SOURCE\n{WRAPPERS}"),
        &["-w"],
    );
    let mut it = Spawned::new();
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let accept = Accept {
        version: VERSION,
        max_message: 1 << 30,
        silence_max_ms: 0,
        streams: Streams::Passed,
    };
    let fd = writer.as_raw_fd();
    let tag = Service::Accept.tag();
    let sequence = it
        .controller
        .start_with(tag, &sps::encode(&accept), &[fd; 3]);
    let answer = it
        .controller
        .finish(sequence, &mut |_, it| panic!("{it:?}"));
    let SpsExpected(accepted) = sps::decode::<SpsExpected<Accepted>>(&answer).expect("an answer");
    assert_eq!(accepted.expect("accepts").streams, Streams::Passed);
    drop(writer);
    let prepare = Prepare {
        directory: Some(b"/usr".to_vec()),
        environment: Some(vec![b"ONLY=this".to_vec()]),
    };
    it.controller
        .order(Service::Prepare, &prepare)
        .expect("prepares");
    let nowhere = Prepare {
        directory: Some(b"/no/such/directory".to_vec()),
        environment: None,
    };
    let error = it.controller.order(Service::Prepare, &nowhere);
    assert!(error.expect_err("fails").contains("/no/such/directory"));
    let opened = it
        .controller
        .order(Service::OpenLibrary, path(&library).as_str());
    opened.expect("opens");
    assert_eq!(call(&mut it, "environment", b""), Ok(b"/usr this".to_vec()));
    call(&mut it, "print", b"printed").expect("prints");
    assert!(it.close().0.success());
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("text");
    assert_eq!(text, "printed");
}

#[test]
fn libraries_imports_and_files() {
    let mut it = Spawned::accepted();
    let libraries: Vec<LoadedLibrary> = it
        .controller
        .expected(Service::Libraries, &())
        .expect("are known");
    let libc = libraries.iter().find(|it| it.path.contains("libc.so"));
    let libc = libc.expect("is loaded");
    let strlen = it.controller.function("strlen");
    // An IFUNC's address lies in the library, too.
    assert!(libc.range.contains(strlen));
    let error = it
        .controller
        .order(Service::OpenLibrary, "/no/such/library.so");
    assert!(error.expect_err("fails").contains("/no/such/library.so"));
    let read =
        |it: &mut Spawned, path: &str| it.controller.expected::<Vec<u8>>(Service::ReadFile, path);
    assert_eq!(
        read(&mut it, &libc.path),
        Ok(std::fs::read(&libc.path).expect("readable"))
    );
    assert!(
        !read(&mut it, "/proc/self/maps")
            .expect("has text")
            .is_empty()
    );
    assert!(read(&mut it, "/dev/zero").is_err_and(|it| it.contains("no regular file")));
    assert!(read(&mut it, "/no/file").is_err_and(|it| it.contains("/no/file: ")));
    let wanted: Result<Option<u64>, _> = it.controller.expected(Service::WantedSurplus, &());
    assert_eq!(wanted, Ok(None));
    it.controller
        .order(
            Service::SetProgram,
            &ProgramIdentity {
                args: vec![b"./renamed".to_vec(), b"argument".to_vec()],
                ..ProgramIdentity::default()
            },
        )
        .expect("renames");
    let comm = format!("/proc/{}/comm", it.child.id());
    assert_eq!(
        std::fs::read_to_string(comm).expect("is there"),
        "renamed\n"
    );
    assert!(it.controller.order(Service::Input, &b"text"[..]).is_err());
    it.controller
        .order(Service::RedirectNewLibraries, &())
        .expect("nothing to do");
    assert!(it.close().0.success());
}

const TEXT_SIZE: u64 = 1 << 20;

fn request(range: RangeId) -> AllocationRequest {
    let segment = |kind, content_size| SegmentRequest {
        kind,
        content_size,
        size: content_size + 100,
        align: 64,
    };
    AllocationRequest {
        range,
        segments: vec![
            segment(SegmentKind::Text, TEXT_SIZE),
            segment(SegmentKind::ReadOnly, 3),
            segment(SegmentKind::ReadWrite, TEXT_SIZE),
        ],
        tls: Some(TlsRequest {
            size: 16,
            align: 16,
            room: TlsRoom::FixedIfFree,
        }),
        frames: Some(0),
    }
}

fn allocate(it: &mut Spawned) -> Allocated {
    let (range, _): (RangeId, ExecutorAddrRange) = it
        .controller
        .expected(Service::OpenRange, &(Placement::NearLibraries, 0u64))
        .expect("there is address space");
    let allocated: Vec<Option<Allocated>> = it
        .controller
        .expected(Service::Allocate, &vec![request(range)])
        .expect("allocates");
    allocated[0].clone().expect("an empty range has room")
}

/// A wrapper function that returns one byte, at the start of a large text.
fn code(byte: u8) -> Vec<u8> {
    let mut code = wrapper_returning(byte);
    code.resize(TEXT_SIZE as usize, 0xcc);
    code
}

fn data() -> Vec<u8> {
    (0..TEXT_SIZE).map(|index| (index % 251) as u8).collect()
}

/// Checks code and data, and releases them.
fn check_and_release(it: &mut Spawned, allocated: &Allocated, byte: u8) {
    let controller = &mut it.controller;
    assert_eq!(controller.call(allocated.addresses[0], b""), [byte]);
    let reads = vec![(allocated.addresses[2], TEXT_SIZE + 100)];
    let read: Vec<Vec<u8>> =
        controller.llvm(orc_shared::remote::llvm::LlvmService::ReadBuffers, &reads);
    let (content, zeros) = read[0].split_at(TEXT_SIZE as usize);
    assert!(content == data() && zeros.iter().all(|byte| *byte == 0));
    controller
        .order(Service::Release, &vec![allocated.id])
        .expect("releases");
    let again = controller.order(Service::Release, &vec![allocated.id]);
    assert!(again.expect_err("is gone").contains("does not exist"));
}

#[test]
fn memory_is_filled_from_messages() {
    let mut it = Spawned::accepted();
    let allocated = allocate(&mut it);
    assert_eq!(allocated.tls.map(|block| block.size), Some(16));
    let (code, data) = (code(5), data());
    let finalization = vec![Finalization {
        id: allocated.id,
        content: vec![
            Content::Inline(&code),
            Content::Inline(b"abc"),
            Content::Inline(&data),
        ],
        request: FinalizeRequest {
            tls_image: vec![1, 2, 3],
            ..FinalizeRequest::default()
        },
    }];
    let ranges: Vec<Vec<ExecutorAddrRange>> = it
        .controller
        .expected(Service::Finalize, &finalization)
        .expect("finalizes");
    assert_eq!(ranges[0][0].start, allocated.addresses[0]);
    check_and_release(&mut it, &allocated, 5);
    assert!(it.close().0.success());
}

#[test]
fn memory_is_mapped_from_sealed_files() {
    let mut it = Spawned::accepted();
    // The second round finds memory that was used before.
    for byte in [6, 7] {
        let allocated = allocate(&mut it);
        let size = TEXT_SIZE as usize;
        let page = allocated.addresses[2].value() as usize % 4096;
        let at = size + 4096 + page;
        let mut slices = SharedMemory::slices(&[0..size, at..at + size, size..size + 3]);
        let slices = slices.as_mut().expect("memory");
        slices[0].copy_from_slice(&code(byte));
        slices[1].copy_from_slice(&data());
        slices[2].copy_from_slice(b"abc");
        let mut last = None;
        for slice in slices.drain(..) {
            last = slice.into_memory();
        }
        let file = last.expect("the last slice").seal().expect("can be sealed");
        let finalization = vec![Finalization {
            id: allocated.id,
            content: vec![
                Content::Shared(0),
                Content::Shared(size as u64),
                Content::Shared(at as u64),
            ],
            request: FinalizeRequest::default(),
        }];
        let body = sps::encode(&finalization);
        let tag = Service::Finalize.tag();
        let sequence = it.controller.start_with(tag, &body, &[file.as_raw_fd()]);
        let answer = it
            .controller
            .finish(sequence, &mut |_, it| panic!("{it:?}"));
        let SpsExpected(ranges) =
            sps::decode::<SpsExpected<Vec<Vec<ExecutorAddrRange>>>>(&answer).expect("an answer");
        assert_eq!(ranges.expect("finalizes")[0].len(), 3);
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", it.child.id()));
        let maps = maps.expect("is there");
        let mapped = maps.lines().filter(|line| line.contains("orc-content"));
        assert!(mapped.count() >= 2, "{maps}");
        assert!(!maps.lines().any(|line| line.contains("rwx")), "{maps}");
        check_and_release(&mut it, &allocated, byte);
    }
    assert!(it.close().0.success());
}

#[test]
fn wrong_content_leaves_nothing_of_the_batch() {
    let mut it = Spawned::accepted();
    let file = std::fs::File::open("/proc/self/exe").expect("is there");
    let inline = [Content::Inline(b"short"); 3];
    let shared = [Content::Shared(1 << 40); 3];
    for (content, descriptors, expected) in [
        (&inline[..], &[][..], "0x5 bytes for a segment of 0x100000"),
        (
            &inline[..2],
            &[],
            "content for 2 segments, where there are 3",
        ),
        (&shared, &[], "did not come with the message"),
        (&shared, &[file.as_raw_fd()], "not of a file in memory"),
    ] {
        let allocated = allocate(&mut it);
        let finalization = vec![Finalization {
            id: allocated.id,
            content: content.to_vec(),
            request: FinalizeRequest::default(),
        }];
        let tag = Service::Finalize.tag();
        let body = sps::encode(&finalization);
        let sequence = if descriptors.is_empty() {
            it.controller.start(tag, &body)
        } else {
            it.controller.start_with(tag, &body, descriptors)
        };
        let answer = it
            .controller
            .finish(sequence, &mut |_, it| panic!("{it:?}"));
        let SpsExpected(ranges) =
            sps::decode::<SpsExpected<Vec<Vec<ExecutorAddrRange>>>>(&answer).expect("an answer");
        let error = ranges.expect_err("fails");
        assert!(error.contains(expected), "{error}");
        let gone = it.controller.order(Service::Abandon, &vec![allocated.id]);
        assert!(gone.is_err(), "it is abandoned");
    }
    let allocated = allocate(&mut it);
    let abandoned = it.controller.order(Service::Abandon, &vec![allocated.id]);
    abandoned.expect("is in flight");
    assert!(it.close().0.success());
}

#[test]
fn memory_has_a_limit() {
    let mut it = Spawned::with(&["--max-memory", "3M"]);
    it.controller.accept(Streams::Inherited);
    let allocated = allocate(&mut it);
    let requests = vec![request(RangeId(0))];
    let more = it
        .controller
        .expected::<Vec<Option<Allocated>>>(Service::Allocate, &requests);
    assert!(
        more.expect_err("too much")
            .contains("limit of 3145728 bytes")
    );
    let abandoned = it.controller.order(Service::Abandon, &vec![allocated.id]);
    abandoned.expect("is in flight");
    let again = it
        .controller
        .expected::<Vec<Option<Allocated>>>(Service::Allocate, &requests);
    assert!(again.expect("there is room again")[0].is_some());
    assert!(it.close().0.success());
}

#[test]
fn a_program_is_completed_while_the_loader_waits() {
    let library = library(
        "server_program",
        "wrappers.c",
        "int set; __attribute__((constructor)) static void start(void) { set = 1; }",
        &[],
    );
    let mut it = Spawned::accepted();
    let strlen = it.controller.function("strlen");
    let image = ProgramImage {
        needed: vec![path(&library)],
        exports: vec![function(
            "program_function",
            std::ptr::without_provenance(0x1000),
        )],
        imports: vec![support::import(
            "strlen",
            orc_shared::api::ImportKind::Address,
        )],
        ..ProgramImage::default()
    };
    let body = sps::encode(&image);
    let sequence = it.controller.start(Service::OpenProgram.tag(), &body);
    let mut notices = 0;
    let answer = it
        .controller
        .finish(sequence, &mut |controller, call: &Message| {
            assert_eq!(
                (call.opcode, call.tag),
                (Opcode::CallWrapper, Notice::Relocated.tag())
            );
            let values: Vec<ImportValue> = sps::decode(&call.body).expect("values");
            assert_eq!(values[0].value, strlen.value());
            // The loader waits on the main thread, which serves this.
            let open: Result<(RangeId, ExecutorAddrRange), String> =
                controller.expected(Service::OpenRange, &(Placement::NearLibraries, 0u64));
            open.expect("is served");
            notices += 1;
            sps::encode(&SpsError(Ok(())))
        });
    assert_eq!(notices, 1);
    assert_eq!(sps::decode(&answer), Ok(SpsError(Ok(()))));
    assert!(it.close().0.success());

    let mut it = Spawned::accepted();
    let sequence = it.controller.start(Service::OpenProgram.tag(), &body);
    let answer = it.controller.finish(sequence, &mut |_, _| {
        sps::encode(&SpsError(Err("a relocation is out of range".to_owned())))
    });
    let SpsError(outcome) = sps::decode(&answer).expect("an answer");
    assert!(
        outcome
            .expect_err("fails")
            .contains("a relocation is out of range")
    );
    assert!(it.close().0.success());
}
