//! Ways to get from objects to a running program.

use std::path::Path;
use std::process::Command;

use tests::compare::orc_jit;
use tests::toolchain::{compilers, find_program};

use crate::workloads::{NO_PIE, Workload};

/// Stands for all inputs in a linker's command line.
const INPUTS: &str = "inputs.o";

/// Linkers whose work goes on in a process of its own, unless told otherwise.
const FORKING: [&str; 2] = ["mold", "wild"];

/// A way to run objects.
pub struct Contender {
    /// What it is called.
    pub name: &'static str,
    kind: Kind,
}

enum Kind {
    /// This project's command.
    OrcJit(String),
    /// A linker, then the executable it made.
    Linker(String),
    /// LLVM's JIT linker, which takes PIC objects and fewer kinds of relocations.
    LlvmJitlink { command: String, runtime: String },
}

/// Everything that is installed, ours first.
pub fn contenders() -> Vec<Contender> {
    let path =
        |program: &str| find_program(program).map(|path| path.to_string_lossy().into_owned());
    let ours = orc_jit()
        .expect("the benchmarks need orc-jit")
        .to_string_lossy()
        .into_owned();
    let mut all = vec![Contender {
        name: "orc-jit",
        kind: Kind::OrcJit(ours),
    }];
    let linkers = [
        ("ld", "ld.bfd"),
        ("mold", "mold"),
        ("lld-22", "ld.lld-22"),
        ("wild", "wild"),
    ];
    for (name, program) in linkers {
        all.extend(path(program).map(|command| Contender {
            name,
            kind: Kind::Linker(command),
        }));
    }
    let runtime = "/usr/lib/llvm-22/lib/clang/22/lib/linux/liborc_rt-x86_64.a".to_owned();
    if let Some(command) = path("llvm-jitlink-22").filter(|_| Path::new(&runtime).exists()) {
        all.push(Contender {
            name: "llvm-jitlink",
            kind: Kind::LlvmJitlink { command, runtime },
        });
    }
    all
}

impl Contender {
    /// Whether it is worth trying.
    pub fn can_run(&self, workload: &Workload) -> bool {
        match self.kind {
            Kind::LlvmJitlink { .. } => workload.for_llvm_jitlink,
            Kind::OrcJit(_) | Kind::Linker(_) => true,
        }
    }

    /// The commands to run one after the other.
    pub fn commands(&self, arguments: &[String], directory: &Path) -> Vec<Vec<String>> {
        match &self.kind {
            Kind::OrcJit(command) => {
                vec![[&[command.clone(), "run".to_owned()], arguments].concat()]
            }
            Kind::Linker(command) => {
                let executable = directory.join("executable").to_string_lossy().into_owned();
                let mut link = vec![command.clone()];
                link.extend(linker_arguments(arguments, &executable, directory));
                vec![link, vec![executable]]
            }
            Kind::LlvmJitlink { command, runtime } => {
                let runtime = format!("-orc-runtime={runtime}");
                vec![[&[command.clone(), runtime], arguments].concat()]
            }
        }
    }

    /// The first command in a form whose memory can be measured from outside.
    pub fn in_one_process(&self, command: &[String]) -> Vec<String> {
        let mut command = command.to_vec();
        if FORKING.contains(&self.name) {
            command.insert(1, "--no-fork".to_owned());
        }
        command
    }
}

/// What the compiler would pass to the linker: so a linker is timed without the compiler's
/// driver around it.
fn linker_arguments(arguments: &[String], executable: &str, directory: &Path) -> Vec<String> {
    let driver = &compilers()[0].cxx;
    let (kind, arguments): (Vec<String>, Vec<String>) =
        arguments.iter().cloned().partition(|word| word == NO_PIE);
    let output = Command::new(driver)
        // The driver would put what a response file names into one of its own, for the time of
        // the link.
        .args(["-###", INPUTS, "-o", executable])
        .args(kind)
        .current_dir(directory)
        .output()
        .expect("the compiler runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text
        .lines()
        .rev()
        .find(|line| line.contains("collect2") || line.contains("/ld"));
    let words = line
        .expect("the compiler shows its link command")
        .split_whitespace();
    let mut words = words
        .map(|word| word.trim_matches('"').to_owned())
        .skip(1)
        .peekable();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        // The plugin is for link-time optimization, and not every linker has it.
        if word == "-plugin" {
            words.next();
        } else if word == INPUTS {
            kept.extend_from_slice(&arguments);
        } else if !word.starts_with("-plugin-opt") {
            kept.push(word);
        }
    }
    kept
}
