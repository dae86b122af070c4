//! Listeners and relays: who comes in, and what travels beside calls.

mod support;

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use orc_shared::remote::Opcode;
use orc_shared::remote::services::{ExitStatus, Notice, Service, Stream, Streams, values};
use orc_shared::remote::token;
use orc_shared::sps::{self, SpsError};
use support::controller::{Controller, TIME_MAX, command, message};
use support::{library, path};

const TOKEN: &str = "a token of this test";

/// A listener; killed on drop.
struct Listening {
    child: Child,
    place: String,
}

impl Listening {
    fn new(place: &str) -> Self {
        let mut child = command()
            .args(["--listen", place])
            .env(token::VARIABLE, TOKEN)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the executor starts");
        let stdout = child.stdout.take().expect("is a pipe");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("text");
        let place = line.trim().strip_prefix("orc-executor: listening on ");
        let place = place.expect("says where it listens").to_owned();
        Self { child, place }
    }

    fn connect(&self) -> TcpStream {
        let address = self.place.strip_prefix("tcp:").expect("is TCP");
        let stream = TcpStream::connect(address).expect("listens");
        stream.set_read_timeout(Some(TIME_MAX)).expect("can be set");
        stream
    }

    fn connect_with_token(&self) -> Controller<TcpStream> {
        let mut stream = self.connect();
        let token = token::Token::new(TOKEN.as_bytes()).expect("is long enough");
        let token = token.bytes();
        stream.write_all(token).expect("can be sent");
        Controller::new(stream)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.child.kill().expect("is a child");
        self.child.wait().expect("is a child");
    }
}

fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("server_listen");
    std::fs::create_dir_all(&directory).expect("creatable");
    directory.join(name)
}

/// Whether the other side closes without a word.
fn is_sent_away(mut stream: TcpStream) -> bool {
    let mut byte = [0];
    match stream.read(&mut byte) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn only_the_token_opens_the_door() {
    let listening = Listening::new("tcp:0");
    assert!(
        listening.place.starts_with("tcp:127.0.0.1:"),
        "{}",
        listening.place
    );
    let right = *token::Token::new(TOKEN.as_bytes())
        .expect("is long enough")
        .bytes();
    for index in [0, 5, TOKEN.len() - 1, TOKEN.len(), token::SIZE - 1] {
        let mut wrong = right;
        wrong[index] ^= 1;
        let mut stream = listening.connect();
        stream.write_all(&wrong).expect("can be sent");
        assert!(is_sent_away(stream), "byte {index}");
    }
    let mut short = listening.connect();
    short.write_all(&right[..40]).expect("can be sent");
    short.shutdown(std::net::Shutdown::Write).expect("is open");
    assert!(is_sent_away(short));
    let mut it = listening.connect_with_token();
    assert_eq!(it.accept(Streams::Forwarded).streams, Streams::Forwarded);
    assert!(!it.value::<bool>(values::DESCRIPTORS));
    assert_eq!(it.call(Service::Ping.tag(), b""), b"");
}

#[test]
fn neither_slow_clients_nor_many_keep_others_out() {
    let listening = Listening::new("tcp:0");
    let mut slow = listening.connect();
    slow.write_all(b"a").expect("can be sent");
    let silent = listening.connect();
    let mut crowd = Vec::new();
    for _ in 0..1000 {
        crowd.push(listening.connect());
        // Those who are sent away are not kept here either.
        if crowd.len() > 200 {
            crowd.remove(0);
        }
    }
    let start = Instant::now();
    let mut it = listening.connect_with_token();
    assert_eq!(it.call(Service::Ping.tag(), b""), b"");
    assert!(start.elapsed() < TIME_MAX);
    assert!(is_sent_away(silent) && is_sent_away(slow));
    // The last ones are sent away when their time is over.
    let start = Instant::now();
    assert!(crowd.into_iter().all(is_sent_away));
    assert!(start.elapsed() < TIME_MAX);
    assert_eq!(it.call(Service::Ping.tag(), b""), b"");
}

#[test]
fn a_controller_may_come_after_a_long_wait() {
    let listening = Listening::new("tcp:0");
    // Longer than a client may take to show its token.
    std::thread::sleep(Duration::from_millis(5500));
    let mut it = listening.connect_with_token();
    it.accept(Streams::Forwarded);
}

#[test]
fn a_unix_socket_is_for_its_user() {
    let path = scratch("socket");
    let _ = std::fs::remove_file(&path);
    // One that nobody listens at any more is replaced.
    drop(UnixListener::bind(&path).expect("can be made"));
    let place = format!("unix:{}", path.display());
    let listening = Listening::new(&place);
    assert_eq!(listening.place, place);
    let mode = std::fs::metadata(&path)
        .expect("is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let connect = || {
        let stream = UnixStream::connect(&path).expect("listens");
        stream.set_read_timeout(Some(TIME_MAX)).expect("can be set");
        Controller::new(stream)
    };
    let (mut first, mut second) = (connect(), connect());
    assert_ne!(
        first.value::<u64>(values::PID),
        second.value::<u64>(values::PID)
    );
    assert!(first.value::<bool>(values::DESCRIPTORS));
    for it in [&mut first, &mut second] {
        it.accept(Streams::Inherited);
        assert_eq!(it.call(Service::Ping.tag(), b""), b"");
    }
    // Descriptors pass through the relay.
    let output = std::fs::File::create(scratch("passed")).expect("creatable");
    let library = programs("passed");
    let mut third = connect();
    let accept = sps::encode(&orc_shared::remote::services::Accept {
        version: orc_shared::remote::services::VERSION,
        max_message: 1 << 30,
        silence_max_ms: 0,
        streams: Streams::Passed,
    });
    let fd = std::os::fd::AsRawFd::as_raw_fd(&output);
    let sequence = third.start_with(Service::Accept.tag(), &accept, &[fd; 3]);
    third.finish(sequence, &mut |_, it| panic!("{it:?}"));
    third
        .order(Service::OpenLibrary, library.as_str())
        .expect("opens");
    let function = third.function("say");
    third.call(function, b"");
    let text = std::fs::read_to_string(scratch("passed")).expect("text");
    assert_eq!(text, "out\n");
    let taken = command()
        .args(["--listen", &place])
        .output()
        .expect("starts");
    assert_eq!(taken.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&taken.stderr).contains("unix:"),
        "{taken:?}"
    );
}

