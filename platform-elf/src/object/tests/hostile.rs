//! Damaged objects: an error or a valid graph, never a panic.

use std::process::Command;

use crate::object::fuzz_object;
use crate::test_object::{Scratch, compile};

const CPP: &str = "#include <string>\n#include <vector>\n\
    thread_local int t = 3; extern int e; static std::vector<std::string> v{\"a\", \"b\"};\n\
    struct A { virtual ~A(); virtual int f(int); }; int A::f(int n) {\n\
      try { return v.at(n).size() + t + e; } catch (std::exception &) { return -1; } }\n\
    __attribute__((constructor(200))) void c() { v.push_back(\"c\"); }\n\
    int common_like; const char *const names[] = {\"x\", \"y\"};";

fn rustc(source: &str) -> Vec<u8> {
    let dir = Scratch::new();
    let (input, output) = (dir.path().join("in.rs"), dir.path().join("out.o"));
    std::fs::write(&input, source).expect("a temporary directory can be written");
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let run = Command::new(compiler)
        .args(["--crate-type=lib", "--emit=obj", "-Copt-level=1", "-o"])
        .args([&output, &input])
        .output()
        .expect("rustc is installed");
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    std::fs::read(&output).expect("rustc wrote its output")
}

fn objects() -> [Vec<u8>; 3] {
    [
        compile("c++", &["-O1", "-ffunction-sections"], CPP),
        compile(
            "c",
            &["-fcommon", "-g"],
            "int c[4]; static int s = 1; int *f(void) { return c + s; }",
        ),
        rustc("pub fn f(n: usize) -> String { vec![\"a\"; n].join(\", \") }"),
    ]
}

/// A small generator of repeatable numbers (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

#[test]
fn every_prefix() {
    for object in objects() {
        // All short prefixes, where the structures are, then steps of a prime.
        let lengths = (0..object.len().min(2000)).chain((2000..object.len()).step_by(13));
        lengths.for_each(|length| fuzz_object(&object[..length]));
    }
}

#[test]
fn random_damage() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for object in objects() {
        let headers = usize::try_from(u64::from_le_bytes(
            object[40..48].try_into().expect("8 bytes"),
        ))
        .expect("fits");
        for _ in 0..3000 {
            let mut damaged = object.clone();
            for _ in 0..=numbers.below(4) {
                // Half of the damage hits the section headers, where most decisions are made.
                let at = match numbers.below(2) {
                    0 => headers + numbers.below(object.len() - headers),
                    _ => numbers.below(object.len()),
                };
                damaged[at] = match numbers.below(3) {
                    0 => 0xff,
                    1 => damaged[at] ^ (1 << numbers.below(8)),
                    _ => numbers.below(256) as u8,
                };
            }
            fuzz_object(&damaged);
        }
    }
}
