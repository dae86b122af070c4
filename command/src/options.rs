//! The command's own options, and its help.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Parser};
use jit_core::remote::Place;

use super::ld_options;

/// Runs relocatable objects, static archives and source files as a program, without a link step.
#[derive(Parser, Debug)]
#[command(
    name = "orc-jit",
    version,
    about,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = EXAMPLES,
)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(clap::Subcommand, Debug)]
pub enum Command {
    /// Link the inputs in memory and run the program
    Run(RunOptions),
    /// Run the program, and replace in it what changes of its sources
    Watch(WatchOptions),
    /// Tell who defines a symbol, who asked for it, and why an archive member was pulled
    Explain(ExplainOptions),
    /// Be an orc-executor, which runs code for another orc-jit: `orc-jit executor --help`
    Executor(ExecutorOptions),
    /// Write a script that completes orc-jit's options in a shell
    Completions(CompletionsOptions),
    /// Write orc-jit's manual pages
    Man(ManOptions),
}

/// Options of `orc-jit completions`.
#[derive(Parser, Debug)]
#[command(
    name = "orc-jit completions",
    about = "Write a script that completes orc-jit's options in a shell, to standard output",
    after_help = COMPLETIONS_HELP,
)]
pub struct CompletionsOptions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Options of `orc-jit man`.
#[derive(Parser, Debug)]
#[command(
    name = "orc-jit man",
    about = "Write orc-jit's manual pages: a file for each subcommand",
    after_help = MAN_HELP,
)]
pub struct ManOptions {
    /// Where to, made if it is missing
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub directory: PathBuf,
}

/// What follows `orc-jit executor`.
#[derive(Parser, Debug, Default, Clone)]
pub struct ExecutorOptions {
    /// Arguments of orc-executor
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<std::ffi::OsString>,
}

/// Options of `orc-jit run` beside those of compiler drivers.
#[derive(Parser, Debug, Default, Clone)]
#[command(
    name = "orc-jit run",
    about = "Link the inputs in memory and run the program",
    override_usage = "orc-jit run [OPTIONS] INPUT... [-- ARGS...]",
    after_help = INPUTS_HELP,
    after_long_help = LINKER_HELP,
)]
pub struct RunOptions {
    /// Worker threads for linking and compiling [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Print where the time went, to standard error
    #[arg(long)]
    pub timings: bool,

    /// Show the program to gdb and lldb, with the debug information of its objects (also: -g); always
    /// done under a debugger
    #[arg(long)]
    pub debug: bool,

    /// The next word is a source, and the last input; what follows is for the program. For the first line
    /// of scripts: #!/usr/bin/env -S orc-jit run --script
    #[arg(long)]
    pub script: bool,

    /// Link functions when they are first called: faster to start, for big programs that call little of
    /// themselves
    #[arg(long)]
    pub lazy: bool,

    /// With --lazy, write the functions that the program calls to FILE when it ends, in the order of their
    /// first calls
    #[arg(long, value_name = "FILE", requires = "lazy", value_hint = clap::ValueHint::FilePath)]
    pub record_order: Option<PathBuf>,

    /// With --lazy, link the functions in FILE before the program starts
    #[arg(long, value_name = "FILE", requires = "lazy")]
    pub order: Option<PathBuf>,

    /// With --lazy, link functions before they are called, in a thread of low priority: those that linked
    /// code refers to
    #[arg(long, requires = "lazy")]
    pub speculate: bool,

    /// Link everything, but run nothing, no library's constructor either
    #[arg(long)]
    pub no_exec: bool,

    /// Print the link graph after layout, to standard error
    #[arg(long)]
    pub show_graph: bool,

    /// Use this runtime archive instead of the built-in one (LLVM's liborc_rt works, too)
    #[arg(long, value_name = "PATH")]
    pub orc_runtime: Option<PathBuf>,

    /// Run the program in another process: a child (spawn; in an emulator: qemu:CPU), an orc-executor
    /// that listens (unix:PATH, tcp:HOST:PORT), or what a command leads to (stdio:COMMAND, ssh:HOST)
    #[arg(long, value_name = "WHERE")]
    pub executor: Option<Place>,

    /// How long that process may keep silent before it is given up, in seconds; 0 for ever
    /// [default: 30]
    #[arg(long, value_name = "SECONDS", requires = "executor", value_parser = seconds)]
    pub executor_timeout: Option<f64>,

