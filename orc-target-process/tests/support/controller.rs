//! A controller that sends what it likes, to an executor in a process of its own.

use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use orc_shared::ExecutorAddr;
use orc_shared::api::{Import, ImportKind, ImportValue};
use orc_shared::remote::llvm::LlvmService;
use orc_shared::remote::services::{Accept, Accepted, Service, Streams, VERSION};
use orc_shared::remote::{HEADER_SIZE, MessageHeader, Opcode, Setup};
use orc_shared::sps::{self, SpsDecode, SpsEncode, SpsError, SpsExpected};

use super::import;

/// How long anything may take here, on a busy machine.
pub const TIME_MAX: Duration = Duration::from_secs(30);

/// The executor's command.
pub fn command() -> Command {
    super::program(env!("CARGO_BIN_EXE_orc-executor").as_ref())
}

/// A message as it came.
#[derive(Debug)]
pub struct Message {
    pub opcode: Opcode,
    pub sequence: u64,
    pub tag: ExecutorAddr,
    pub body: Vec<u8>,
}

/// A connection to an executor, from the controller's side.
pub struct Controller<S> {
    pub stream: S,
    pub setup: Setup,
    next: u64,
}

/// An executor that this process has started.
pub struct Spawned {
    pub controller: Controller<UnixStream>,
    pub child: Child,
}

impl Spawned {
    /// Starts one over a socket pair, and reads its setup message.
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// The same with more arguments.
    pub fn with(arguments: &[&str]) -> Self {
        let (own, theirs) = UnixStream::pair().expect("sockets");
        own.set_read_timeout(Some(TIME_MAX)).expect("can be set");
        let child = command()
            .args(["--fd", "0"])
            .args(arguments)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the executor starts");
        Self {
            controller: Controller::new(own),
            child,
        }
    }

    /// The same, accepted by a controller of ours.
    pub fn accepted() -> Self {
        let mut spawned = Self::new();
        spawned.controller.accept(Streams::Inherited);
        spawned
    }

    /// Closes the connection and waits for the process to end.
    pub fn close(self) -> (ExitStatus, String) {
        drop(self.controller);
        ended(self.child)
    }

    /// Waits for the process to end by itself.
    pub fn ended(self) -> (ExitStatus, String) {
        ended(self.child)
    }
}

