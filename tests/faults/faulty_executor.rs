//! An executor whose connection breaks at a chosen message: `faulty-executor FAULT NUMBER COMMAND…`.
//!
//! Starts COMMAND, an executor that speaks through its standard streams, and passes messages between it
//! and the controller, which has started this program in its place. The message with that number, both
//! directions counted together, meets the fault; nothing happens if there are not that many. How many
//! there have been is in the file that `FAULTY_COUNT` names, at any time.

use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitCode, Stdio, exit};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use orc_shared::ExecutorAddr;
use orc_shared::remote::{HEADER_SIZE, MessageHeader, Opcode};

/// What happens to the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    /// The executor is killed before the message is passed on.
    Kill,
    /// Both sides see the end of the connection.
    Close,
    /// The same after half of the message.
    Half,
    /// Nothing is passed on any more, in either direction.
    Silence,
    /// The message claims to have 2^63 bytes.
    Huge,
    /// A result that nobody has asked for precedes it.
    Stray,
    /// It is passed on twice.
    Twice,
}

/// The exit code for a use that makes no sense.
const BAD_USE: u8 = 98;

/// Messages passed on so far.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Held while a message is passed on, and for ever once there is silence.
static PASSING: Mutex<()> = Mutex::new(());

struct Plan {
    fault: Fault,
    number: u64,
    executor: Mutex<Child>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((fault, number, command)) = parse(&arguments) else {
        eprintln!("use: faulty-executor kill|close|half|silence|huge|stray|twice NUMBER COMMAND…");
        return ExitCode::from(BAD_USE);
    };
    let started = Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut executor = match started {
        Ok(executor) => executor,
        Err(error) => {
            eprintln!("faulty-executor: {}: {error}", command[0]);
            return ExitCode::from(BAD_USE);
        }
    };
    let (to, from) = (executor.stdin.take(), executor.stdout.take());
    let (Some(to), Some(from)) = (to, from) else {
        return ExitCode::from(BAD_USE);
    };
    let plan = Plan {
        fault,
        number,
        executor: Mutex::new(executor),
    };
    let plan: &'static Plan = Box::leak(Box::new(plan));
    thread::spawn(move || {
        let mut to = to;
        // The end of the input is passed on when the pipe is dropped.
        pump(plan, &mut std::io::stdin().lock(), &mut to)
    });
    let mut from = from;
    // The controller sees the end of the output when this process ends.
    let _ = pump(plan, &mut from, &mut std::io::stdout().lock());
    finish(plan)
}

fn parse(arguments: &[String]) -> Option<(Fault, u64, &[String])> {
    let (fault, rest) = arguments.split_first()?;
    let (number, command) = rest.split_first()?;
    let fault = match fault.as_str() {
        "kill" => Fault::Kill,
        "close" => Fault::Close,
        "half" => Fault::Half,
        "silence" => Fault::Silence,
        "huge" => Fault::Huge,
        "stray" => Fault::Stray,
        "twice" => Fault::Twice,
        _ => return None,
    };
    (!command.is_empty()).then_some((fault, number.parse().ok()?, command))
}

/// Passes messages on until a stream ends or the plan says so.
fn pump(plan: &Plan, from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    loop {
        let mut message = vec![0; HEADER_SIZE];
        from.read_exact(&mut message)?;
        let mut header = [0; HEADER_SIZE];
        header.copy_from_slice(&message);
        let decoded = MessageHeader::decode(&header, u64::MAX).map_err(io::Error::other)?;
        message.resize(HEADER_SIZE + decoded.body_size as usize, 0);
        from.read_exact(&mut message[HEADER_SIZE..])?;
        let passing = PASSING.lock();
        if COUNT.fetch_add(1, Ordering::Relaxed) == plan.number {
            apply(plan, &mut message, to)?;
        }
        to.write_all(&message)?;
        to.flush()?;
        write_count();
        drop(passing);
    }
}

fn write_count() {
    let Some(file) = std::env::var_os("FAULTY_COUNT") else {
        return;
    };
    let count = COUNT.load(Ordering::Relaxed).to_string();
    if let Err(error) = std::fs::write(file, count) {
        eprintln!("faulty-executor: {error}");
    }
}

/// Does to the message what is planned.
fn apply(plan: &Plan, message: &mut [u8], to: &mut impl Write) -> io::Result<()> {
    match plan.fault {
        Fault::Kill => {
            let mut executor = plan
                .executor
                .lock()
                .unwrap_or_else(|error| error.into_inner());
            executor.kill()?;
            drop(executor);
            finish(plan);
        }
        // The end of this process closes everything.
        Fault::Close => finish_now(),
        Fault::Half => {
            to.write_all(&message[..message.len() / 2])?;
            to.flush()?;
            finish_now();
        }
        Fault::Silence => loop {
            thread::park();
        },
        Fault::Huge => message[..8].copy_from_slice(&(1u64 << 63).to_le_bytes()),
        Fault::Stray => {
            let header = MessageHeader {
                body_size: 0,
                opcode: Opcode::Result,
                sequence: 0x7777_7777,
                tag: ExecutorAddr::NULL,
            };
            to.write_all(&header.encode())?;
        }
        Fault::Twice => to.write_all(message)?,
    }
    Ok(())
}

/// Ends this process once the executor has ended.
fn finish(plan: &Plan) -> ! {
    let mut executor = plan
        .executor
        .lock()
        .unwrap_or_else(|error| error.into_inner());
    let _ = executor.wait();
    finish_now()
}

fn finish_now() -> ! {
    write_count();
    exit(0)
}
