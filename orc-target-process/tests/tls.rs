//! Thread-local storage in the reserve: initial values reach every thread, whenever it was made.

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use orc_shared::api::{TlsBlock, TlsPlace};
use orc_target_process::host::thread_locals::{self, Reserve, SETTING, TlsError};
use support::*;

fn tp_offset(block: &TlsBlock) -> i64 {
    match block.place {
        TlsPlace::Fixed(offset) => offset,
        TlsPlace::Module { .. } => panic!("{block:?} is in a module"),
    }
}

/// The calling thread's copy of a block's bytes.
fn here(block: &TlsBlock) -> *mut u8 {
    machine::thread_pointer().wrapping_add_signed(tp_offset(block)) as *mut u8
}

fn read(block: &TlsBlock) -> Vec<u8> {
    // SAFETY: a reserved block of this thread.
    unsafe { std::slice::from_raw_parts(here(block), block.size as usize) }.to_vec()
}

fn in_new_thread<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::spawn(body).join().expect("does not panic")
}

#[test]
fn a_process_with_one_thread() {
    // The harness has threads; a forked child has one. Its parent is a child of this test whose
    // other thread only waits, and so holds no lock that the fork could copy.
    in_child("a_process_with_one_thread", || {
        // SAFETY: see above.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let reserve = Reserve::get();
            let works = (|| {
                let block = reserve.reserve(8, 8).ok()?;
                reserve.commit(&block, &[1, 2, 3]).ok()?;
                let expected = [1, 2, 3, 0, 0, 0, 0, 0];
                let new = std::thread::spawn(move || read(&block)).join().ok()?;
                (read(&block) == expected && new == expected).then_some(())
            })();
            // SAFETY: ends the child.
            unsafe { libc::_exit(i32::from(works.is_none())) };
        }
        let mut status = -1;
        // SAFETY: waits for the child.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0);
    });
}

#[test]
fn existing_and_new_threads_get_the_image() {
    let reserve = Reserve::get();
    let block = reserve.reserve(100, 16).expect("free");
    assert_eq!(tp_offset(&block).rem_euclid(16), 0);
    let barrier = Arc::new(Barrier::new(9));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            std::thread::spawn(move || {
                barrier.wait();
                barrier.wait();
                read(&block)
            })
        })
        .collect();
    barrier.wait();
    let image: Vec<u8> = (1..=60).collect();
    reserve
        .commit(&block, &image)
        .expect("all threads are reached");
    barrier.wait();
    let expected = [image.as_slice(), &[0; 40]].concat();
    assert_eq!(read(&block), expected);
    for thread in threads {
        assert_eq!(thread.join().expect("does not panic"), expected);
    }
    assert_eq!(in_new_thread(move || read(&block)), expected);
    reserve.release(block).expect("it is reserved");
}

#[test]
fn what_is_used_again_is_as_if_it_were_new() {
    in_child("what_is_used_again_is_as_if_it_were_new", || {
        let reserve = Reserve::get();
        let shared: Arc<std::sync::Mutex<Option<TlsBlock>>> = Arc::default();
        let seen = Arc::clone(&shared);
        let (asked, wait) = std::sync::mpsc::channel::<()>();
        let (answer, answers) = std::sync::mpsc::channel();
        let old = std::thread::spawn(move || {
            while wait.recv().is_ok() {
                let block = seen.lock().expect("not poisoned").expect("set");
                answer.send(read(&block)).expect("received");
                // SAFETY: this thread's copy; what linked code would do.
                unsafe { here(&block).write_bytes(77, block.size as usize) };
            }
        });
        let mut places = Vec::new();
        // First with an image, then with zeros alone, then with a short image.
        for image in [&[9; 100][..], &[], &[3; 20]] {
            let block = reserve.reserve(100, 16).expect("free");
            places.push(tp_offset(&block));
            *shared.lock().expect("not poisoned") = Some(block);
            reserve.commit(&block, image).expect("all are reached");
            let expected = [image, &vec![0; 100 - image.len()]].concat();
            asked.send(()).expect("running");
            assert_eq!(answers.recv().expect("sent"), expected);
            assert_eq!(in_new_thread(move || read(&block)), expected);
            assert_eq!(read(&block), expected);
            // SAFETY: as above.
            unsafe { here(&block).write_bytes(66, 100) };
            reserve.release(block).expect("it is reserved");
        }
        assert_eq!(places, [places[0]; 3], "freed blocks are used again");
        drop(asked);
        old.join().expect("does not panic");
    });
}

