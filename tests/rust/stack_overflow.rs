//! Rust's own handler tells a stack overflow from other faults, and aborts.

fn recurse(depth: u64) -> u64 {
    let array = std::hint::black_box([depth; 100]);
    if depth == u64::MAX {
        0
    } else {
        recurse(depth + 1) + array[3]
    }
}

fn main() {
    println!("{}", recurse(0));
}