/// Waits for a process to end, in bounded time. What it wrote to its standard error.
pub fn ended(mut child: Child) -> (ExitStatus, String) {
    let until = Instant::now() + TIME_MAX;
    let status = loop {
        if let Some(status) = child.try_wait().expect("is a child") {
            break status;
        }
        if Instant::now() > until {
            child.kill().expect("is a child");
            panic!("the process did not end in {TIME_MAX:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let mut text = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut text).expect("is text");
    }
    (status, text)
}

/// The bytes of a message.
pub fn message(opcode: Opcode, sequence: u64, tag: ExecutorAddr, body: &[u8]) -> Vec<u8> {
    let header = MessageHeader {
        body_size: body.len() as u64,
        opcode,
        sequence,
        tag,
    };
    [&header.encode()[..], body].concat()
}

impl<S: Read + Write> Controller<S> {
    /// Reads the setup message.
    pub fn new(stream: S) -> Self {
        let mut controller = Self {
            stream,
            setup: Setup::default(),
            next: 0,
        };
        let first = controller.receive().expect("a message");
        assert_eq!(first.opcode, Opcode::Setup);
        controller.setup = sps::decode(&first.body).expect("a setup");
        controller
    }

    pub fn accept(&mut self, streams: Streams) -> Accepted {
        let accept = Accept {
            version: VERSION,
            max_message: 1 << 30,
            silence_max_ms: 0,
            streams,
        };
        self.expected(Service::Accept, &accept)
            .expect("same version")
    }

    /// A value of the setup message.
    pub fn value<T: for<'a> SpsDecode<'a>>(&self, name: &str) -> T {
        let value = self.setup.values.iter().find(|(it, _)| it == name);
        sps::decode(&value.expect("is there").1).expect("has this type")
    }

    /// A symbol of the setup message.
    pub fn symbol(&self, name: &str) -> ExecutorAddr {
        let symbol = self.setup.symbols.iter().find(|(it, _)| it == name);
        symbol.expect("is there").1
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("can be sent");
    }

    /// The next message; an error at the end.
    pub fn receive(&mut self) -> io::Result<Message> {
        let mut header = [0; HEADER_SIZE];
        self.stream.read_exact(&mut header)?;
        let header = MessageHeader::decode(&header, u64::MAX).expect("a header");
        let mut body = vec![0; header.body_size as usize];
        self.stream.read_exact(&mut body)?;
        Ok(Message {
            opcode: header.opcode,
            sequence: header.sequence,
            tag: header.tag,
            body,
        })
    }

    /// Starts a call.
    pub fn start(&mut self, tag: ExecutorAddr, body: &[u8]) -> u64 {
        let sequence = self.next;
        self.next += 1;
        self.send(&message(Opcode::CallWrapper, sequence, tag, body));
        sequence
    }

    /// Waits for a result; `serve` answers the executor's calls meanwhile.
    pub fn finish(
        &mut self,
        sequence: u64,
        serve: &mut dyn FnMut(&mut Self, &Message) -> Vec<u8>,
    ) -> Vec<u8> {
        loop {
            let it = self.receive().expect("an answer");
            match it.opcode {
                Opcode::Result => {
                    assert_eq!(it.sequence, sequence);
                    return it.body;
                }
                Opcode::CallWrapper => {
                    let result = serve(self, &it);
                    self.answer(it.sequence, &result);
                }
                Opcode::Setup | Opcode::Hangup => panic!("{it:?}"),
            }
        }
    }

    /// Answers a call of the executor.
    pub fn answer(&mut self, sequence: u64, result: &[u8]) {
        let result = message(Opcode::Result, sequence, ExecutorAddr::NULL, result);
        self.send(&result);
    }

    /// Calls, and expects no call back.
    pub fn call(&mut self, tag: ExecutorAddr, body: &[u8]) -> Vec<u8> {
        let sequence = self.start(tag, body);
        self.finish(sequence, &mut |_, it| panic!("{it:?}"))
    }

    /// Calls a service that returns a value or fails.
    pub fn expected<T: for<'a> SpsDecode<'a>>(
        &mut self,
        service: Service,
        arguments: &(impl SpsEncode + ?Sized),
    ) -> Result<T, String> {
        let answer = self.call(service.tag(), &sps::encode(arguments));
        sps::decode::<SpsExpected<T>>(&answer).expect("an answer").0
    }

    /// Calls a service that succeeds or fails.
    pub fn order(
        &mut self,
        service: Service,
        arguments: &(impl SpsEncode + ?Sized),
    ) -> Result<(), String> {
        let answer = self.call(service.tag(), &sps::encode(arguments));
        sps::decode::<SpsError>(&answer).expect("an answer").0
    }

    /// Calls one of LLVM's services that returns a plain value.
    pub fn llvm<T: for<'a> SpsDecode<'a>>(
        &mut self,
        service: LlvmService,
        arguments: &(impl SpsEncode + ?Sized),
    ) -> T {
        let tag = self.symbol(service.name());
        let answer = self.call(tag, &sps::encode(arguments));
        sps::decode(&answer).expect("an answer of this type")
    }

    /// The address of a function.
    pub fn function(&mut self, name: &str) -> ExecutorAddr {
        let imports: Vec<Import> = vec![import(name, ImportKind::Address)];
        let found: Vec<Option<ImportValue>> = self
            .expected(Service::BindImports, &imports)
            .expect("the loader answers");
        ExecutorAddr::new(found[0].expect("is loaded").value)
    }

    /// Waits for the executor's goodbye, and what it says.
    pub fn goodbye(&mut self) -> String {
        loop {
            let it = self.receive().expect("a goodbye");
            if it.opcode == Opcode::Hangup {
                let SpsError(reason) = sps::decode(&it.body).expect("an error");
                return reason.expect_err("a reason");
            }
        }
    }

    /// Whether the executor has closed the connection.
    pub fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}

impl Controller<UnixStream> {
    /// Sends a message with descriptors.
    pub fn start_with(&mut self, tag: ExecutorAddr, body: &[u8], descriptors: &[RawFd]) -> u64 {
        let sequence = self.next;
        self.next += 1;
        let bytes = message(Opcode::CallWrapper, sequence, tag, body);
        let sent = send_with(&self.stream, &bytes, descriptors);
        self.send(&bytes[sent..]);
        sequence
    }
}

/// Sends bytes, the first of them with descriptors.
fn send_with(stream: &UnixStream, bytes: &[u8], descriptors: &[RawFd]) -> usize {
    let parts = [IoSlice::new(bytes)];
    let mut control = [0_u64; 16];
    // SAFETY: all zero is an empty message header; it is given one part and room for descriptors.
    unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_iov = parts.as_ptr().cast_mut().cast();
        header.msg_iovlen = 1;
        let size = size_of_val(descriptors) as u32;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = libc::CMSG_SPACE(size) as usize;
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        (*first).cmsg_level = libc::SOL_SOCKET;
        (*first).cmsg_type = libc::SCM_RIGHTS;
        (*first).cmsg_len = libc::CMSG_LEN(size) as usize;
        let data = libc::CMSG_DATA(first).cast::<RawFd>();
        for (index, fd) in descriptors.iter().enumerate() {
            data.add(index).write_unaligned(*fd);
        }
        let sent = libc::sendmsg(stream.as_raw_fd(), &raw const header, 0);
        usize::try_from(sent).expect("can be sent")
    }
}
