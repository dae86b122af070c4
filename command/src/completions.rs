//! `orc-jit completions SHELL`: scripts by which shells complete options and names of inputs.

use std::ffi::OsString;

use clap::{Arg, Command, CommandFactory as _, Parser as _, ValueHint};

use super::options::{CompletionsOptions, Options};
use super::{Failure, say};

/// Subcommands whose inputs are files.
const WITH_INPUTS: [&str; 3] = ["run", "watch", "explain"];

/// `orc-jit completions SHELL`
pub(super) fn command(args: &[OsString]) -> Result<i32, Failure> {
    let name = OsString::from("orc-jit completions");
    let options = CompletionsOptions::try_parse_from([&name].into_iter().chain(args))?;
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut definition(), "orc-jit", &mut script);
    // `clap_complete` 4.6 spells a name with a hyphen in two ways in its script for bash.
    let script = String::from_utf8_lossy(&script).replace("orc__subcmd__jit", "orc__jit");
    say::print(&script)?;
    Ok(0)
}

/// The command line as shells are told of it: without what is hidden, and with inputs, which are read without
/// `clap`.
fn definition() -> Command {
    let known = Options::command();
    let whole = Command::new("orc-jit").version(env!("CARGO_PKG_VERSION"));
    whole.subcommands(known.get_subcommands().map(shown))
}

fn shown(command: &Command) -> Command {
    let name = command.get_name().to_owned();
    let input = Arg::new("INPUT").value_hint(ValueHint::AnyPath);
    let input = input.num_args(0..).help("Objects, archives, sources");
    let input = WITH_INPUTS.contains(&&*name).then_some(input);
    let arguments = command.get_arguments().filter(|it| !it.is_hide_set());
    Command::new(name)
        .about(command.get_about().cloned().unwrap_or_default())
        .args(arguments.cloned().chain(input))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        definition().debug_assert();
    }
}
