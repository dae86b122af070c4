//! The other end of a socket pair.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use orc_shared::ExecutorAddr;
use orc_shared::remote::{HEADER_SIZE, MessageHeader, Opcode, Setup};
use orc_shared::sps;

use crate::executor::Disconnect;
use crate::remote::connection::{Connection, Limits, Peer, Told};
use crate::remote::stream::Stream;

/// Limits that end a test soon.
pub const LIMITS: Limits = Limits {
    max_message: 1 << 20,
    max_calls: 8,
    silence: Some(Duration::from_millis(400)),
    start: Some(Duration::from_millis(400)),
};

/// What every hostile peer must be found out within.
pub const SOON: Duration = Duration::from_secs(5);

/// Nothing is known of the process but what arrives.
struct Unknown;

impl Peer for Unknown {
    fn ended(&self, by: Disconnect, told: &Told) -> Disconnect {
        match told.exit {
            Some(exit) => Disconnect::Ended(exit, None),
            None => by,
        }
    }
}

/// An executor that follows a script.
pub struct Scripted(pub UnixStream);

impl Scripted {
    /// Introduces itself.
    pub fn set_up(&mut self) {
        let setup = Setup {
            triple: "x86_64-unknown-linux-gnu".to_owned(),
            page_size: 4096,
            ..Setup::default()
        };
        self.send(Opcode::Setup, 0, 0, &sps::encode(&setup));
    }

    /// Sends a message.
    pub fn send(&mut self, opcode: Opcode, sequence: u64, tag: u64, body: &[u8]) {
        let header = MessageHeader {
            body_size: body.len() as u64,
            opcode,
            sequence,
            tag: ExecutorAddr::new(tag),
        };
        self.0.write_all(&header.encode()).expect("an open socket");
        self.0.write_all(body).expect("an open socket");
    }

    /// Receives a message. `None` at the end.
    pub fn receive(&mut self) -> Option<(MessageHeader, Vec<u8>)> {
        let mut header = [0; HEADER_SIZE];
        self.0.read_exact(&mut header).ok()?;
        let header = MessageHeader::decode(&header, u64::MAX).expect("a good header");
        let mut body = vec![0; header.body_size as usize];
        self.0.read_exact(&mut body).ok()?;
        Some((header, body))
    }

    /// Receives the next message that is no ping, answering pings.
    pub fn next(&mut self) -> Option<(MessageHeader, Vec<u8>)> {
        loop {
            let (header, body) = self.receive()?;
            if header.tag != orc_shared::remote::services::Service::Ping.tag() {
                return Some((header, body));
            }
            self.send(Opcode::Result, header.sequence, 0, &[]);
        }
    }

    /// Waits for the end of the session.
    pub fn until_the_end(&mut self) {
        while self.next().is_some() {}
    }
}

/// Starts a script on a thread, and the connection to it.
pub fn try_connect(
    limits: Limits,
    script: impl FnOnce(Scripted) + Send + 'static,
) -> (Result<Arc<Connection>, Disconnect>, JoinHandle<()>) {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    let script = thread::spawn(move || script(Scripted(theirs)));
    let opened = Connection::open(Stream::Unix(ours), Box::new(Unknown), limits);
    let opened = opened.map(|(connection, _)| {
        connection.accepted();
        connection
    });
    (opened, script)
}

/// The same for a script that introduces itself.
pub fn connect(
    script: impl FnOnce(Scripted) + Send + 'static,
) -> (Arc<Connection>, JoinHandle<()>) {
    let (opened, script) = try_connect(LIMITS, |mut peer: Scripted| {
        peer.set_up();
        script(peer);
    });
    (opened.expect("it introduces itself"), script)
}