    /// The secret to show behind tcp:HOST:PORT [default: that in $ORC_EXECUTOR_TOKEN]
    #[arg(long, value_name = "FILE", requires = "executor")]
    pub executor_token_file: Option<PathBuf>,

    /// An option for the orc-executor that is started (spawn, ssh), as in
    /// --executor-option=--read-only; `orc-jit executor --help` has them all
    #[arg(
        long,
        value_name = "OPTION",
        requires = "executor",
        allow_hyphen_values = true
    )]
    pub executor_option: Vec<OsString>,

    /// What the program sees as its own name [default: the name of -o, or of the first input]
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub argv0: Option<String>,

    /// Where relative names of the command line start: the program runs itself again, from elsewhere
    #[arg(long, value_name = "DIR", hide = true)]
    pub link_directory: Option<PathBuf>,
}

/// Options of `orc-jit watch`.
#[derive(Parser, Debug, Default, Clone)]
#[command(
    name = "orc-jit watch",
    about = "Run the program in a process of its own, and replace in it what changes of its sources",
    override_usage = "orc-jit watch [OPTIONS] SOURCE... [INPUT...] [-- ARGS...]",
    after_help = WATCH_HELP,
)]
pub struct WatchOptions {
    /// The options of `orc-jit run`.
    #[command(flatten)]
    pub run: RunOptions,
}

/// Options of `orc-jit explain`.
#[derive(Parser, Debug, Default, Clone)]
#[command(
    name = "orc-jit explain",
    about = "Tell who defines a symbol, who asked for it, and why an archive member was pulled",
    override_usage = "orc-jit explain [OPTIONS] SYMBOL INPUT...",
    after_help = INPUTS_HELP,
)]
pub struct ExplainOptions {}

/// Reads a time.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text
        .parse::<f64>()
        .ok()
        .filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    seconds.ok_or_else(|| "not a number of seconds".to_owned())
}

const EXAMPLES: &str = "\
Examples:
  orc-jit run main.o util.o libfoo.a -lz -- --verbose   objects, archives, libraries
  orc-jit run -O2 main.cpp util.c                       sources are compiled on the way
  orc-jit run main.rs                                   so are Rust programs
  orc-jit run --executor=spawn main.o                   in a process of its own
  orc-jit watch main.cpp util.cpp                       changed sources are replaced while it runs
  orc-jit executor --listen unix:/tmp/orc               where others can have it run
  rustc -C linker=orc-jit main.rs                       as a linker, from build tools
  orc-jit explain deflate main.o -lz                    where a symbol comes from

`orc-jit run --help` lists all options, and `orc-jit -Wl,--help` those of a linker.
orc-jit: supported targets: elf64-x86-64";

const INPUTS_HELP: &str = "\
Inputs:
  *.o, *.a, *.so             objects, static archives, shared libraries, linker scripts
  *.c *.cpp *.f90 *.rs *.s   sources, compiled with $CC, $CXX, $FC, $RUSTC
  -lNAME, -L DIR             libraries, searched as the system linker does
  @FILE                      arguments read from FILE
Everything after `--` goes to the program.";

const COMPLETIONS_HELP: &str = "\
Where scripts belong:
  bash   orc-jit completions bash > ~/.local/share/bash-completion/completions/orc-jit
  fish   orc-jit completions fish > ~/.config/fish/completions/orc-jit.fish
  zsh    orc-jit completions zsh > DIR/_orc-jit, with DIR in $fpath";

const MAN_HELP: &str = "\
Where pages belong:
  orc-jit man ~/.local/share/man/man1";

const WATCH_HELP: &str = "\
C and C++ sources are compiled again when they, or headers that they include, are saved; what is linked
from them is replaced in one step while the program runs. Calls get into the new functions from then
on; a function that runs ends as it began, so what a loop calls is replaced, and the loop itself is not.
Variables keep their values. If their layout has changed, the message shows how, and the old code goes
on; so it does if the sources do not compile.

On a terminal, `r` starts the program anew and `q` ends it, and its input is empty.
Everything after `--` goes to the program.";

const LINKER_HELP: &str = "\
Inputs:
  *.o, *.a, *.so             objects, static archives, shared libraries, linker scripts
  *.c *.cpp *.f90 *.rs *.s   sources, compiled with $CC, $CXX, $FC, $RUSTC; options such as -O2, -g,
                             -I, -D, -std=, -W and -f go to the compilers
  -lNAME, -l:FILE            libraries, searched as the system linker does
  @FILE                      arguments read from FILE
