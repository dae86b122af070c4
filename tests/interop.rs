//! Each half with LLVM 22's other half: our runtime under `llvm-jitlink`, in process and in our
//! executor, and LLVM's runtime under `orc-jit`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use libtest_mimic::Arguments;
use tests::add_tests;
use tests::build::build;
use tests::case::read_all;
use tests::command::{Behaviour, Ending, Invocation};
use tests::compare::orc_jit;
use tests::needs::{self, LLVM_HEADERS, LLVM_RUNTIME, Tests};
use tests::scratch::Scratch;
use tests::toolchain::{compilers, mode};
use tests::workspace::build_command;
use tests::workspace_root;

/// LLVM's JIT linker.
const JITLINK: &str = "llvm-jitlink-22";

fn main() -> ExitCode {
    let mut tests = Tests::default();
    add_tests!(
        tests,
        // The objects are gcc's: its thread-locals are those that LLVM's linker takes.
        [JITLINK, "g++", LLVM_RUNTIME],
        our_runtime_under_llvm_jitlink,
        our_executor_under_llvm_jitlink,
        llvms_runtime_under_orc_jit,
        the_tour_with_llvms_runtime,
    );
    add_tests!(
        tests,
        [LLVM_HEADERS, "g++", LLVM_RUNTIME],
        code_gets_better_versions_under_llvms_controller,
    );
    tests.run(&Arguments::from_args())
}

/// Compiles the program by gcc.
fn objects(scratch: &Scratch) -> Vec<PathBuf> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop");
    let compile = |name: &str| {
        let (object, source) = (
            scratch.file(&format!("{name}.o")),
            sources.join(format!("{name}.cpp")),
        );
        let mut command = Command::new("g++");
        command
            .args(["-fPIC", "-O0", "-c", "-o"])
            .args([&object, &source]);
        assert!(command.status().expect("g++ runs").success());
        object
    };
    ["interop", "there"].map(compile).to_vec()
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

/// Runs Cargo in this workspace.
fn cargo(arguments: &[&str], last: Option<&Path>) {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).args(last);
    let output = command.current_dir(workspace_root()).output();
    let output = output.expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Our runtime, as an archive.
fn our_runtime(scratch: &Scratch) -> PathBuf {
    let runtime = scratch.file("liborc_rt.a");
    let build = ["run", "--quiet", "--package", "orc-rt-archive", "--"];
    cargo(&build, Some(&runtime));
    runtime
}

/// Our executor.
fn our_executor() -> PathBuf {
    let selection = [
        "--package",
        "orc-target-process",
        "--features",
        "tls-reserve",
    ];
    build_command("orc-executor", &selection)
}

/// `llvm-jitlink` about to run the program, which needs libraries that the executor has not loaded.
fn jitlink_runs(options: &[String], runtime: &Path, objects: &[PathBuf]) -> Invocation {
    let mut command = Invocation::new([JITLINK]);
    for option in options {
        command = command.arg(option);
    }
    command = command.arg(format!("-orc-runtime={}", runtime.display()));
    for library in ["libstdc++.so.6", "libm.so.6"] {
        command = command.arg(format!("-preload=/usr/lib/x86_64-linux-gnu/{library}"));
    }
    command.argv.extend(objects.iter().map(Into::into));
    // What follows is argv from the name on.
    command.arg("-args").arg("program").arg("argument")
}

fn our_runtime_under_llvm_jitlink() {
    let scratch = Scratch::new();
    let objects = objects(&scratch);
    let runtime = our_runtime(&scratch);
    let behaviour = jitlink_runs(&[], &runtime, &objects)
        .run_in(scratch.path())
        .expect("it starts");
    assert_same(&native(&scratch, &objects), &behaviour);
}

/// What LLVM's runtime makes of the program in another process: it forgets `atexit` handlers, and
/// destroys the thread-locals of the main thread last.
fn as_llvms_runtime_runs_it(native: &Behaviour) -> Behaviour {
    let text = String::from_utf8_lossy(&native.stdout);
    let kept = text.lines().filter(|line| !line.starts_with("atexit, "));
    let stdout: String = kept.flat_map(|line| [line, "\n"]).collect();
    Behaviour {
        stdout: last_line_moved_to_the_end(stdout.as_bytes(), "-thread-local object"),
        ..native.clone()
    }
}

fn our_executor_under_llvm_jitlink() {
    let scratch = Scratch::new();
    let (objects, llvms) = (objects(&scratch), needs::path(LLVM_RUNTIME));
    let executor = our_executor();
    let native = native(&scratch, &objects);
    let ours = our_runtime(&scratch);
    let started = format!("-oop-executor={}", executor.display());
    for (runtime, expected) in [
        (&*ours, native.clone()),
        (llvms, as_llvms_runtime_runs_it(&native)),
    ] {
        for manager in ["default", "simple-remote", "shared"] {
            let options = [started.clone(), format!("-use-memmgr={manager}")];
            let behaviour = jitlink_runs(&options, runtime, &objects)
                .run_in(scratch.path())
                .expect("it starts");
            assert_same(&expected, &behaviour);
        }
        let listening = Listening::new(&executor);
        let options = [format!("-oop-executor-connect={}", listening.address)];
        let mut behaviour = jitlink_runs(&options, runtime, &objects)
            .run_in(scratch.path())
            .expect("it starts");
        // The program's output is the executor's.
        behaviour.stdout = listening.output();
        assert_same(&expected, &behaviour);
    }
}

