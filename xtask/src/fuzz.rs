//! `xtask fuzz`: the fuzz targets of `fuzz/`, with libFuzzer and stable Rust.
//!
//! Coverage comes from LLVM's own instrumentation pass, which needs no option of a nightly compiler.
//! Seeds are made on the spot from test programs; what crashed once lies in `fuzz/crashers/TARGET`
//! and is tried first (and by the tests of the crates, always).

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::{cargo, root, run_in, target_directory};

/// The targets, each a program of `fuzz/`.
const TARGETS: &[&str] = &[
    "object",
    "macho_object",
    "macho_library",
    "archive",
    "linker_script",
    "shared_library",
    "symbol_list",
    "messages_to_executor",
    "messages_to_controller",
];

/// Counters at every edge of the control flow, and the operands of comparisons.
const INSTRUMENTATION: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1 --cfg fuzzing";

/// The flags are for crates of the target alone: build scripts run without a fuzzer.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// Test programs of one source whose objects, libraries and archives are seeds, and flags to compile them with.
const SEEDS: &[(&str, &[&str])] = &[
    ("basic/hello.c", &[]),
    ("exceptions/kinds.cpp", &["-fPIC"]),
    ("exceptions/noexcept.cpp", &["-O1", "-ffunction-sections"]),
    ("data/retained_and_note_sections.c", &["-gz", "-g"]),
    ("tls/large_template.c", &["-fPIC"]),
    ("init/ctors_sections.c", &["-fno-pie"]),
    ("symbols/symbol_versions.c", &[]),
    ("symbols/linker_defined.c", &["-fcommon"]),
    ("symbols/ifunc_target_clones.c", &["-O2", "-fno-pie"]),
    ("languages/assembly.S", &[]),
];

const SCRIPTS: &[&str] = &[
    "/* GNU ld script */\nOUTPUT_FORMAT(elf64-x86-64)\nGROUP ( /lib/libc.so.6 /usr/lib/libc_nonshared.a AS_NEEDED ( /lib/ld.so ) )\n",
    "INPUT(-lncurses -ltinfo \"quoted name.a\" libx.so=lib)\n",
    "SEARCH_DIR(=/lib);ENTRY(main)\nINPUT ( AS_NEEDED ( -la, -lb ) )",
];

/// A list of symbols in all its forms.
const SYMBOL_LIST: &str =
    "{ a*; \"b\"; [!c-e]?; }; # f\n{ extern \"C++\" { \"g(int)\"; h::*; }; };\n";

/// Stubs of libraries for macOS, in YAML and in JSON.
const STUBS: &[(&str, &str)] = &[
    (
        "yaml.tbd",
        "--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos ]\ninstall-name: '/a/libx.dylib'\nexports:\n  \
         - targets: [ x86_64-macos ]\n    symbols: [ _a, '_b$c',\n      _d ]\n    objc-classes: [ X ]\n\
         reexports:\n  - targets: [ x86_64-macos ]\n    weak-symbols: [ _e ]\n...\n",
    ),
    (
        "json.tbd",
        "{\"tapi_tbd_version\": 5, \"main_library\": {\"install_names\": [{\"name\": \"/a/libx.dylib\"}], \
         \"exported_symbols\": [{\"text\": {\"global\": [\"_a\"], \"objc_class\": [\"X\"]}}]}}",
    ),
];

/// Runs one target, or all, for so many seconds each.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let usage = "expected SECONDS [TARGET]";
    let (seconds, chosen) = arguments.split_first().ok_or(usage)?;
    seconds.parse::<u32>().map_err(|_| usage)?;
    let targets: Vec<&str> = match chosen {
        [] => TARGETS.to_vec(),
        [name] => vec![
            TARGETS
                .iter()
                .find(|t| *t == name)
                .ok_or_else(|| format!("no target `{name}`: there are {}", TARGETS.join(", ")))?,
        ],
        _ => return Err(usage.to_owned()),
    };
    let work = target_directory().join("fuzz");
    make_seeds(&work)?;
    for target in targets {
        fuzz(target, seconds, &work)?;
    }
    Ok(())
}

