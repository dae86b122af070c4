//! Programs below `programs/` that use nothing that only Linux has, compiled for macOS: their Mach-O objects must
//! behave under `orc-jit run` as the program does that the system's linker has made of ELF objects.
//!
//! `cargo test -p tests --test macho -- tls` runs those with `tls` in their name.

#[path = "macho/damaged.rs"]
mod damaged;
#[path = "macho/inputs.rs"]
mod inputs;
#[path = "macho/languages.rs"]
mod languages;
#[path = "macho/stubs.rs"]
mod stubs;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use libtest_mimic::{Arguments, Failed, Trial};
use tests::build::{Built, build, compile_only};
use tests::case::{Case, Executor, read_all};
use tests::command::{Behaviour, Ending, Invocation};
use tests::compare::{check, orc_jit};
use tests::conformance;
use tests::macos;
use tests::needs::Tests;
use tests::target::target;
use tests::toolchain::{Mode, compilers, mode};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if !arguments.list {
        orc_jit();
    }
    let mut tests = Tests::default();
    for case in cases().iter().filter(|case| is_for_macos(case)) {
        let native = Arc::default();
        for mode in macos::MODES {
            add_trials(case, mode, &native, &mut tests);
        }
    }
    if target().is_here {
        let alone: [(&str, fn()); 2] = [
            ("objects_of_both_formats_call_each_other", mixed),
            (
                "functions_of_macos_have_the_locale_before_the_format",
                locales,
            ),
        ];
        for (name, test) in alone {
            tests.add_if(name, ["ziglang"], test);
        }
        inputs::add(&mut tests);
    }
    tests.run(&arguments)
}

/// The programs below `programs/`, and those for these tests alone.
fn cases() -> Vec<Case> {
    let read = |directory: &str| {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        read_all(&directory).unwrap_or_else(|error| panic!("{error}"))
    };
    let mut own = read("macos");
    for case in &mut own {
        case.name = format!("macos/{}", case.name);
    }
    let mut cases = read("programs");
    cases.extend(own);
    cases
}

/// Functions with a locale, with any number of arguments and with a list of them.
fn locales() {
    const PROGRAM: &str = r#"
        #include <stdarg.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <xlocale.h>
        static void lists(locale_t locale, const char *format, ...) {
            char text[64], *made, *in[16];
            int number = 0;
            va_list first, second;
            va_start(first, format);
            va_copy(second, first);
            vsnprintf_l(text, sizeof text, locale, format, first);
            vasprintf_l(&made, locale, format, second);
            va_end(second);
            va_end(first);
            printf_l(locale, "%s|%s", text, made);
            free(made);
            sscanf_l("17 words", locale, "%d %15s", &number, in);
            fprintf_l(stdout, locale, "|%d %s\n", number, in);
        }
        int main(void) {
            char text[64];
            snprintf_l(text, sizeof text, NULL, "%s %.2f %d", "one", 2.5, 3);
            puts(text);
            lists(NULL, "%d of %s: %.1f", 4, "five", 6.5);
        }
    "#;
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("macho/locales");
    std::fs::create_dir_all(&directory).expect("a directory");
    std::fs::write(directory.join("main.c"), PROGRAM).expect("a file");
    let zig = macos::tools().expect("it was found");
    let zig = zig.compiler(&directory).expect("a compiler");
    run(&directory, &zig.cc, &["-O1", "-c", "main.c"]);
    let Some(jit) = orc_jit() else { return };
    let said = run(&directory, &jit, &["run", "main.o"]);
    assert_eq!(said, "one 2.50 3\n4 of five: 6.5|4 of five: 6.5|17 words\n");
}