#[test]
fn only_the_blocks_bytes_are_written() {
    // Others would take what is given back.
    in_child("only_the_blocks_bytes_are_written", || {
        let reserve = Reserve::get();
        let blocks: Vec<TlsBlock> = (0..3)
            .map(|_| reserve.reserve(64, 64).expect("free"))
            .collect();
        for block in &blocks {
            reserve.commit(block, &[7; 64]).expect("reached");
        }
        let (written, wait) = std::sync::mpsc::channel::<()>();
        let (send, receive) = std::sync::mpsc::channel::<()>();
        let ours = blocks.clone();
        let other = std::thread::spawn(move || {
            for block in &ours {
                // SAFETY: this thread's copy.
                unsafe { here(block).write(42) };
            }
            written.send(()).expect("received");
            receive.recv().expect("sent");
            ours.iter().map(|block| read(block)[0]).collect::<Vec<u8>>()
        });
        wait.recv().expect("sent");
        reserve.release(blocks[1]).expect("reserved");
        let again = reserve.reserve(64, 64).expect("free");
        assert_eq!(tp_offset(&again), tp_offset(&blocks[1]));
        reserve.commit(&again, &[]).expect("reached");
        send.send(()).expect("running");
        assert_eq!(other.join().expect("does not panic"), [42, 0, 42]);
        assert_eq!(read(&blocks[0])[0], 7);
        assert_eq!(read(&blocks[1])[0], 0);
    });
}

#[test]
fn what_cannot_be_reserved_is_refused() {
    in_child("what_cannot_be_reserved_is_refused", || {
        let reserve = Reserve::get();
        let error = reserve.reserve(8, 8192).expect_err("too much");
        assert!(matches!(
            error,
            TlsError::Alignment {
                align: 8192,
                max: 4096
            }
        ));
        let all = reserve
            .reserve(8 << 10, 4096)
            .expect("the default size, and the largest alignment");
        assert_eq!(tp_offset(&all).rem_euclid(4096), 0);
        let error = reserve.reserve(64 << 10, 1).expect_err("full").to_string();
        assert!(error.contains("ORC_TLS_RESERVE_SIZE"), "{error}");
        let error = reserve
            .commit(&all, &vec![0; (8 << 10) + 1])
            .expect_err("too large");
        assert!(matches!(error, TlsError::ImageTooLarge { .. }));
        reserve.release(all).expect("never committed");
        let error = reserve.release(all).expect_err("twice");
        assert!(matches!(error, TlsError::UnknownBlock(_)));
        let empty = reserve.reserve(0, 1).expect("an address");
        let other = reserve.reserve(1, 1).expect("another");
        assert_ne!(tp_offset(&empty), tp_offset(&other));
    });
}

#[test]
fn what_does_not_fit_is_taken_from_the_loaders_surplus() {
    const TEST: &str = "what_does_not_fit_is_taken_from_the_loaders_surplus";
    // What a process without a large surplus says is enough, is enough.
    let wanted = 1_000_000 + 4096 + 4096 + 512;
    let tunable = format!("{SETTING}={wanted}");
    in_child_with(TEST, &[("GLIBC_TUNABLES", &tunable)], || {
        let reserve = Reserve::get();
        let barrier = Arc::new(Barrier::new(2));
        let both = Arc::clone(&barrier);
        let shared: Arc<std::sync::Mutex<Option<TlsBlock>>> = Arc::default();
        let seen = Arc::clone(&shared);
        let old = std::thread::spawn(move || {
            both.wait();
            both.wait();
            let block = seen.lock().expect("not poisoned").expect("set");
            (here(&block) as usize % 4096, read(&block))
        });
        barrier.wait();
        let block = reserve.reserve(1_000_000, 4096).expect("the surplus");
        *shared.lock().expect("not poisoned") = Some(block);
        let small = reserve.reserve(64, 64).expect("the built-in reserve");
        let image: Vec<u8> = (0..500_000_u32).map(|at| (at / 7) as u8).collect();
        reserve.commit(&block, &image).expect("reached");
        reserve.commit(&small, &[3; 64]).expect("reached");
        barrier.wait();
        let expected = [image, vec![0; 500_000]].concat();
        assert_eq!(old.join().expect("does not panic"), (0, expected.clone()));
        assert!(read(&block) == expected);
        assert!(in_new_thread(move || read(&block)) == expected);
        assert_eq!(in_new_thread(move || read(&small)), [3; 64]);
        assert_eq!(reserve.wanted(), None);

        let error = reserve.reserve(900_000, 8).expect_err("too much");
        assert!(error.to_string().contains("GLIBC_TUNABLES"), "{error}");
        assert!(reserve.wanted() > Some(1_900_000));

        reserve.release(block).expect("reserved");
        let again = reserve.reserve(1_000_000, 64).expect("free again");
        reserve.commit(&again, &[]).expect("reached");
        assert!(in_new_thread(move || read(&again)) == [0; 1_000_000]);
        assert_eq!(tp_offset(&again), tp_offset(&block));
    });
}

