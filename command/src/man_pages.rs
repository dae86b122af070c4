//! `orc-jit man DIR`: the help as manual pages.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory as _, Parser as _};
use clap_mangen::Man;
use roff::{Roff, roman};

use super::Failure;
use super::options::{ManOptions, Options};

/// `orc-jit man DIR`
pub(super) fn command(args: &[OsString]) -> Result<i32, Failure> {
    let name = OsString::from("orc-jit man");
    let options = ManOptions::try_parse_from([&name].into_iter().chain(args))?;
    let directory = &options.directory;
    write_all(directory).map_err(|error| {
        format!(
            "cannot write manual pages to {}: {error}",
            directory.display()
        )
    })?;
    Ok(0)
}

fn write_all(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut whole = Options::command().disable_help_subcommand(true);
    whole.build();
    for command in [&whole].into_iter().chain(whole.get_subcommands()) {
        let name = command.get_display_name().unwrap_or("orc-jit");
        fs::write(directory.join(format!("{name}.1")), page(command)?)?;
    }
    Ok(())
}

/// The page of a command.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone())
        .source(concat!("orc-jit ", env!("CARGO_PKG_VERSION")))
        .manual("orc-jit's manual");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let more = command
        .get_after_long_help()
        .or_else(|| command.get_after_help());
    if let Some(more) = more {
        sections(&more.to_string()).to_writer(&mut page)?;
    }
    Ok(page)
}

/// What the help says behind its options. Lines that end in a colon are headings; below them, lines stay as
/// they are, because they have columns.
fn sections(help: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["NOTES"]);
    let mut in_columns = false;
    for line in help.lines() {
        let wants_columns = line.starts_with(' ');
        if wants_columns != in_columns {
            roff.control(if wants_columns { "nf" } else { "fi" }, []);
            in_columns = wants_columns;
        }
        match line.strip_suffix(':') {
            Some(heading) if !wants_columns => drop(roff.control("SS", [heading.trim_end()])),
            _ if line.is_empty() => drop(roff.control("PP", [])),
            _ => drop(roff.text([roman(line)])),
        }
    }
    if in_columns {
        roff.control("fi", []);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_columns_stay_lines() {
        let page =
            sections("Some words\nin lines.\n\nInputs:\n  *.o   objects\n  .x    others\nMore.");
        let text = page.to_roff();
        let columns = ".SS Inputs\n.nf\n  *.o   objects\n  .x    others\n.fi\nMore.\n";
        assert!(text.ends_with(columns), "{text}");
    }
}
