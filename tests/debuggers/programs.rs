//! What is debugged.

use tests::command::{Ending, Invocation};
use tests::scratch::Scratch;

/// Calls a function, and `qsort`, which calls back.
pub const SORT: &str = "\
#include <stdio.h>
#include <stdlib.h>
struct pair { int left, right; };
static int compare_pairs(const void *a, const void *b) {
  const struct pair *x = a, *y = b;
  int difference = x->left - y->left;
  return difference;
}
int counter = 7;
int sum_for_debuggers(int a, int b) {
  int sum = a + b;
  counter += sum;
  return sum;
}
int main(int argc, char **argv) {
  struct pair pairs[3] = {{3, 1}, {1, 2}, {2, 3}};
  int total = sum_for_debuggers(argc, 41);
  qsort(pairs, 3, sizeof *pairs, compare_pairs);
  printf(\"%d %d\\n\", total, pairs[0].left);
  return 0;
}
";

/// Throws, and has a template, a method and an initializer.
pub const SHAPES: &str = "\
#include <cstdio>
#include <stdexcept>
struct Shape { virtual ~Shape() = default; virtual int area() const = 0; };
struct Square : Shape {
  int side; explicit Square(int s) : side(s) {}
  int area() const override {
    return side * side; }
};
template <class T> T twice(T value) { return value + value; }
static int early = twice(4);
int check(const Shape &shape) {
  int found = shape.area();
  if (found > 8)
    throw std::runtime_error(\"too large\");
  return found;
}
int main() {
  Square square(3);
  try {
    check(square);
  } catch (const std::exception &error) {
    std::puts(error.what());
  }
  return early - 8;
}
";

/// Adds numbers, in Rust.
pub const SUM: &str = "\
fn sum(values: &[u32]) -> u32 {
    let mut total = 0;
    for value in values {
        total += value;
    }
    total
}
fn main() {
    let values = vec![1, 2, 39];
    let total = sum(&values);
    println!(\"{total}\");
}
";

/// Says that it is ready, and goes on for ever.
pub const TICKS: &str = "\
#include <stdio.h>
#include <unistd.h>
int ticks;
int tick(int by) {
  ticks += by;
  return ticks;
}
int main(void) { puts(\"ready\"); fflush(stdout); for (;;) { tick(1); usleep(20000); } }
";

/// Follows a null pointer.
pub const CRASH: &str = "\
int depth;
static int fall(int *where) { depth = 3; return *where; }
int main(void) { return fall(0); }
";

/// Adds numbers, in Rust, for a program in C.
const TOTAL: &str = "\
#[unsafe(no_mangle)]
pub extern \"C\" fn rust_total(count: u32) -> u32 {
    let mut total = 0;
    for number in 0..count {
        total += number * 4 + 1;
    }
    total
}
";

/// A directory with `main.o` and `libtotal.a`, which is of Rust.
pub fn with_rust() -> Scratch {
    let scratch = Scratch::new();
    let main = "unsigned rust_total(unsigned);\nint main(void) { return rust_total(5) - 45; }\n";
    scratch.compile_with("main.o", main, &["-g", "-O0"]);
    scratch.write("total.rs", TOTAL);
    let mut rustc = Invocation::new(["rustc", "--crate-type=staticlib", "-g", "total.rs"]);
    rustc = rustc.arg("--edition=2024");
    let made = rustc.run_in(scratch.path()).expect("rustc starts");
    assert_eq!(made.ending, Ending::Exit(0), "{made:?}");
    scratch
}

/// A directory with the object of a C or C++ program.
pub fn compiled(object: &str, text: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.compile_with(object, text, &["-g", "-O0"]);
    scratch
}