#[test]
fn what_is_wanted_is_said() {
    in_child("what_is_wanted_is_said", || {
        let reserve = Reserve::get();
        assert_eq!(reserve.wanted(), None);
        let error = reserve.reserve(1_000_000, 4096).expect_err("too much");
        assert_eq!(reserve.wanted(), Some(1_000_000 + 4096 + 4096 + 512));
        let setting = format!("{SETTING}=1008704 in GLIBC_TUNABLES");
        assert!(error.to_string().contains(&setting), "{error}");
    });
}

#[test]
fn threads_made_during_commits_start_right() {
    in_child("threads_made_during_commits_start_right", || {
        let reserve = Reserve::get();
        let stop = Arc::new(AtomicBool::new(false));
        let current: Arc<std::sync::Mutex<Option<TlsBlock>>> = Arc::default();
        let seen = Arc::new(AtomicUsize::new(0));
        let makers: Vec<_> = (0..3)
            .map(|_| {
                let (stop, current, seen) =
                    (Arc::clone(&stop), Arc::clone(&current), Arc::clone(&seen));
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let (current, seen) = (Arc::clone(&current), Arc::clone(&seen));
                        in_new_thread(move || {
                            // Linked code is called by threads of any age.
                            for _ in 0..20 {
                                let lock = current.lock().expect("not poisoned");
                                if let Some(block) = *lock {
                                    assert_eq!(read(&block), [9; 4096], "{block:?}");
                                    seen.fetch_add(1, Ordering::Relaxed);
                                }
                                drop(lock);
                                std::thread::yield_now();
                            }
                        });
                    }
                })
            })
            .collect();
        for _ in 0..100 {
            let block = reserve.reserve(4096, 64).expect("free");
            reserve
                .commit(&block, &[9; 4096])
                .expect("all threads are reached");
            *current.lock().expect("not poisoned") = Some(block);
            std::thread::sleep(std::time::Duration::from_millis(2));
            *current.lock().expect("not poisoned") = None;
            reserve.release(block).expect("all threads are reached");
        }
        stop.store(true, Ordering::Relaxed);
        for maker in makers {
            maker.join().expect("no thread saw other bytes");
        }
        assert!(seen.load(Ordering::Relaxed) > 100);
    });
}

/// What linked code calls.
fn get_address(module: u64, offset: u64) -> *mut u8 {
    unsafe extern "C" {
        fn __tls_get_addr(pair: *const [u64; 2]) -> *mut u8;
    }
    // SAFETY: the loader's function; the pair is read during the call.
    unsafe { __tls_get_addr(&[module, offset]) }
}

/// The calling thread's copy of a block in a module.
fn in_module(block: &TlsBlock) -> &'static mut [u8] {
    let TlsPlace::Module { module, offset } = block.place else {
        panic!("{block:?} is not in a module");
    };
    let start = get_address(module.into(), offset.into());
    // SAFETY: a block of this thread, which tests release when nothing refers to it any more.
    unsafe { std::slice::from_raw_parts_mut(start, block.size as usize) }
}

