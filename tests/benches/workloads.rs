//! Programs to link and run.

use std::fs;
use std::path::Path;
use std::process::Command;

use tests::needs::is_installed;
use tests::toolchain::compilers;

/// Says what is linked, so it concerns the compiler's driver: the linker gets other words for it.
pub const NO_PIE: &str = "-no-pie";

/// A program, and how to make its objects.
pub struct Workload {
    /// Its name.
    pub name: &'static str,
    /// Whether LLVM's JIT linker can be expected to run it, and within minutes.
    pub for_llvm_jitlink: bool,
    /// Makes the objects in a directory; nothing if something is missing.
    pub prepare: fn(&Path) -> Option<Inputs>,
}

/// What is linked.
pub struct Inputs {
    /// Objects, archives and flags, relative to the directory.
    pub arguments: Vec<String>,
    /// Objects and archive members on offer.
    objects: usize,
    /// Bytes of the sections that a program would load, and their relocations, where all of the
    /// input is linked.
    volume: Option<Volume>,
}

struct Volume {
    bytes: u64,
    relocations: u64,
}

impl Inputs {
    /// Objects and archives.
    #[allow(dead_code, reason = "some benchmarks pass all arguments on")]
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let words = self.arguments.iter().map(String::as_str);
        words.filter(|word| !word.starts_with('-'))
    }

    /// What there is to do.
    pub fn describe(&self) -> String {
        match &self.volume {
            None => format!("{} objects", self.objects),
            Some(volume) => format!(
                "{} objects, {:.1} MB loaded, {} relocations",
                self.objects,
                volume.bytes as f64 / 1e6,
                volume.relocations
            ),
        }
    }

    /// Rates of somebody who did it in `seconds`.
    pub fn rates(&self, seconds: f64) -> String {
        self.volume.as_ref().map_or(String::new(), |volume| {
            format!(
                "  {:.0} MB/s, {:.2} M relocations/s",
                volume.bytes as f64 / 1e6 / seconds,
                volume.relocations as f64 / 1e6 / seconds
            )
        })
    }
}

/// All workloads, from small to large.
pub fn workloads() -> Vec<Workload> {
    vec![
        Workload {
            name: "hello",
            for_llvm_jitlink: true,
            prepare: hello,
        },
        Workload {
            name: "iostream",
            for_llvm_jitlink: false,
            prepare: iostream,
        },
        Workload {
            name: "sqlite",
            for_llvm_jitlink: false,
            prepare: sqlite,
        },
        Workload {
            name: "python",
            for_llvm_jitlink: false,
            prepare: python,
        },
        Workload {
            name: "rocksdb",
            for_llvm_jitlink: false,
            prepare: rocksdb,
        },
        Workload {
            name: "llvm",
            for_llvm_jitlink: false,
            prepare: llvm,
        },
        Workload {
            name: "ladder-100",
            for_llvm_jitlink: true,
            prepare: |to| ladder(to, 100),
        },
        Workload {
            name: "ladder-1000",
            for_llvm_jitlink: true,
            prepare: |to| ladder(to, 1000),
        },
        Workload {
            name: "ladder-10000",
            for_llvm_jitlink: false,
            prepare: |to| ladder(to, 10_000),
        },
    ]
}

fn hello(directory: &Path) -> Option<Inputs> {
    let text = "#include <stdio.h>\nint main(void) { puts(\"hi\"); return 0; }\n";
    compile(directory, "hello.c", text, &["-fPIC"]);
    Some(Inputs {
        arguments: vec!["hello.o".to_owned()],
        objects: 1,
        volume: None,
    })
}

fn iostream(directory: &Path) -> Option<Inputs> {
    let text = "#include <iostream>\nint main() { std::cout << \"hi\" << std::endl; }\n";
    compile(directory, "iostream.cpp", text, &[]);
    // The driver that shows the link line is the C++ one, and adds its libraries.
    Some(Inputs {
        arguments: vec!["iostream.o".to_owned()],
        objects: 1,
        volume: None,
    })
}

