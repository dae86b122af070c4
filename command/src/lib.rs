//! The `orc-jit` command.

mod as_ld;
mod call_order;
mod completions;
mod driver_defaults;
mod driver_libraries;
mod explain;
pub mod heap;
mod identity;
mod image;
mod inputs;
mod kept_objects;
mod ld_options;
mod link_cpu;
mod link_line;
mod linker;
mod lto;
mod macos_libraries;
mod man_pages;
mod map_file;
mod options;
mod other_process;
mod output;
mod panics;
mod preload;
mod questions;
mod replaced;
mod response_file;
mod restart;
mod run;
mod run_path;
mod say;
mod scratch;
mod script;
mod show_graph;
mod sources;
mod suggest;
mod surroundings;
mod threads;
mod timings;
mod tuning;
mod watch;

use std::ffi::OsString;
use std::path::Path;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

pub use other_process::keep_token;
pub use restart::{EnvironmentChange, saved_environment};

/// Exit status when linking failed.
const FAILED: i32 = 1;
/// Exit status when the command line was wrong.
const USAGE: i32 = 2;

/// Why the command stops.
#[derive(Debug)]
enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// What it asks for failed.
    Failed(String),
    /// `clap` has something to say: an error, or help that was asked for.
    Clap(Box<clap::Error>),
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        Self::Clap(Box::new(error))
    }
}

/// Runs the command with its arguments (its own name first) and returns its exit status. A program
/// that it runs ends the process itself.
#[must_use]
pub fn main(args: Vec<OsString>) -> i32 {
    panics::guarded(|| match dispatch(args) {
        Ok(status) => status,
        Err(failure) => status_of(failure),
    })
}

/// Whether it is the help, for a command line that is empty.
fn is_help(error: &clap::Error) -> bool {
    error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
}

/// What an error of `clap` says, without how it says so.
fn said(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let lines = text.lines().map(str::trim_end);
    let told =
        lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let told: Vec<&str> = told.filter(|line| !line.is_empty()).collect();
    told.join("\n")
}

/// Says why the command stops. Its exit status.
fn status_of(failure: Failure) -> i32 {
    match failure {
        Failure::Failed(message) => {
            say::error(message);
            FAILED
        }
        Failure::Usage(message) => {
            say::error(message);
            say::note("Try `orc-jit --help`.");
            USAGE
        }
        Failure::Clap(error) if error.use_stderr() && !is_help(&error) => {
            status_of(Failure::Usage(said(&error)))
        }
        Failure::Clap(error) => match (say::clap(&error), error.kind()) {
            (Err(message), _) => status_of(Failure::Failed(message)),
            (Ok(()), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => 0,
            (Ok(()), _) => USAGE,
        },
    }
}

/// What the first argument says: a subcommand, or that this is a call in a linker's place.
fn dispatch(args: Vec<OsString>) -> Result<i32, Failure> {
    let first = args.get(1).and_then(|a| a.to_str()).unwrap_or("");
    match first {
        "run" => run::command(&args[2..]),
        "watch" => watch::command(&args[2..]),
        image::SUBCOMMAND => run::image_command(&args[2..]),
        "explain" => explain::command(&args[2..]),
        "completions" => completions::command(&args[2..]),
        "man" => man_pages::command(&args[2..]),
        "executor" => {
            let error = orc_jit::become_executor(&args[2..], other_process::token());
            Err(Failure::Failed(format!(
                "cannot start the executor: {error}"
            )))
        }
        "" | "-h" | "--help" | "help" => {
            options::Options::try_parse_from(&args)?;
            Err(Failure::Usage("nothing to do".to_owned()))
        }
        _ if linker::is_linker_call(&args) => linker::command(&args),
        // Whoever names a file wants it run.
        _ if Path::new(first).exists() => Err(Failure::Usage(format!(
            "`{first}` is no subcommand, but a file: `orc-jit run {first}` runs it"
        ))),
        _ if first.starts_with('-') => {
            options::Options::try_parse_from(&args)?;
            Err(Failure::Usage(format!("`{first}` is no subcommand")))
        }
        _ => {
            let command = options::Options::command();
            let known = command.get_subcommands().map(clap::Command::get_name);
            let meant = suggest::similar(first, known.chain(["help"]));
            let meant = meant.map(|known| format!("; did you mean `{known}`?"));
            let meant = meant.unwrap_or_default();
            Err(Failure::Usage(format!("`{first}` is no subcommand{meant}")))
        }
    }
}