/// The same, as code with TLS descriptors gets it.
fn by_descriptor(module: u64, offset: u64) -> *mut u8 {
    let access = thread_locals::access().expect("the loader tells");
    let pair = [module, offset];
    let descriptor = [access.descriptor_function.value(), (&raw const pair) as u64];
    // SAFETY: the function is that of the descriptor.
    let tp_offset = unsafe { machine::by_descriptor(&descriptor) };
    machine::thread_pointer().wrapping_add(tp_offset) as *mut u8
}

#[test]
fn a_module_of_its_own_has_its_image_in_every_thread() {
    let reserve = Reserve::get();
    let barrier = Arc::new(Barrier::new(2));
    let both = Arc::clone(&barrier);
    let shared: Arc<std::sync::Mutex<Option<TlsBlock>>> = Arc::default();
    let seen = Arc::clone(&shared);
    let old = std::thread::spawn(move || {
        both.wait();
        both.wait();
        let block = seen.lock().expect("not poisoned").expect("set");
        (
            in_module(&block).as_ptr().addr() % 256,
            in_module(&block).to_vec(),
        )
    });
    barrier.wait();
    let block = reserve.reserve_module(100_000, 256).expect("made");
    *shared.lock().expect("not poisoned") = Some(block);
    let image: Vec<u8> = (0..50_000_u32).map(|at| (at / 7) as u8).collect();
    reserve.commit(&block, &image).expect("written");
    let error = reserve
        .commit(&block, &vec![0; 100_001])
        .expect_err("too much");
    assert!(matches!(error, TlsError::ImageTooLarge { .. }));
    barrier.wait();
    let expected = [image, vec![0; 50_000]].concat();
    assert_eq!(old.join().expect("does not panic"), (0, expected.clone()));
    assert!(in_new_thread(move || in_module(&block).to_vec()) == expected);
    assert!(in_module(&block) == expected);
    in_module(&block).fill(7);

    let TlsPlace::Module { module, .. } = block.place else {
        panic!("{block:?}");
    };
    let start = in_module(&block).as_mut_ptr();
    assert_eq!(by_descriptor(module.into(), 5), start.wrapping_add(5));
    in_new_thread(move || {
        // The first access of this thread makes its copy.
        let at = by_descriptor(module.into(), 6);
        assert_eq!(at, in_module(&block).as_mut_ptr().wrapping_add(6));
    });

    reserve.release(block).expect("reserved");
    let error = reserve.release(block).expect_err("twice");
    assert!(matches!(error, TlsError::UnknownBlock(_)));
    let again = reserve.reserve_module(100_000, 8).expect("made");
    reserve.commit(&again, &[3]).expect("written");
    assert_eq!(
        in_module(&again)[..3],
        [3, 0, 0],
        "nothing is left of the other"
    );
    reserve.release(again).expect("reserved");
}

#[test]
fn what_is_at_a_fixed_offset_has_a_pair_too() {
    let reserve = Reserve::get();
    let access = thread_locals::access().expect("the loader tells");
    let block = reserve.reserve(64, 64).expect("free");
    in_new_thread(move || {
        let offset = tp_offset(&block)
            .wrapping_sub(access.tp_offset)
            .cast_unsigned();
        assert_eq!(get_address(access.module, offset), here(&block));
        assert_eq!(by_descriptor(access.module, offset), here(&block));
    });
    reserve.release(block).expect("reserved");
}

#[test]
fn many_modules_take_no_descriptors_and_leave_nothing() {
    in_child("many_modules_take_no_descriptors_and_leave_nothing", || {
        let reserve = Reserve::get();
        let count = |what: &str| std::fs::read_dir(what).expect("readable").count();
        let mappings = || {
            std::fs::read_to_string("/proc/self/maps")
                .expect("readable")
                .lines()
                .count()
        };
        let before = (count("/proc/self/fd"), mappings());
        let blocks: Vec<TlsBlock> = (0..1000)
            .map(|number: u32| {
                let block = reserve.reserve_module(1100, 8).expect("made");
                reserve
                    .commit(&block, &number.to_le_bytes())
                    .expect("written");
                block
            })
            .collect();
        assert_eq!(count("/proc/self/fd"), before.0);
        for (number, block) in (0_u32..).zip(&blocks) {
            assert_eq!(
                in_module(block)[..5],
                [&number.to_le_bytes()[..], &[0]].concat()
            );
        }
        for block in blocks {
            reserve.release(block).expect("reserved");
        }
        assert!(mappings() < before.1 + 10);
    });
}
