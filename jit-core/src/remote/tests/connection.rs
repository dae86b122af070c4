//! What a connection does with a peer that keeps to the protocol.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use orc_shared::ExecutorAddr;
use orc_shared::remote::Opcode;
use orc_shared::remote::services::{ExitStatus, Notice};
use orc_shared::sps::{self, SpsExpected};

use super::peer::{LIMITS, Scripted, connect};
use crate::executor::Disconnect;

const TAG: ExecutorAddr = ExecutorAddr::new(0x5000);

#[test]
fn results_reach_the_threads_that_wait_for_them() {
    let (connection, script) = connect(|mut peer| {
        // Answered in the opposite order.
        let mut calls: Vec<_> = (0..4).map(|_| peer.next().expect("a call")).collect();
        calls.reverse();
        for (header, mut body) in calls {
            body.push(b'!');
            peer.send(Opcode::Result, header.sequence, 0, &body);
        }
        peer.until_the_end();
    });
    thread::scope(|scope| {
        for number in 0..4u8 {
            let connection = &connection;
            scope.spawn(move || {
                let result = connection.call(TAG, &[number]);
                assert_eq!(result, Ok(vec![number, b'!']));
            });
        }
    });
    connection.close(Duration::from_secs(1));
    script.join().expect("the script ends");
}

#[test]
fn the_executor_calls_back_while_its_answer_is_waited_for() {
    let (connection, script) = connect(|mut peer| {
        let (call, _) = peer.next().expect("a call");
        let args = sps::encode(&(TAG, &b"ping"[..]));
        peer.send(Opcode::CallWrapper, 0, Notice::Call.tag().value(), &args);
        // The handler calls the executor itself before it answers.
        let (inner, _) = peer.next().expect("the handler's call");
        peer.send(Opcode::Result, inner.sequence, 0, b"inner");
        let (answer, body) = peer.next().expect("an answer");
        assert_eq!((answer.opcode, answer.sequence), (Opcode::Result, 0));
        let answer = sps::decode::<SpsExpected<Vec<u8>>>(&body).expect("an answer");
        assert_eq!(answer.0, Ok(b"ping-inner".to_vec()));
        peer.send(Opcode::Result, call.sequence, 0, b"outer");
        peer.until_the_end();
    });
    let inner = Arc::downgrade(&connection);
    let handler = move |args: &[u8]| {
        let connection = inner.upgrade().expect("the call is open");
        let result = connection.call(TAG, &[]).expect("an answer");
        [args, b"-", &result].concat()
    };
    connection.register(TAG, Arc::new(handler));
    assert_eq!(connection.call(TAG, &[]), Ok(b"outer".to_vec()));
    connection.close(Duration::from_secs(1));
    script.join().expect("the script ends");
}

#[test]
fn the_program_is_relocated_on_the_thread_that_opens_it() {
    let (refused, wait_until_refused) = mpsc::channel();
    let (connection, script) = connect(move |mut peer| {
        let (call, _) = peer.next().expect("a call");
        let tag = Notice::Relocated.tag().value();
        peer.send(Opcode::CallWrapper, 9, tag, b"values");
        let (answer, body) = peer.next().expect("an answer");
        assert_eq!((answer.sequence, &body[..]), (9, &b"written"[..]));
        peer.send(Opcode::Result, call.sequence, 0, b"opened");
        // Nobody opens a program any more.
        peer.send(Opcode::CallWrapper, 10, tag, b"values");
        let (_, body) = peer.next().expect("an answer");
        assert!(String::from_utf8_lossy(&body).contains("no program is being opened"));
        refused.send(()).expect("the test waits");
        peer.until_the_end();
    });
    let this = thread::current().id();
    let mut seen = Vec::new();
    let opened = connection.call_program(TAG, &[], &mut |values| {
        assert_eq!(thread::current().id(), this);
        seen.extend_from_slice(values);
        b"written".to_vec()
    });
    assert_eq!(
        (opened, &seen[..]),
        (Ok(b"opened".to_vec()), &b"values"[..])
    );
    wait_until_refused.recv().expect("the script goes on");
    connection.close(Duration::from_secs(1));
    script.join().expect("the script ends");
}

#[test]
fn unknown_tags_and_panics_are_the_calls_failure() {
    let (connection, script) = connect(|mut peer| {
        let (call, _) = peer.next().expect("a call");
        for tag in [0x1111, TAG.value()] {
            let args = sps::encode(&(ExecutorAddr::new(tag), &b""[..]));
            peer.send(Opcode::CallWrapper, tag, Notice::Call.tag().value(), &args);
            let (_, body) = peer.next().expect("an answer");
            let answer = sps::decode::<SpsExpected<Vec<u8>>>(&body).expect("an answer");
            let message = answer.0.expect_err("it fails");
            assert!(message.contains(&format!("tag {tag:#x}")), "{message}");
        }
        // Without being accepted, an executor calls by tag, and has no place for errors.
        peer.send(Opcode::CallWrapper, 3, 0x1111, b"");
        assert_eq!(peer.next().expect("an answer").1, b"");
        peer.send(Opcode::Result, call.sequence, 0, b"fine");
        peer.until_the_end();
    });
    connection.register(TAG, Arc::new(|_: &[u8]| panic!("on purpose")));
    assert_eq!(connection.call(TAG, &[]), Ok(b"fine".to_vec()));
    connection.close(Duration::from_secs(1));
    script.join().expect("the script ends");
}

#[test]
fn a_patient_executor_is_not_silent() {
    let (connection, script) = connect(|mut peer| {
        let (call, _) = peer.next().expect("a call");
        let answered = thread::spawn({
            let mut other = Scripted(peer.0.try_clone().expect("a socket"));
            move || {
                thread::sleep(LIMITS.silence.expect("a limit") * 3);
                other.send(Opcode::Result, call.sequence, 0, b"late");
            }
        });
        peer.until_the_end();
        answered.join().expect("it answers");
    });
    assert_eq!(connection.call(TAG, &[]), Ok(b"late".to_vec()));
    connection.close(Duration::from_secs(1));
    script.join().expect("the script ends");
}

#[test]
fn what_the_executor_says_of_its_end_counts() {
    let (connection, script) = connect(|mut peer| {
        peer.next().expect("a call");
        let status = ExitStatus {
            value: 3,
            signaled: false,
        };
        let tag = Notice::Exited.tag().value();
        peer.send(Opcode::CallWrapper, 0, tag, &sps::encode(&status));
    });
    let status = ExitStatus {
        value: 3,
        signaled: false,
    };
    let lost = Disconnect::Ended(status, None);
    assert_eq!(connection.call(TAG, &[]), Err(lost.clone()));
    // So does every later call, at once.
    assert_eq!(connection.call(TAG, &[]), Err(lost.clone()));
    assert_eq!(connection.lost(), Some(lost));
    script.join().expect("the script ends");
}

#[test]
fn a_closed_session_wakes_everybody() {
    let (connection, script) = connect(|mut peer| peer.until_the_end());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| connection.call(TAG, &[]));
        thread::sleep(Duration::from_millis(50));
        connection.close(Duration::from_secs(1));
        let result = waiting.join().expect("no panic");
        assert_eq!(result, Err(Disconnect::Closed));
    });
    assert_eq!(connection.call(TAG, &[]), Err(Disconnect::Closed));
    script.join().expect("the script ends");
}
