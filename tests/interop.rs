//! Each half with LLVM 22's other half: our runtime under `llvm-jitlink`, and LLVM's runtime under
//! `orc-jit`.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::command::{Behaviour, Ending, Invocation};
use tests::compare::orc_jit;
use tests::scratch::Scratch;
use tests::toolchain::find_program;
use tests::{in_ci, workspace_root};

/// LLVM's JIT linker, or nothing where it is not installed.
fn llvm_jitlink() -> Option<PathBuf> {
    let found = find_program("llvm-jitlink-22");
    assert!(found.is_some() || !in_ci(), "CI needs llvm-jitlink-22");
    found
}

/// The runtime that comes with LLVM.
fn llvm_runtime() -> Option<&'static Path> {
    let path = Path::new("/usr/lib/llvm-22/lib/clang/22/lib/linux/liborc_rt-x86_64.a");
    assert!(path.exists() || !in_ci(), "CI needs libclang-rt-22-dev");
    path.exists().then_some(path)
}

/// Compiles the program by gcc; nothing without gcc, whose thread-locals `llvm-jitlink` can link.
fn objects(scratch: &Scratch) -> Option<Vec<PathBuf>> {
    let gcc = find_program("g++")?;
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop");
    let compile = |name: &str| {
        let (object, source) = (
            scratch.file(&format!("{name}.o")),
            sources.join(format!("{name}.cpp")),
        );
        let mut command = Command::new(&gcc);
        command
            .args(["-fPIC", "-O0", "-c", "-o"])
            .args([&object, &source]);
        assert!(command.status().expect("g++ runs").success());
        object
    };
    Some(["interop", "there"].map(compile).to_vec())
}

/// What the program does when the system's linker has linked it.
fn native(scratch: &Scratch, objects: &[PathBuf]) -> Behaviour {
    let program = scratch.file("program");
    let mut link = Command::new("g++");
    link.arg("-pthread").args(objects).arg("-o").arg(&program);
    assert!(link.status().expect("g++ runs").success());
    let behaviour = Invocation::new([program])
        .arg("argument")
        .run_in(scratch.path())
        .expect("it starts");
    assert_eq!(behaviour.ending, Ending::Exit(5));
    behaviour
}

#[track_caller]
fn assert_same(native: &Behaviour, other: &Behaviour) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(
        text(&native.stdout),
        text(&other.stdout),
        "{}",
        text(&other.stderr)
    );
    assert_eq!(native.ending, other.ending, "{}", text(&other.stderr));
}

#[test]
fn our_runtime_under_llvm_jitlink() {
    let scratch = Scratch::new();
    let (Some(jitlink), Some(objects)) = (llvm_jitlink(), objects(&scratch)) else {
        return;
    };
    let runtime = scratch.file("liborc_rt.a");
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let mut build = Command::new(cargo);
    build
        .args(["run", "--quiet", "--package", "orc-rt-archive", "--"])
        .arg(&runtime);
    let built = build
        .current_dir(workspace_root())
        .output()
        .expect("cargo runs");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );

    let mut command = Invocation::new([jitlink]).arg(format!("-orc-runtime={}", runtime.display()));
    for library in ["libstdc++.so.6", "libm.so.6"] {
        command = command.arg(format!("-preload=/usr/lib/x86_64-linux-gnu/{library}"));
    }
    command.argv.extend(objects.iter().map(Into::into));
    // What follows is argv from the name on.
    let behaviour = command
        .arg("-args")
        .arg("program")
        .arg("argument")
        .run_in(scratch.path())
        .expect("it starts");
    assert_same(&native(&scratch, &objects), &behaviour);
}

/// LLVM's runtime destroys the thread-locals of the main thread last of all, with the process.
#[test]
fn llvms_runtime_under_orc_jit() {
    let scratch = Scratch::new();
    let (Some(runtime), Some(objects), Some(orc_jit)) =
        (llvm_runtime(), objects(&scratch), orc_jit())
    else {
        return;
    };
    let mut command = Invocation::new([orc_jit])
        .arg("run")
        .arg("--orc-runtime")
        .arg(runtime);
    command.argv.extend(objects.iter().map(Into::into));
    let behaviour = command
        .arg("--")
        .arg("argument")
        .run_in(scratch.path())
        .expect("it starts");
    let mut native = native(&scratch, &objects);
    native.stdout = last_line_moved_to_the_end(&native.stdout, "-thread-local object");
    assert_same(&native, &behaviour);
}

/// `text` with the last of the lines that are `line` moved to its end.
fn last_line_moved_to_the_end(text: &[u8], line: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let mut lines: Vec<_> = text.lines().collect();
    let at = lines
        .iter()
        .rposition(|other| *other == line)
        .expect("the program prints it");
    let moved = lines.remove(at);
    lines.push(moved);
    lines
        .iter()
        .flat_map(|line| [line.as_bytes(), b"\n"].concat())
        .collect()
}