/// What a program writes that ends well.
fn run(directory: &Path, program: &Path, arguments: &[&str]) -> String {
    let mut command = Invocation::new([program.as_os_str()]);
    command.argv.extend(arguments.iter().map(Into::into));
    let ran = command.run_in(directory).expect("it starts");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(
        ran.ending,
        Ending::Exit(0),
        "{}: {said}",
        command.shell_line()
    );
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// A C++ program for macOS and a C library of this system: calls, callbacks, variables, and an exception on its way through
/// the library's frames.
fn mixed() {
    const PROGRAM: &str = r#"
        #include <cstdio>
        #include <stdexcept>
        extern "C" int times(int count, int (*call)(int));
        extern "C" int calls;
        extern "C" int from_program() { return 40; }
        static int twice(int value) { return 2 * value; }
        static int fails(int value) { if (value == 2) throw std::runtime_error("at 2"); return 0; }
        int main() {
            std::printf("%d\n", times(4, twice));
            try { times(4, fails); } catch (const std::exception& error) { std::printf("%s\n", error.what()); }
            std::printf("%d\n", calls);
        }
    "#;
    const LIBRARY: &str = "
        int from_program(void);
        int calls;
        int times(int count, int (*call)(int)) {
            int sum = from_program();
            for (int i = 0; i < count; i++) { calls++; sum += call(i); }
            return sum;
        }
    ";
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("macho/mixed");
    std::fs::create_dir_all(&directory).expect("a directory");
    let write = |name, text| std::fs::write(directory.join(name), text).expect("a file");
    write("main.cpp", PROGRAM);
    write("library.c", LIBRARY);
    let tools = macos::tools().expect("it was found");
    tools.make_cxx_library(&directory).expect("a library");
    let zig = tools.compiler(&directory).expect("a compiler");
    let run = |program: &Path, arguments: &[&str]| run(&directory, program, arguments);
    run(&zig.cxx, &["-O1", "-c", "main.cpp"]);
    let own = ["-O1", "-fexceptions", "-c", "library.c"];
    run(&compilers()[0].cc, &own);
    let archiver = target().tool("ar");
    run(Path::new(&archiver), &["rcs", "libown.a", "library.o"]);
    let Some(jit) = orc_jit() else { return };
    for executor in [&[][..], &["--executor=spawn"]] {
        let words = [&["run"], executor, &["main.o", "libown.a"]].concat();
        assert_eq!(run(&jit, &words), "52\nat 2\n7\n");
    }
}

/// Whether a program can be compiled for macOS and run: it is in C or C++, has no other libraries than static ones, and
/// does not say that it is Linux's.
fn is_for_macos(case: &Case) -> bool {
    let is_source = |name: &str| {
        [".c", ".cpp", ".h", ".hpp"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    case.linux.is_none()
        && case.gap.is_none()
        && case.cpu.is_none()
        && case.shared.is_empty()
        && case.build.is_empty()
        && case.jit.is_empty()
        && case.native.is_empty()
        && case.sources.iter().all(|source| is_source(&source.name))
}

/// What a program does that the system's linker has linked. It is made once, for all modes.
type Native = Arc<Mutex<Option<Result<Behaviour, String>>>>;

fn add_trials(case: &Case, mode: &'static Mode, native: &Native, tests: &mut Tests) {
    let place = Arc::new(Mutex::new(None));
    for executor in case.executors.iter().filter(|executor| !executor.is_lazy()) {
        let name = format!("{}::zig-{}::{}", case.name, mode.name, executor.name);
        let needs = ["ziglang"]
            .into_iter()
            .chain(case.needs.iter().map(String::as_str));
        let can_run = match target().cannot_run(&case.name, executor) {
            None => tests.can_run(&name, needs),
            Some(why) => tests.ignore(&name, why),
        };
        if !can_run {
            continue;
        }
        let (case, place, native) = (case.clone(), place.clone(), native.clone());
        let executor: &Executor = executor;
        tests.add(Trial::test(name, move || {
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            let compile = || compile(&case, mode, &native);
            let built: &mut Result<Built, String> = place.get_or_insert_with(compile);
            let built = built.as_ref().map_err(Failed::from)?;
            let outcome = check(&case, built, executor);
            conformance::record_for_macos(&case.name, &built.directory, outcome.is_ok());
            outcome.map_err(Failed::from)
        }));
    }
}

/// Compiles a program for macOS, and for this system to know what it does.
fn compile(case: &Case, macos_mode: &Mode, native: &Native) -> Result<Built, String> {
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (of_system, of_macos) = match target().is_here {
        true => (cache.join("e2e"), cache.join("macho")),
        false => (
            cache.join(target().name),
            cache.join(format!("macho-{}", target().name)),
        ),
    };
    let native = {
        let mut native = native.lock().unwrap_or_else(PoisonError::into_inner);
        let build = || native_behaviour(case, &of_system).map_err(|error| error.to_string());
        native.get_or_insert_with(build).clone()?
    };
    for_macos(case, macos_mode, (&of_macos, &native)).map_err(|error| error.to_string())
}

fn native_behaviour(case: &Case, cache: &Path) -> std::io::Result<Behaviour> {
    let own = compilers()
        .iter()
        .find(|compiler| case.wants(compiler.name));
    let own = own.unwrap_or(&compilers()[0]);
    // Those that a case asks for are modes of this machine's compilers.
    let asked = case.modes.first().filter(|_| target().is_here).copied();
    let default = asked.or(mode("default"));
    let default = default.expect("there is a default mode");
    Ok(build(case, own, default, cache)?.native)
}

fn for_macos(
    case: &Case,
    macos_mode: &Mode,
    (cache, native): (&Path, &Behaviour),
) -> std::io::Result<Built> {
    let tools = macos::tools().expect("it was found");
    let compiler = tools.compiler(cache)?;
    let archiver = tools.archiver();
    if case.is_cxx() {
        static MADE: OnceLock<Result<(), String>> = OnceLock::new();
        let make = || {
            tools
                .make_cxx_library(cache)
                .map_err(|error| error.to_string())
        };
        MADE.get_or_init(make)
            .clone()
            .map_err(std::io::Error::other)?;
    }
    compile_only(case, &compiler, macos_mode, &archiver, (cache, native))
}