fn programs(name: &str) -> String {
    let source = "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n#include <signal.h>\n\
        typedef struct { char *data; size_t size; } result;\n\
        result say(void) { write(1, \"out\\n\", 4); return (result){0, 0}; }\n\
        void much(void) {\n\
            for (int i = 0; i < 100000; ++i) printf(\"line %d\\n\", i);\n\
            fprintf(stderr, \"error\\n\");\n\
            exit(9);\n\
        }\n\
        void copy(void) {\n\
            char line[100];\n\
            while (fgets(line, sizeof line, stdin)) printf(\"<%s>\", line);\n\
            printf(\"end\");\n\
            fflush(stdout);\n\
            _exit(4);\n\
        }\n\
        void die(void) { printf(\"lost\"); write(1, \"kept\", 4); raise(SIGKILL); }\n";
    path(&library(
        &format!("server_listen_{name}"),
        "programs.c",
        source,
        &["-w"],
    ))
}

/// What arrives while a program runs that ends the process.
#[derive(Default, Debug)]
struct Seen {
    output: Vec<u8>,
    error: Vec<u8>,
    exit: Option<ExitStatus>,
}

/// Runs a function of the library, takes all output, gives it `input`.
fn run<S: Read + Write>(
    it: &mut Controller<S>,
    library: &str,
    function: &str,
    input: &[&[u8]],
) -> Seen {
    it.order(Service::OpenLibrary, library).expect("opens");
    let function = it.function(function);
    it.start(function, b"");
    for piece in input {
        let body = sps::encode(piece);
        it.start(Service::Input.tag(), &body);
    }
    let mut seen = Seen::default();
    let mut answered = 0;
    while let Ok(next) = it.receive() {
        assert_eq!(seen.exit, None, "nothing follows: {next:?}");
        match (next.opcode, Notice::from_tag(next.tag)) {
            (Opcode::CallWrapper, Some(Notice::Output)) => {
                let (stream, bytes): (Stream, &[u8]) = sps::decode(&next.body).expect("output");
                match stream {
                    Stream::Output => seen.output.extend(bytes),
                    Stream::Error => seen.error.extend(bytes),
                }
                let null = orc_shared::ExecutorAddr::NULL;
                it.send(&message(Opcode::Result, next.sequence, null, b""));
            }
            (Opcode::CallWrapper, Some(Notice::Exited)) => {
                seen.exit = Some(sps::decode(&next.body).expect("a status"));
            }
            (Opcode::Result, None) => {
                assert_eq!(sps::decode(&next.body), Ok(SpsError(Ok(()))));
                answered += 1;
            }
            _ => panic!("{next:?}"),
        }
    }
    assert_eq!(answered, input.len());
    seen
}

fn status(value: i32, signaled: bool) -> Option<ExitStatus> {
    Some(ExitStatus { value, signaled })
}

fn lines() -> String {
    (0..100_000)
        .map(|index| format!("line {index}\n"))
        .collect()
}