fn fuzz(target: &str, seconds: &str, work: &Path) -> Result<(), String> {
    let (found, seeds) = (work.join("found").join(target), work.join(target));
    let crashers = root().join("fuzz/crashers").join(target);
    for directory in [&found, &crashers] {
        fs::create_dir_all(directory).map_err(|e| e.to_string())?;
    }
    let mut arguments = vec![
        "run",
        "--release",
        "--target",
        TRIPLE,
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--bin",
    ];
    let directories = [&found, &seeds, &crashers].map(|d| d.display().to_string());
    let time = format!("-max_total_time={seconds}");
    let artifacts = format!("-artifact_prefix={}/", crashers.display());
    let limits = [
        "-rss_limit_mb=2048",
        "-timeout=10",
        "-print_final_stats=1",
        "-max_len=65536",
    ];
    arguments.extend([target, "--", &time, &artifacts]);
    arguments.extend(limits);
    arguments.extend(directories.iter().map(String::as_str));
    // The flags are for every crate of this build, and for no other build.
    let flags = format!("RUSTFLAGS={INSTRUMENTATION}");
    let mut words = vec![flags, cargo().to_string_lossy().into_owned()];
    words.extend(arguments.into_iter().map(str::to_owned));
    run_in(&root(), "env", &words)
}

/// Programs whose objects for macOS are seeds.
const SEEDS_FOR_MACOS: &[&str] = &[
    "basic/hello.c",
    "exceptions/kinds.cpp",
    "tls/local_exec.c",
    "exceptions/rethrow_and_nested.cpp",
];

/// Compiles seeds for macOS, with zig.
fn make_seeds_for_macos(work: &Path, programs: &Path) -> Result<(), String> {
    for program in SEEDS_FOR_MACOS {
        let object = work
            .join("macho_object")
            .join(program.replace('/', "-") + ".o");
        let language = if program.ends_with(".cpp") {
            "c++"
        } else {
            "cc"
        };
        let words = [
            "-m",
            "ziglang",
            language,
            "-target",
            "x86_64-macos",
            "-w",
            "-g0",
        ];
        let mut words: Vec<String> = words.map(str::to_owned).to_vec();
        words.extend(["-O1", "-c", "-o"].map(str::to_owned));
        words.push(object.display().to_string());
        words.push(programs.join(program).display().to_string());
        run_in(work, "python3", &words)?;
    }
    let libraries = work.join("macho_library");
    for (name, text) in STUBS {
        fs::write(libraries.join(name), text).map_err(|e| e.to_string())?;
    }
    let library = libraries.join("linked.dylib").display().to_string();
    let source = programs.join("basic/hello.c").display().to_string();
    let words = ["-m", "ziglang", "cc", "-target", "x86_64-macos", "-shared"];
    let words = [&words[..], &["-o", &library, &source]].concat();
    let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    run_in(work, "python3", &words)
}

/// Compiles the seeds into `work/TARGET`.
fn make_seeds(work: &Path) -> Result<(), String> {
    for target in TARGETS {
        fs::create_dir_all(work.join(target)).map_err(|e| e.to_string())?;
    }
    let programs = root().join("tests/programs");
    let mut objects = Vec::new();
    for (program, flags) in SEEDS {
        let source = programs.join(program);
        let object = work.join("object").join(program.replace('/', "-") + ".o");
        let compiler = if program.ends_with(".cpp") {
            "c++"
        } else {
            "cc"
        };
        let compile = |kind: &str, output: &Path| -> Result<(), String> {
            let mut command = Command::new(compiler);
            command
                .args(["-w", kind])
                .args(*flags)
                .arg("-o")
                .arg(output);
            let status = command.arg(&source).status().map_err(|e| e.to_string())?;
            status
                .success()
                .then_some(())
                .ok_or_else(|| format!("{program} does not compile"))
        };
        compile("-c", &object)?;
        objects.push(object);
        if flags.contains(&"-fPIC") {
            let library = program.replace('/', "-") + ".so";
            compile("-shared", &work.join("shared_library").join(library))?;
        }
    }
    make_seeds_for_macos(work, &programs)?;
    for (number, pair) in objects.chunks(2).enumerate() {
        let archive = work.join("archive").join(format!("{number}.a"));
        let mut words = vec!["rcs".to_owned(), archive.display().to_string()];
        words.extend(pair.iter().map(|object| object.display().to_string()));
        run_in(work, "ar", &words)?;
    }
    for opcode in 0..4 {
        let body = [0_u64, 1, 2, 1].map(u64::to_le_bytes).concat();
        // Size, opcode, number and tag (SimpleRemoteEPC).
        let header = [32 + body.len() as u64, opcode, 7, 16].map(u64::to_le_bytes);
        let message = [header.concat(), body].concat();
        for target in ["messages_to_executor", "messages_to_controller"] {
            let file = work.join(target).join(format!("{opcode}"));
            fs::write(file, &message).map_err(|e| e.to_string())?;
        }
    }
    for (number, script) in SCRIPTS.iter().enumerate() {
        let file = work.join("linker_script").join(format!("{number}.ld"));
        fs::write(file, script).map_err(|e| e.to_string())?;
    }
    let list = work.join("symbol_list").join("0.list");
    fs::write(list, SYMBOL_LIST).map_err(|e| e.to_string())?;
    Ok(())
}
