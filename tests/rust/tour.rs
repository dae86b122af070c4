//! A tour of what an ordinary Rust program takes for granted.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::panic;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, mpsc};
use std::thread;

static DROPPED: AtomicUsize = AtomicUsize::new(0);
static LAZY: LazyLock<HashMap<&str, usize>> = LazyLock::new(|| {
    ["one", "three", "seven"]
        .into_iter()
        .map(|word| (word, word.len()))
        .collect()
});
static ONCE: OnceLock<String> = OnceLock::new();

struct Counted(u32);

impl Drop for Counted {
    fn drop(&mut self) {
        DROPPED.fetch_add(self.0 as usize, Ordering::SeqCst);
    }
}

thread_local! {
    static LOCAL: RefCell<Counted> = const { RefCell::new(Counted(1)) };
    static LAZY_LOCAL: RefCell<Vec<u32>> = RefCell::new(vec![1, 2, 3]);
}

trait Shape {
    fn area(&self) -> f64;
}

struct Square(f64);
struct Circle(f64);

impl Shape for Square {
    fn area(&self) -> f64 {
        self.0 * self.0
    }
}

impl Shape for Circle {
    fn area(&self) -> f64 {
        std::f64::consts::PI * self.0.powi(2)
    }
}

fn threads() {
    let total = Arc::new(Mutex::new(0u64));
    let handles: Vec<_> = (0..8u32)
        .map(|number| {
            let total = Arc::clone(&total);
            thread::Builder::new()
                .name(format!("worker {number}"))
                .spawn(move || {
                    LOCAL.with_borrow_mut(|local| local.0 += number);
                    LAZY_LOCAL.with_borrow_mut(|local| local.push(number));
                    *total.lock().unwrap() +=
                        LAZY_LOCAL.with_borrow(|local| local.iter().sum::<u32>()) as u64;
                    thread::current().name().unwrap().len()
                })
                .unwrap()
        })
        .collect();
    let names: usize = handles
        .into_iter()
        .map(|handle| handle.join().unwrap())
        .sum();
    println!(
        "threads: {} {names}, dropped {}",
        total.lock().unwrap(),
        DROPPED.load(Ordering::SeqCst)
    );
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for number in 0..4 {
            let sender = sender.clone();
            scope.spawn(move || sender.send(number * number).unwrap());
        }
    });
    drop(sender);
    println!("channel: {}", receiver.iter().sum::<i32>());
}

fn panics() {
    panic::set_hook(Box::new(|info| {
        println!("hook: {}", info.payload_as_str().unwrap_or("?"))
    }));
    let caught = panic::catch_unwind(|| {
        let _guard = Counted(1000);
        let numbers: Vec<u32> = Vec::new();
        numbers[std::hint::black_box(3)]
    });
    println!(
        "caught {}, dropped {}",
        caught.is_err(),
        DROPPED.load(Ordering::SeqCst)
    );
    let in_thread = thread::spawn(|| panic!("in a thread")).join();
    println!(
        "thread: {:?}",
        in_thread.unwrap_err().downcast_ref::<&str>()
    );
    let resumed = panic::catch_unwind(|| panic::resume_unwind(Box::new(5u8)));
    println!("resumed: {:?}", resumed.unwrap_err().downcast_ref::<u8>());
    let _ = panic::take_hook();
}

fn numbers() {
    let wide = std::hint::black_box(1u128 << 100) + 12345;
    println!("{} {} {:x}", wide / 1_000_003, wide % 1_000_003, wide);
    println!(
        "{:?} {:.3} {:e} {}",
        0.1 + 0.2,
        (2.0f64).sin(),
        1234.5f32,
        f64::NAN.max(1.0)
    );
    println!(
        "{:?} {:?}",
        "12x".parse::<i32>().is_err(),
        "1e3".parse::<f64>()
    );
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    println!("{arguments:?} {:?}", std::env::var("FROM_THE_HARNESS"));
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).unwrap();
    println!("{:?}", input.lines().collect::<Vec<_>>());

    let shapes: Vec<Box<dyn Shape>> = vec![Box::new(Square(2.0)), Box::new(Circle(1.5))];
    println!(
        "{:.4}",
        shapes.iter().map(|shape| shape.area()).sum::<f64>()
    );
    let mut words: BTreeMap<char, Vec<&str>> = BTreeMap::new();
    for word in "the quick brown fox jumps over the lazy dog".split(' ') {
        words
            .entry(word.chars().next().unwrap())
            .or_default()
            .push(word);
    }
    println!("{words:?}");
    println!(
        "{:?} {}",
        LAZY.get("seven"),
        ONCE.get_or_init(|| "once".repeat(3))
    );
    let shared = Rc::new(RefCell::new(vec![3, 1, 2]));
    shared.borrow_mut().sort_unstable();
    println!("{shared:?} {}", Rc::strong_count(&shared));
    threads();
    panics();
    numbers();
    let output = std::process::Command::new("echo")
        .arg("from a child")
        .output()
        .unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    std::io::stdout().flush().unwrap();
    std::process::exit(43);
}