#[test]
fn all_output_arrives_and_then_how_it_ended() {
    let listening = Listening::new("tcp:0");
    let library = programs("output");
    let start = || {
        let mut it = listening.connect_with_token();
        it.accept(Streams::Forwarded);
        it
    };
    let seen = run(&mut start(), &library, "much", &[]);
    assert!(
        seen.output == lines().into_bytes(),
        "{} bytes",
        seen.output.len()
    );
    assert_eq!(seen.error, b"error\n");
    assert_eq!(seen.exit, status(9, false));
    let seen = run(&mut start(), &library, "die", &[]);
    assert_eq!(
        (&seen.output[..], seen.exit),
        (&b"kept"[..], status(libc::SIGKILL, true))
    );
    let seen = run(
        &mut start(),
        &library,
        "copy",
        &[b"first\n", b"second\n", b""],
    );
    assert_eq!(seen.exit, status(4, false), "{seen:?}");
    assert_eq!(
        String::from_utf8_lossy(&seen.output),
        "<first\n><second\n>end"
    );
}

#[test]
fn standard_streams_carry_the_protocol() {
    let (own, theirs) = UnixStream::pair().expect("sockets");
    own.set_read_timeout(Some(TIME_MAX)).expect("can be set");
    let child = command()
        .arg("--stdio")
        .stdin(Stdio::from(OwnedFd::from(
            theirs.try_clone().expect("a copy"),
        )))
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .stderr(Stdio::piped())
        .spawn()
        .expect("the executor starts");
    let mut it = Controller::new(own);
    assert!(it.value::<bool>(values::DESCRIPTORS));
    it.accept(Streams::Forwarded);
    let seen = run(&mut it, &programs("stdio"), "much", &[]);
    assert!(
        seen.output == lines().into_bytes(),
        "{} bytes",
        seen.output.len()
    );
    assert_eq!(seen.exit, status(9, false));
    let (ended, errors) = support::controller::ended(child);
    assert_eq!((ended.code(), errors.as_str()), (Some(9), ""));
}

#[test]
fn output_that_nobody_takes_is_not_mixed_with_messages() {
    let mut child = command()
        .arg("--stdio")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the executor starts");
    let pipes = Pipes {
        input: child.stdout.take().expect("a pipe"),
        output: child.stdin.take().expect("a pipe"),
    };
    let mut it = Controller::new(pipes);
    assert!(!it.value::<bool>(values::DESCRIPTORS));
    it.accept(Streams::Inherited);
    let library = programs("inherited");
    it.order(Service::OpenLibrary, library.as_str())
        .expect("opens");
    let function = it.function("say");
    it.call(function, b"");
    drop(it);
    let (ended, errors) = support::controller::ended(child);
    assert_eq!((ended.code(), errors.as_str()), (Some(0), "out\n"));
}

struct Pipes {
    input: std::process::ChildStdout,
    output: std::process::ChildStdin,
}

impl Read for Pipes {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.input.read(buffer)
    }
}

impl Write for Pipes {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.output.write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.output.flush()
    }
}

#[test]
fn executors_end_with_their_controllers() {
    let listening = Listening::new("tcp:0");
    let mut it = listening.connect_with_token();
    let pid = it.value::<u64>(values::PID);
    it.accept(Streams::Forwarded);
    let alive = || Path::new(&format!("/proc/{pid}")).exists();
    assert!(alive());
    drop(it);
    let children = format!("/proc/{0}/task/{0}/children", listening.child.id());
    let has_children = || {
        !std::fs::read_to_string(&children)
            .expect("is there")
            .is_empty()
    };
    let until = Instant::now() + TIME_MAX;
    while alive() || has_children() {
        assert!(Instant::now() < until, "it outlives its controller");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn it_starts_in_milliseconds() {
    let mut times: Vec<Duration> = (0..10)
        .map(|_| {
            let start = Instant::now();
            let it = support::controller::Spawned::new();
            let time = start.elapsed();
            assert!(it.close().0.success());
            time
        })
        .collect();
    times.sort();
    // A figure for humans; the bound only tells milliseconds from seconds on a busy machine.
    println!(
        "to the setup message: {:?} at best, {:?} in the middle",
        times[0], times[5]
    );
    assert!(times[0] < Duration::from_millis(100), "{times:?}");
}

#[test]
fn wrong_arguments_give_messages() {
    for (arguments, expected) in [
        (&["--nonsense"][..], "unknown argument `--nonsense`"),
        (&[], "No transport is given"),
        (
            &["listen=0.0.0.0:0", "--insecure-no-token"],
            "can be reached from other hosts",
        ),
        (
            &["listen=127.0.0.1:0"],
            "Say --insecure-no-token if they may",
        ),
        (&["--listen", "tcp:0"], "TCP needs a token"),
        (&["--fd", "77"], "descriptor 77 is not open"),
    ] {
        let output = command()
            .args(arguments)
            .env_remove(token::VARIABLE)
            .output()
            .expect("starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(expected), "{arguments:?}: {text}");
        assert!(!output.status.success());
    }
    let help = command().arg("--help").output().expect("starts");
    assert!(help.status.success());
    assert!(String::from_utf8_lossy(&help.stdout).contains("--token-file"));
}