Everything after `--` goes to the program.

Options of a linker that work here, alone or after -Wl, :
  -L DIR                     search DIR for libraries
  --whole-archive            link every member of the archives that follow
  --no-whole-archive         link only the members that are needed (the default)
  --gc-sections              leave out what nothing refers to (the default)
  --no-gc-sections           link all sections
  --entry SYMBOL             start at SYMBOL instead of main, as a process starts: with the number of
                             arguments at the stack pointer, and without start-up code
  -nostartfiles              the same at the program's own _start
  -u SYMBOL                  link SYMBOL, from an archive too, even if nothing refers to it
  --wrap SYMBOL              let references to SYMBOL mean __wrap_SYMBOL, and those to
                             __real_SYMBOL mean SYMBOL
  --defsym NAME=VALUE        define a symbol: numbers (also 010, 0x10, 4K), symbols, the operators of C
                             and functions of linker scripts, as in --defsym 'size=end-start'
  -T SCRIPT                  read a linker script that names files and symbols, and lays nothing out
  --start-lib, --end-lib     link the objects in between only if they are needed
  -init SYMBOL, -fini SYMBOL call it first, or last
  -z muldefs                 of several definitions let the first one count
  --unresolved-symbols=ignore-all, --warn-unresolved-symbols
                             link what refers to undefined symbols: their address is zero
  -Bstatic, -Bdynamic        for the -l that follow: archives only, or shared libraries too
  -static                    the same; the C library stays shared
  --as-needed                load the shared libraries that follow only if they are used
  -rdynamic                  let dlsym, and libraries that the program opens, find its symbols
  --export-dynamic-symbol GLOB, --dynamic-list FILE
                             the same for symbols whose names match, or are listed in FILE
  --version-script FILE, --exclude-libs ARCHIVES
                             let them not find symbols that are local there, or of these archives
  -rpath DIR                 let the loader search DIR for shared libraries
  -nodefaultlibs             use no library that is not named (otherwise the language's and the
                             system's libraries are used as needed)
Options about the output file, such as -o, -pie and --build-id, are accepted and do nothing.

The program runs in this process, or where --executor says: its exit status is the command's, and a
signal that ends it ends the command. Status 1 also means that linking failed, and 2 that the command
line was wrong; the message says which.";

impl RunOptions {
    /// A file of these options, seen from where the command line was written.
    #[must_use]
    pub fn place_of(&self, file: &Path) -> PathBuf {
        match &self.link_directory {
            Some(directory) => directory.join(file),
            None => file.to_owned(),
        }
    }

    /// Refuses the first option that neither this command nor a linker or driver has.
    ///
    /// # Errors
    /// With what may have been meant.
    pub fn refuse_unknown(options: &[OsString]) -> Result<(), String> {
        const HELP: &[&str] = &["-h", "--help", "-V", "--version"];
        let mut options = options.iter().map(|option| option.to_string_lossy());
        while let Some(option) = options.next() {
            match Self::is_own(&option) {
                Some(true) => drop(options.next()),
                Some(false) => {}
                None if HELP.contains(&&*option) => {}
                None => {
                    let command = Self::command();
                    let own = command.get_arguments();
                    let own = own.filter_map(|argument| argument.get_long());
                    let own: Vec<String> = own.map(str::to_owned).collect();
                    return Err(ld_options::unknown(&option, &own));
                }
            }
        }
        Ok(())
    }

    /// Whether an option is this command's own, and if so whether a value follows it.
    #[must_use]
    pub fn is_own(option: &str) -> Option<bool> {
        let name = option.strip_prefix("--")?;
        let (name, joined) = match name.split_once('=') {
            Some((name, _)) => (name, true),
            None => (name, false),
        };
        // With the help that clap adds.
        let mut command = Self::command();
        command.build();
        let mut arguments = command.get_arguments();
        let found = arguments.find(|argument| argument.get_long() == Some(name))?;
        Some(found.get_action().takes_values() && !joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn options_with_values() {
        assert_eq!(RunOptions::is_own("--threads"), Some(true));
        assert_eq!(RunOptions::is_own("--threads=3"), Some(false));
        assert_eq!(RunOptions::is_own("--timings"), Some(false));
        assert_eq!(RunOptions::is_own("--unheard-of"), None);
        assert_eq!(RunOptions::is_own("-threads"), None);
        assert_eq!(RunOptions::is_own("--help"), Some(false));
    }
}
