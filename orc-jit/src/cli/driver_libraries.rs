//! Libraries, and options of the linker, that options of compiler drivers stand for.
//!
//! `cc -fopenmp main.o` links the runtime of OpenMP, `-fsanitize=address` that of the sanitizer,
//! `--coverage` the writer of profiles; which file that is, the compiler decides. Code whose stack is
//! split wants `pthread_create` wrapped.

use std::path::{Path, PathBuf};

use jit_core::native::NativeLibrary as _;
use platform_elf::library_search::FoundContent;
use platform_elf::shared_library::SharedLibrary;

use super::inputs::Opened;
use super::link_line::{Input, InputName, LinkLine};
use super::surroundings::Surroundings;

/// Adds what the line's options ask for. Libraries: sanitizers' runtimes before all inputs, as
/// they replace functions of other libraries, and the others behind them.
pub(super) fn add(line: &mut LinkLine, surroundings: &dyn Surroundings, compiler: &str) {
    let runtime = |file: &str| clangs_runtime(surroundings, compiler, file);
    let is_clang = Path::new(compiler)
        .file_name()
        .is_some_and(|name| name.to_string_lossy().contains("clang"));
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let (mut undefined, mut wrapped) = (Vec::new(), Vec::new());
    for flag in &line.compile_flags {
        if let Some(kinds) = flag.strip_prefix("-fsanitize=") {
            first.extend(kinds.split(',').filter_map(|kind| match is_clang {
                true => clangs_sanitizer(&runtime, kind),
                false => gccs_sanitizer(kind),
            }));
        }
        match flag.split('=').next().unwrap_or_default() {
            "-fopenmp" if is_clang => last.push(library("omp")),
            "-fopenmp" => last.push(library("gomp")),
            "--coverage" | "-coverage" | "-fprofile-arcs" | "-fprofile-generate" if !is_clang => {
                last.push(library("gcov"));
            }
            "-fprofile-instr-generate" | "-fprofile-generate" if is_clang => {
                last.extend(runtime("libclang_rt.profile-x86_64.a"));
                undefined.push("__llvm_profile_runtime".to_owned());
            }
            // Threads get stacks of their own from the compiler's library.
            "-fsplit-stack" => wrapped.push("pthread_create".to_owned()),
            _ => {}
        }
    }
    line.undefined.append(&mut undefined);
    line.wrapped.append(&mut wrapped);
    let input = |name| Input {
        name,
        source: None,
        state: Default::default(),
    };
    line.inputs.splice(0..0, first.into_iter().map(input));
    line.inputs.extend(last.into_iter().map(input));
}

fn library(name: &str) -> InputName {
    InputName::Library(name.to_owned())
}

fn gccs_sanitizer(kind: &str) -> Option<InputName> {
    Some(library(match kind {
        "address" => "asan",
        "thread" => "tsan",
        "leak" => "lsan",
        "undefined" => "ubsan",
        _ => return None,
    }))
}

fn clangs_sanitizer(file: &dyn Fn(&str) -> Option<InputName>, kind: &str) -> Option<InputName> {
    let runtime = match kind {
        "address" => "asan",
        "thread" => "tsan",
        "undefined" => "ubsan_standalone",
        _ => return None,
    };
    file(&format!("libclang_rt.{runtime}-x86_64.so"))
}

fn clangs_runtime(
    surroundings: &dyn Surroundings,
    compiler: &str,
    file: &str,
) -> Option<InputName> {
    let question = [format!("-print-file-name={file}")];
    let path = surroundings.ask_compiler(compiler, &question)?;
    Some(InputName::File(PathBuf::from(path.trim())))
}

/// The library that replaces the allocator, if there is one: it has to be there before the first
/// allocation.
pub(super) fn replaced_allocator(opened: &[Opened]) -> Option<(&Path, &SharedLibrary)> {
    let mut named = opened.iter().filter(|input| !input.as_needed);
    named.find_map(|input| {
        let FoundContent::Shared(library) = &input.found.content else {
            return None;
        };
        let is_libc = library.soname().starts_with("libc.so");
        let defines = |name: &[u8]| library.find(name).is_some();
        let replaces = !is_libc && defines(b"malloc") && defines(b"free");
        replaces.then_some((input.found.path.as_path(), &**library))
    })
}