/// A program that opens a database, over the whole of a static archive.
fn sqlite(directory: &Path) -> Option<Inputs> {
    if !is_installed("lib:sqlite3") {
        return None;
    }
    let text = include_str!("programs/sqlite.c");
    compile(directory, "sqlite.c", text, &[]);
    let archive = print_file_name("libsqlite3.a");
    let volume = volume_of(Path::new(&archive));
    let arguments = ["sqlite.o", &archive, "-lm", "-lz", "-ldl", "-lpthread"].map(str::to_owned);
    Some(Inputs {
        arguments: arguments.to_vec(),
        objects: 2,
        volume,
    })
}

/// CPython: one big archive, and shared libraries.
fn python(directory: &Path) -> Option<Inputs> {
    let config = "/usr/bin/python3-config";
    let include = output_of(config, &["--includes"])?;
    compile_if_possible(
        directory,
        "python.c",
        include_str!("programs/python.c"),
        &include,
    )?;
    // Its code is not position-independent.
    let mut arguments = vec!["python.o".to_owned(), NO_PIE.to_owned()];
    for word in output_of(config, &["--embed", "--ldflags"])? {
        match word.strip_prefix("-lpython") {
            Some(version) => arguments.push(format!("-l:libpython{version}.a")),
            None => arguments.push(word),
        }
    }
    arguments.extend(["-lexpat", "-lz"].map(str::to_owned));
    Some(Inputs {
        arguments,
        objects: 1,
        volume: None,
    })
}

/// RocksDB: C++ with threads, from one archive.
fn rocksdb(directory: &Path) -> Option<Inputs> {
    let text = include_str!("programs/rocksdb.cpp");
    compile_if_possible(directory, "rocksdb.cpp", text, &["-std=c++17".to_owned()])?;
    let arguments = [
        "rocksdb.o",
        "-l:librocksdb.a",
        "-lsnappy",
        "-llz4",
        "-lzstd",
        "-lbz2",
        "-lz",
        "-lpthread",
        "-ldl",
    ];
    Some(Inputs {
        arguments: arguments.map(str::to_owned).to_vec(),
        objects: 1,
        volume: None,
    })
}

/// LLVM's own archives: some 60, of which a compiler for one CPU takes 1,300 members and 50 MB.
fn llvm(directory: &Path) -> Option<Inputs> {
    let config = "llvm-config-22";
    let include = [format!(
        "-I{}",
        output_of(config, &["--includedir"])?.first()?
    )];
    compile_if_possible(
        directory,
        "llvm.c",
        include_str!("programs/llvm.c"),
        &include,
    )?;
    let mut arguments = vec!["llvm.o".to_owned()];
    for question in [
        &["--ldflags"][..],
        &["--libs", "passes", "x86"],
        &["--system-libs"],
    ] {
        arguments.extend(output_of(config, &[&["--link-static"], question].concat())?);
    }
    Some(Inputs {
        arguments,
        objects: 1,
        volume: None,
    })
}

/// The words that a program prints; nothing if it is not there or fails.
fn output_of(program: &str, arguments: &[&str]) -> Option<Vec<String>> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let words = text.split_whitespace().map(str::to_owned).collect();
    output.status.success().then_some(words)
}

fn print_file_name(file: &str) -> String {
    let output = Command::new(&compilers()[0].cc)
        .arg(format!("-print-file-name={file}"))
        .output();
    String::from_utf8_lossy(&output.expect("the compiler runs").stdout)
        .trim()
        .to_owned()
}

