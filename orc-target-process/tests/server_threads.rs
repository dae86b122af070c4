//! Who serves which call of the controller, when several come at a time.

mod support;

use orc_shared::api::ProgramImage;
use orc_shared::remote::Opcode;
use orc_shared::remote::services::Service;
use orc_shared::sps::{self, SpsError};
use support::wrappers::with_wrappers;

#[test]
fn threads_that_become_idle_while_the_loader_waits_are_in_nobodys_way() {
    let mut it = with_wrappers("server_idle_thread");
    let nap = it.controller.function("nap");
    let mut start = |tens_of_ms: u8| {
        let arguments = sps::encode(&(nap, &[tens_of_ms][..]));
        it.controller.start(Service::Call.tag(), &arguments)
    };
    // The first keeps the main thread busy, so that the others get threads of their own.
    let calls = [10, 30, 35].map(&mut start);
    let first = it.controller.receive().expect("an answer");
    assert_eq!(first.sequence, calls[0]);
    let body = sps::encode(&ProgramImage::default());
    let sequence = it.controller.start(Service::OpenProgram.tag(), &body);
    let mut ended = 0;
    loop {
        let message = it.controller.receive().expect("an answer");
        match message.opcode {
            Opcode::Result if message.sequence == sequence => {
                assert_eq!(sps::decode(&message.body), Ok(SpsError(Ok(()))));
                break;
            }
            Opcode::Result => ended += 1,
            _ => {
                while ended < 2 {
                    it.controller.receive().expect("an answer");
                    ended += 1;
                }
                // They have answered, and are about to wait for the first time.
                std::thread::sleep(std::time::Duration::from_millis(100));
                let done = sps::encode(&SpsError(Ok(())));
                it.controller.answer(message.sequence, &done);
            }
        }
    }
    assert_eq!(ended, 2);
    assert!(it.close().0.success());
}

#[test]
fn calls_that_come_while_a_program_is_opened_are_served() {
    let mut it = with_wrappers("server_calls_while_opening");
    let echo = it.controller.function("echo");
    let echo = sps::encode(&(echo, &b"meanwhile"[..]));
    let image = sps::encode(&ProgramImage::default());
    let opening = it.controller.start(Service::OpenProgram.tag(), &image);
    let echoes = [0; 8].map(|_| it.controller.start(Service::Call.tag(), &echo));
    let mut open = vec![opening];
    open.extend(echoes);
    while !open.is_empty() {
        let message = it.controller.receive().expect("an answer");
        match message.opcode {
            Opcode::Result => open.retain(|sequence| *sequence != message.sequence),
            _ => {
                let done = sps::encode(&SpsError(Ok(())));
                it.controller.answer(message.sequence, &done);
            }
        }
    }
    assert!(it.close().0.success());
}
