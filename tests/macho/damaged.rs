//! Damaged objects of real programs: what is cut off is an error, and what is changed is never a panic.

use std::path::Path;

use jit_core::cpu::Architecture;
use jit_core::object::Claims;
use orc_jit::ObjectReader;

use super::run;

/// Three objects: their compiler's words.
pub const OBJECTS: [(&str, &[&str]); 3] = [
    (
        "x86_64.o",
        &["c++", "-target", "x86_64-macos", "-O1", "main.cpp"],
    ),
    (
        "arm64.o",
        &["c++", "-target", "aarch64-macos", "-O2", "main.cpp"],
    ),
    (
        "debug.o",
        &["cc", "-target", "x86_64-macos", "-O0", "-g", "main.c"],
    ),
];

/// Constructors, exceptions, thread-locals, templates.
const CXX: &str = r#"
    #include <cstdio>
    #include <map>
    #include <stdexcept>
    #include <string>
    struct Counter { int calls = 0; ~Counter() { std::printf("%d calls\n", calls); } };
    thread_local Counter counter;
    static std::map<std::string, int> table{{"one", 1}, {"two", 2}};
    int find(const std::string& name) {
        counter.calls++;
        auto at = table.find(name);
        if (at == table.end()) throw std::out_of_range(name);
        return at->second;
    }
    int main() {
        try { return find("one") + find("three"); }
        catch (const std::exception& error) { std::printf("%s\n", error.what()); }
    }
"#;

const C: &str = r#"
    int printf(const char *, ...);
    int common[20];
    static const char *words[] = {"a", "bc", "def"};
    _Thread_local int own = 5;
    __attribute__((weak)) int maybe(double x) { return x > 0.5; }
    __attribute__((constructor)) static void begin(void) { own = maybe(0.75); }
    int main(int count, char **arguments) { return printf("%s %d\n", words[count % 3], own + common[count]); }
"#;

/// Bytes at the beginning whose every change is tried: the header, and all load commands.
const HEAD: usize = 2048;

/// What a byte is changed to.
const CHANGES: [fn(u8) -> u8; 5] = [
    |_| 0,
    |_| 0xff,
    |byte| byte ^ 1,
    |byte| byte ^ 0x80,
    |byte| byte.wrapping_add(8),
];

/// Cuts the objects off, and changes them.
pub fn damaged(directory: &Path) {
    let write = |name, text| std::fs::write(directory.join(name), text).expect("a file");
    write("main.cpp", CXX);
    write("main.c", C);
    for (object, words) in OBJECTS {
        let words = [&["-m", "ziglang"], words, &["-c", "-o", object]].concat();
        run(directory, Path::new("python3"), &words);
        let whole = std::fs::read(directory.join(object)).expect("it was made");
        read(object, &whole).expect("it is right");
        // Each step is of another length, so that cuts are everywhere in fields.
        for length in (0..whole.len()).step_by(whole.len() / 997 + 1) {
            let cut = read(object, &whole[..length]);
            let said = cut.expect_err("it is not whole");
            assert!(!said.is_empty(), "{object}: {length}");
        }
        let step = whole.len() / 1499 + 1;
        let places = (0..HEAD.min(whole.len())).chain((HEAD..whole.len()).step_by(step));
        for at in places {
            for change in CHANGES {
                let mut changed = whole.clone();
                changed[at] = change(whole[at]);
                // It may still be an object.
                let _ = read(object, &changed);
            }
        }
    }
}

/// Reads an object, and makes a graph of it.
fn read(name: &str, bytes: &[u8]) -> Result<(), String> {
    let architecture = match name {
        "arm64.o" => Architecture::Aarch64,
        _ => Architecture::X86_64,
    };
    let reader = ObjectReader::default().for_cpu(architecture);
    let object = reader.read(name, bytes).map_err(|it| it.to_string())?;
    let graph = object.build_graph(&Claims::default());
    graph.map(drop).map_err(|error| error.to_string())
}
