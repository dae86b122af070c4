//! Peers that break off, lie or say nothing: each is found out in time, with a typed cause.

use std::io::Write;
use std::time::{Duration, Instant};

use orc_shared::ExecutorAddr;
use orc_shared::remote::Opcode;
use orc_shared::remote::services::Notice;
use orc_shared::sps::{self, SpsError};

use super::peer::{LIMITS, SOON, Scripted, connect, try_connect};
use crate::executor::Disconnect;

/// How a call ends that the script answers with something bad.
#[track_caller]
fn ends(script: impl FnOnce(&mut Scripted, u64) + Send + 'static) -> Disconnect {
    let start = Instant::now();
    let (connection, script) = connect(|mut peer| {
        let (call, _) = peer.next().expect("a call");
        script(&mut peer, call.sequence);
    });
    let lost = connection.call(ExecutorAddr::new(0x5000), b"args");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    // The socket is closed from this side too.
    script.join().expect("the script ends");
    connection.close(Duration::ZERO);
    lost.expect_err("the peer is hostile")
}

/// How a connection ends before it is one.
#[track_caller]
fn never_starts(script: impl FnOnce(&mut Scripted) + Send + 'static) -> Disconnect {
    let start = Instant::now();
    let (opened, script) = try_connect(LIMITS, |mut peer| script(&mut peer));
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    let lost = opened.err().expect("the peer is hostile");
    script.join().expect("the script ends");
    lost
}

fn header(size: u64, opcode: u64, sequence: u64, tag: u64) -> Vec<u8> {
    [size, opcode, sequence, tag]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect()
}

#[test]
fn half_a_message() {
    let lost = ends(|peer, call| {
        let mut bytes = header(132, 2, call, 0);
        bytes.extend([0; 40]);
        peer.0.write_all(&bytes).expect("an open socket");
    });
    let (arrived, size) = (72, 132);
    assert_eq!(lost, Disconnect::Truncated { arrived, size });
    let lost = ends(|peer, _| peer.0.write_all(&[32, 0, 0]).expect("an open socket"));
    let (arrived, size) = (3, 32);
    assert_eq!(lost, Disconnect::Truncated { arrived, size });
}

#[test]
fn half_a_message_and_then_nothing() {
    let lost = ends(|peer, call| {
        peer.0
            .write_all(&header(1 << 19, 2, call, 0))
            .expect("an open socket");
        peer.0.write_all(&[7; 1000]).expect("an open socket");
        while peer.receive().is_some() {}
    });
    let limit = LIMITS.silence.expect("a limit");
    assert_eq!(lost, Disconnect::Silent(limit));
}

#[test]
fn sizes_that_are_only_claimed() {
    for size in [1 << 63, u64::MAX, LIMITS.max_message + 1] {
        let lost = ends(move |peer, call| {
            peer.0
                .write_all(&header(size, 2, call, 0))
                .expect("an open socket");
            peer.until_the_end();
        });
        let message = format!("message of {size} bytes exceeds the limit of 1048576");
        assert_eq!(lost, Disconnect::Protocol(message));
    }
    let lost = ends(|peer, call| {
        peer.0
            .write_all(&header(31, 2, call, 0))
            .expect("an open socket");
        peer.until_the_end();
    });
    assert!(matches!(lost, Disconnect::Protocol(_)), "{lost}");
}

#[test]
fn answers_that_nobody_asked_for() {
    let lost = ends(|peer, call| {
        peer.send(Opcode::Result, call + 1000, 0, b"");
        peer.until_the_end();
    });
    let message = "it answers call 1000, which is not open".to_owned();
    assert_eq!(lost, Disconnect::Protocol(message));
}

#[test]
fn messages_out_of_place() {
    let lost = ends(|peer, _| {
        peer.set_up();
        peer.until_the_end();
    });
    assert_eq!(
        lost,
        Disconnect::Protocol("it introduces itself twice".to_owned())
    );
    let lost = ends(|peer, _| {
        peer.0
            .write_all(&header(32, 77, 0, 0))
            .expect("an open socket");
        peer.until_the_end();
    });
    assert_eq!(
        lost,
        Disconnect::Protocol("unknown message opcode 77".to_owned())
    );
    let lost = ends(|peer, _| {
        let tag = Notice::Exited.tag().value();
        peer.send(Opcode::CallWrapper, 0, tag, b"not a status");
        peer.until_the_end();
    });
    assert!(matches!(lost, Disconnect::Protocol(_)), "{lost}");
}

