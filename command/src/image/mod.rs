//! What this command writes when it is called as a linker: an *image*, an executable file that holds
//! all that its program is made of, and that links and runs it when it is executed.
//!
//! `rustc -C linker=orc-jit` (and any build tool that calls a compiler driver to link) so gets a
//! program at the place it expects one at. It can be moved, copied and run from anywhere, and needs
//! nothing of what it was made from: objects, and the members of archives that its link needs, are in it, each
//! file on pages of its own, so that they are mapped where they lie. Shared libraries are not, as in
//! any program, nor is this command.
//!
//! The symbols of the program were resolved when the image was made, so that what is missing is an
//! error then. Where everything goes is decided when it runs.

mod contents;
mod launcher;
mod launcher_code;
mod recorder;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use jit_core::graph::InputBytes;
use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectSection as _};
use orc_inputs::input::InputOpener as _;
use orc_inputs::input::printable_path;
use orc_jit::mapped::MapFiles;

pub(crate) use self::contents::Contents;
pub(super) use self::recorder::Recorder;

use super::output;

/// The subcommand that runs an image; the launcher has it, too.
pub(super) const SUBCOMMAND: &str = "run-image";

/// Writes the image at `output` for a link with these arguments, given in `directory`, that took what
/// `recorder` noted. `command` is the path of this command.
///
/// # Errors
/// With the file that cannot be used or written.
pub(super) fn write(
    output: &Path,
    command: &Path,
    recorder: &Recorder,
    directory: &Path,
    arguments: &[OsString],
) -> Result<(), String> {
    let (files, mut index) = recorder.finish(directory)?;
    index.arguments = arguments.to_vec();
    let index = index.text(&files);
    let size = contents::size(&files, &index);
    let command = command.as_os_str().as_bytes();
    let start = launcher::start(command, size);
    let end = launcher::end(&start, command, size);
    output::write(output, output::Use::Execute, |to| {
        let mut to = std::io::BufWriter::new(to);
        to.write_all(&start)?;
        contents::write(&mut to, &files, &index)?;
        to.write_all(&end)?;
        to.flush()
    })
}

/// The image at `path`, `None` if it is something else.
///
/// # Errors
/// When the file cannot be read, or is damaged.
pub(super) fn read(path: &Path) -> Result<Option<Contents>, String> {
    let problem = |what: String| format!("{}: {what}", printable_path(&path));
    let whole: Arc<dyn InputBytes> = MapFiles.open(path).map_err(|e| problem(e.to_string()))?;
    let file = ElfFile64::<Endianness>::parse(whole.bytes()).ok();
    let section = file
        .as_ref()
        .and_then(|file| file.section_by_name(launcher::SECTION));
    let Some((start, _)) = section.and_then(|section| section.file_range()) else {
        return Ok(None);
    };
    let start = usize::try_from(start).map_err(|e| problem(e.to_string()))?;
    Contents::read(&whole, start).map(Some).map_err(problem)
}

#[cfg(test)]
mod tests;