/// Adds up allocated sections and relocations, as `readelf` lists them.
fn volume_of(file: &Path) -> Option<Volume> {
    let list = |option: &str| {
        let output = Command::new("readelf")
            .args(["--wide", option])
            .arg(file)
            .output()
            .ok()?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let mut volume = Volume {
        bytes: 0,
        relocations: 0,
    };
    for line in list("--sections")?.lines() {
        // [Nr] Name Type Address Off Size ES Flg Lk Inf Al
        let fields: Vec<_> = line
            .split(']')
            .nth(1)
            .unwrap_or("")
            .split_whitespace()
            .collect();
        if let [_, kind, _, _, size, _, flags, ..] = fields[..]
            && flags.contains('A')
            && kind != "NOBITS"
        {
            volume.bytes += u64::from_str_radix(size, 16).unwrap_or(0);
        }
    }
    for line in list("--relocs")?.lines() {
        // Relocation section '.rela.text' at offset 0x123 contains 45 entries:
        let allocated = line.starts_with("Relocation section") && !line.contains(".debug");
        let count = line
            .split("contains ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        if allocated {
            volume.relocations += count
                .and_then(|count| count.parse::<u64>().ok())
                .unwrap_or(0);
        }
    }
    Some(volume)
}

/// Many small objects: each defines a function and data, refers to others, and has an FDE.
pub fn ladder(directory: &Path, count: usize) -> Option<Inputs> {
    let mut arguments = vec!["main.o".to_owned()];
    arguments.extend(rungs(directory, count));
    let mut main = String::from("#include <stdio.h>\nint counter;\n");
    for i in 0..count {
        main += &format!("void f{i:05}(void);");
    }
    main += "\nint main(void) {";
    for i in 0..count {
        main += &format!("f{i:05}();");
    }
    main += "printf(\"%d\\n\", counter); return 0; }";
    compile(directory, "main.c", &main, &["-O0", "-fPIC"]);
    let list = arguments.join("\n");
    fs::write(directory.join("objects"), list).expect("a writable directory");
    Some(Inputs {
        arguments: vec!["@objects".to_owned()],
        objects: count + 1,
        volume: None,
    })
}

/// Objects `f00000.o` and so on. One is compiled; the others are it with other names, since
/// starting a compiler ten thousand times would take minutes.
pub fn rungs(directory: &Path, count: usize) -> Vec<String> {
    let text = include_str!("programs/rung.c");
    compile(directory, "rung.c", text, &["-O1", "-fPIC"]);
    let template = fs::read(directory.join("rung.o")).expect("it was just made");
    let names: Vec<_> = (0..count).map(|i| format!("f{i:05}.o")).collect();
    for (i, name) in names.iter().enumerate() {
        let mut object = template.clone();
        for (placeholder, number) in [
            ("AAAAA", i),
            ("BBBBB", (i * 7 + 1) % count),
            ("CCCCC", (i * 3 + 1) % count),
        ] {
            replace(
                &mut object,
                placeholder.as_bytes(),
                format!("{number:05}").as_bytes(),
            );
        }
        fs::write(directory.join(name), object).expect("a writable directory");
    }
    names
}

/// Replaces every `from` by a `to` of the same length.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let mut at = 0;
    while let Some(found) = bytes[at..]
        .windows(from.len())
        .position(|window| window == from)
    {
        bytes[at + found..at + found + to.len()].copy_from_slice(to);
        at += found + to.len();
    }
}

/// Compiles `text` in `directory` to the object named after it.
pub fn compile(directory: &Path, name: &str, text: &str, flags: &[&str]) {
    let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    let compiled = compile_if_possible(directory, name, text, &flags);
    assert!(compiled.is_some(), "{name} does not compile");
}

/// The same for a program that needs headers which may not be installed: then nothing.
fn compile_if_possible(directory: &Path, name: &str, text: &str, flags: &[String]) -> Option<()> {
    fs::write(directory.join(name), text).expect("a writable directory");
    let compiler = if name.ends_with(".c") {
        &compilers()[0].cc
    } else {
        &compilers()[0].cxx
    };
    let output = Command::new(compiler)
        .args(["-w", "-O1"])
        .args(flags)
        .args(["-c", name])
        .current_dir(directory)
        .output();
    let succeeded = output.expect("the compiler runs").status.success();
    succeeded.then_some(())
}