#[test]
fn too_many_calls() {
    let lost = ends(|peer, _| {
        for sequence in 0..1000 {
            let sent = header(32, 3, sequence, 0x77);
            if peer.0.write_all(&sent).is_err() {
                break;
            }
        }
        peer.until_the_end();
    });
    // Answers to unknown tags are fast, so it may also be done with all of them.
    let limit = LIMITS.silence.expect("a limit");
    let too_many = Disconnect::Protocol("more than 8 of its calls are open".to_owned());
    assert!(
        lost == too_many || lost == Disconnect::Silent(limit),
        "{lost}"
    );
}

#[test]
fn silence() {
    let lost = ends(|peer, _| while peer.receive().is_some() {});
    let limit = LIMITS.silence.expect("a limit");
    assert_eq!(lost, Disconnect::Silent(limit));
}

#[test]
fn an_answer_to_the_first_call_that_takes_its_time() {
    let start = Instant::now();
    let (connection, script) = connect(|mut peer| {
        let (call, _) = peer.next().expect("a call");
        let header = header(1 << 19, 2, call.sequence, 0);
        for byte in header.iter().chain(std::iter::repeat(&0)) {
            std::thread::sleep(Duration::from_millis(10));
            if peer.0.write_all(&[*byte]).is_err() {
                break;
            }
        }
    });
    let lost = connection.call_first(ExecutorAddr::new(0x5000), b"args", &[]);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    let message = "it takes longer than 400ms to accept this controller".to_owned();
    assert_eq!(lost, Err(Disconnect::Protocol(message)));
    script.join().expect("the script ends");
}

#[test]
fn an_executor_that_takes_nothing() {
    let start = Instant::now();
    let (connection, script) = connect(|peer| {
        // More than the socket's buffer, until this side gives up.
        std::thread::sleep(LIMITS.silence.expect("a limit") * 4);
        drop(peer);
    });
    let lost = connection.call(ExecutorAddr::new(0x5000), &vec![0; 64 << 20]);
    assert!(start.elapsed() < SOON);
    let limit = LIMITS.silence.expect("a limit");
    assert_eq!(lost, Err(Disconnect::Silent(limit)));
    script.join().expect("the script ends");
}

#[test]
fn the_end() {
    assert_eq!(ends(|_, _| {}), Disconnect::EndOfFile);
    let lost = ends(|peer, _| {
        let farewell = SpsError(Err("out of memory".to_owned()));
        peer.send(Opcode::Hangup, 0, 0, &sps::encode(&farewell));
    });
    assert_eq!(lost, Disconnect::Hangup("out of memory".to_owned()));
}

#[test]
fn peers_that_never_introduce_themselves() {
    assert_eq!(never_starts(|_| {}), Disconnect::EndOfFile);
    let limit = LIMITS.start.expect("a limit");
    let lost = never_starts(|peer| while peer.receive().is_some() {});
    assert_eq!(lost, Disconnect::Silent(limit));
    let lost = never_starts(|peer| {
        let header = header(1 << 19, 0, 0, 0);
        let bytes = header.iter().chain(std::iter::repeat(&0));
        for byte in bytes {
            std::thread::sleep(Duration::from_millis(10));
            if peer.0.write_all(&[*byte]).is_err() {
                break;
            }
        }
    });
    let message = "it takes longer than 400ms to introduce itself".to_owned();
    assert_eq!(lost, Disconnect::Protocol(message));
    let lost = never_starts(|peer| peer.send(Opcode::Result, 0, 0, b""));
    let message = "its first message is a Result".to_owned();
    assert_eq!(lost, Disconnect::Protocol(message));
    let lost = never_starts(|peer| peer.send(Opcode::Setup, 0, 0, &[255; 24]));
    assert!(
        lost.to_string()
            .contains("its setup message cannot be read"),
        "{lost}"
    );
    let lost = never_starts(|peer| {
        let _ = peer
            .0
            .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    assert!(matches!(lost, Disconnect::Protocol(_)), "{lost}");
}