/// Our executor, waiting for one of LLVM's controllers.
struct Listening {
    child: Child,
    address: String,
}

impl Listening {
    fn new(executor: &Path) -> Self {
        let mut child = Command::new(executor)
            .args(["listen=127.0.0.1:0", "--insecure-no-token"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let errors = child.stderr.take().expect("a pipe");
        BufReader::new(errors).read_line(&mut line).expect("text");
        let address = line.trim().rsplit("tcp:").next().unwrap_or_default();
        let address = address.to_owned();
        Self { child, address }
    }

    /// All that it wrote, once it has ended by itself.
    fn output(mut self) -> Vec<u8> {
        let mut output = Vec::new();
        let mut stdout = self.child.stdout.take().expect("a pipe");
        stdout.read_to_end(&mut output).expect("can be read");
        assert!(self.child.wait().expect("a child").success());
        output
    }
}

/// LLVM's runtime destroys the thread-locals of the main thread last of all, with the process.
fn llvms_runtime_under_orc_jit() {
    let scratch = Scratch::new();
    let Some(orc_jit) = orc_jit() else {
        return;
    };
    let objects = objects(&scratch);
    let mut command = Invocation::new([orc_jit])
        .arg("run")
        .arg("--orc-runtime")
        .arg(needs::path(LLVM_RUNTIME));
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

/// Code that LLVM's controller compiles calls `__orc_rt_reoptimize` of our runtime as it does LLVM's.
fn code_gets_better_versions_under_llvms_controller() {
    let scratch = Scratch::new();
    let controller = scratch.file("controller");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/reoptimize.cpp");
    let mut compiler = Command::new("g++");
    compiler.args(["-std=c++17", "-O0", "-w", "-fno-rtti"]);
    compiler.args(["-I/usr/lib/llvm-22/include", "-o"]);
    compiler.arg(&controller).arg(&source);
    compiler.args(["-L/usr/lib/llvm-22/lib", "-lLLVM-22"]);
    assert!(compiler.status().expect("g++ runs").success());
    for runtime in [&*our_runtime(&scratch), needs::path(LLVM_RUNTIME)] {
        let command = Invocation::new([controller.clone()]).arg(runtime);
        let behaviour = command.run_in(scratch.path()).expect("it starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let expected = "42, then 102, of version 2\n";
        assert_eq!(
            text(&behaviour.stdout),
            expected,
            "{}",
            text(&behaviour.stderr)
        );
        assert_eq!(behaviour.ending, Ending::Exit(0));
    }
}

/// The whole tour runs with LLVM's runtime, but for what that runtime's model lacks: finalizer arrays
/// do not run, and thread-locals of the main thread are destroyed last of all.
fn the_tour_with_llvms_runtime() {
    let Some(orc_jit) = orc_jit() else {
        return;
    };
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
    let cases = read_all(&programs).expect("the cases can be read");
    let tour = cases
        .iter()
        .find(|case| case.name == "tour")
        .expect("it is there");
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop");
    for compiler in compilers() {
        let mode = mode("default").expect("a mode of this name");
        let built = build(tour, compiler, mode, &cache).expect("it compiles");
        let mut command = Invocation::new([orc_jit.clone()])
            .arg("run")
            .arg("--orc-runtime")
            .arg(needs::path(LLVM_RUNTIME));
        command.argv.extend(built.inputs.iter().map(Into::into));
        command = command.arg("--");
        command.argv.extend(tour.args.iter().map(Into::into));
        let behaviour = command.run_in(&built.directory).expect("it starts");
        let mut native = built.native.clone();
        let main_thread = "thread-local object of the main thread destroyed";
        native.stdout = last_line_moved_to_the_end(&native.stdout, main_thread);
        let text = String::from_utf8_lossy(&native.stdout).into_owned();
        let runs = |line: &&str| !line.starts_with("destructor function, ");
        native.stdout = text
            .lines()
            .filter(runs)
            .flat_map(|line| [line.as_bytes(), b"\n"].concat())
            .collect();
        assert!(native.stdout.len() < text.len(), "the tour has finalizers");
        // The last line is written when the process ends, without a line break of its own.
        let ours = |behaviour: &Behaviour| {
            let text = String::from_utf8_lossy(&behaviour.stdout).into_owned();
            text.trim_end().to_owned()
        };
        assert_eq!(ours(&native), ours(&behaviour), "{}", compiler.name);
        assert_eq!(native.ending, behaviour.ending);
    }
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
