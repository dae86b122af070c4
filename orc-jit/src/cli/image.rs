//! What this command writes when it is called as a linker: a small executable text file that
//! lists what to link, and that links and runs it when it is executed.
//!
//! `rustc -C linker=orc-jit` (and any build tool that calls a compiler driver to link) so gets a
//! file at the place it expects a program at. The kernel starts it through its first line, with
//! this command as the interpreter. Everything is referred to by absolute path, except what the
//! caller is about to delete: rustc removes its objects after linking, so they are kept in a
//! directory beside the file, as further links to the same data where possible.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use platform_elf::library_search::LibraryChoice;

use super::link_line::{InputName, InputState, LinkLine};
use super::{output, response_file};

/// The subcommand that runs such a file.
pub const SUBCOMMAND: &str = "run-image";

/// The kernel reads no more of an interpreter line.
const INTERPRETER_LINE_MAX: usize = 255;

/// Writes the file at `output` for what `line` links.
///
/// # Errors
/// With the file that cannot be copied or written.
pub fn write(line: &LinkLine, output: &Path, interpreter: &Path) -> Result<(), String> {
    let output = absolute(output);
    let mut keeper = Keeper::new(&output);
    let args = arguments(line, &mut keeper)?;
    let mut text = interpreter_line(interpreter);
    text.extend(response_file::join(&args));
    output::write(&output, output::Use::Execute, |to| to.write_all(&text))
}

/// The arguments in a file that [`write`] wrote, `None` if it is something else.
///
/// # Errors
/// When the file cannot be read.
pub fn read(path: &Path) -> Result<Option<Vec<OsString>>, String> {
    let text = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut lines = text.splitn(2, |b| *b == b'\n');
    let (first, rest) = (lines.next().unwrap_or(b""), lines.next().unwrap_or(b""));
    let marker = SUBCOMMAND.as_bytes();
    let ours = first.starts_with(b"#!") && first.windows(marker.len()).any(|w| w == marker);
    Ok(ours.then(|| response_file::split(rest)))
}

/// `#!/path/to/orc-jit run-image`; through a shell where that is too long or holds a space.
fn interpreter_line(interpreter: &Path) -> Vec<u8> {
    let path = interpreter.as_os_str().as_bytes();
    let direct = [b"#!", path, b" ", SUBCOMMAND.as_bytes(), b"\n"].concat();
    if direct.len() < INTERPRETER_LINE_MAX && !path.iter().any(u8::is_ascii_whitespace) {
        return direct;
    }
    // One line for the shell, so that the list starts at the second one here too: env splits
    // its argument itself.
    let quoted = interpreter.display().to_string().replace('\'', "'\\''");
    format!("#!/usr/bin/env -S '{quoted}' {SUBCOMMAND}\n").into_bytes()
}

/// The command line that links the same again, from any directory.
fn arguments(line: &LinkLine, keeper: &mut Keeper) -> Result<Vec<OsString>, String> {
    let mut args: Vec<OsString> = Vec::new();
    for dir in &line.library_dirs {
        let dir = absolute(Path::new(dir));
        args.push("-L".into());
        args.push(dir.into());
    }
    for dir in &line.run_path {
        args.push(format!("-Wl,-rpath,{dir}").into());
    }
    let mut state = InputState::default();
    for input in &line.inputs {
        switch(&mut args, &mut state, &input.state);
        args.push(match &input.name {
            InputName::Library(name) => format!("-l{name}").into(),
            InputName::File(path) => keeper.keep(path)?.into(),
        });
    }
    for (option, values) in [
        ("-u", &line.undefined),
        ("--require-defined", &line.required),
        ("--wrap", &line.wrapped),
        ("--export-dynamic-symbol", &line.exported),
    ] {
        let words = values.iter().map(|value| format!("-Wl,{option},{value}"));
        args.extend(words.map(OsString::from));
    }
    for list in &line.export_lists {
        args.push("--dynamic-list".into());
        args.push(keeper.keep(list)?.into());
    }
    let defsym = |(name, value): &(String, String)| format!("-Wl,--defsym={name}={value}").into();
    args.extend(line.defsyms.iter().map(defsym));
    args.extend(line.entry.iter().map(|e| format!("-Wl,--entry={e}").into()));
    args.extend(line.gc_sections.map(|on| {
        let option = if on {
            "-Wl,--gc-sections"
        } else {
            "-Wl,--no-gc-sections"
        };
        option.into()
    }));
    if line.export_dynamic {
        args.push("-rdynamic".into());
    }
    if !line.default_libraries {
        args.push("-nodefaultlibs".into());
    }
    Ok(args)
}

/// Options that lead from one state to another.
fn switch(args: &mut Vec<OsString>, from: &mut InputState, to: &InputState) {
    let mut option = |changed: bool, text: &str| {
        if changed {
            args.push(text.into());
        }
    };
    option(
        !from.whole_archive && to.whole_archive,
        "-Wl,--whole-archive",
    );
    option(
        from.whole_archive && !to.whole_archive,
        "-Wl,--no-whole-archive",
    );
    option(!from.as_needed && to.as_needed, "-Wl,--as-needed");
    option(from.as_needed && !to.as_needed, "-Wl,--no-as-needed");
    let static_only = to.choice == LibraryChoice::StaticOnly;
    option(from.choice != to.choice && static_only, "-Wl,-Bstatic");
    option(from.choice != to.choice && !static_only, "-Wl,-Bdynamic");
    *from = to.clone();
}

/// Keeps files that the caller of a linker deletes.
struct Keeper {
    output: PathBuf,
    /// Made for the first file: what is there already is somebody else's.
    dir: Option<PathBuf>,
    count: usize,
}

impl Keeper {
    fn new(output: &Path) -> Self {
        Self {
            output: output.to_owned(),
            dir: None,
            count: 0,
        }
    }

    fn dir(&mut self) -> std::io::Result<PathBuf> {
        if let Some(dir) = &self.dir {
            return Ok(dir.clone());
        }
        let mut prefix = self.output.file_name().unwrap_or_default().to_owned();
        prefix.push(".objects-");
        let beside = self.output.parent().unwrap_or(Path::new("/"));
        let dir = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(beside)?;
        Ok(self.dir.insert(dir.keep()).clone())
    }

    /// Where the file will still be found later.
    fn keep(&mut self, path: &Path) -> Result<PathBuf, String> {
        let path = absolute(path);
        if !is_short_lived(&path) {
            return Ok(path);
        }
        let fail = |e: std::io::Error| format!("{}: {e}", path.display());
        let name = path.file_name().unwrap_or_default();
        let kept = self.dir().map_err(fail)?;
        let kept = kept.join(format!("{}-{}", self.count, name.display()));
        self.count += 1;
        if std::fs::hard_link(&path, &kept).is_err() {
            std::fs::copy(&path, &kept).map_err(fail)?;
        }
        Ok(kept)
    }
}

/// Objects, which rustc deletes after linking, and whatever lies in its own temporary directories.
fn is_short_lived(path: &Path) -> bool {
    let is_object = path.extension().is_some_and(|e| e == "o");
    let temp = std::env::temp_dir();
    is_object || path.starts_with(temp)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: impl IntoIterator<Item = OsString>) -> LinkLine {
        LinkLine::parse(args, &|_| None).unwrap()
    }

    #[test]
    fn what_is_written_links_the_same_again() {
        let dir = tempfile::tempdir().unwrap();
        let object = dir.path().join("x.o");
        std::fs::write(&object, "object").unwrap();
        let text = format!(
            "-Wl,--as-needed -Wl,-Bstatic {} /lib/y.rlib -Wl,-Bdynamic -lz -L /l -Wl,-rpath,/r \
             -Wl,--gc-sections -rdynamic -nodefaultlibs -Wl,-u,keep -Wl,--defsym=a=1 \
             -Wl,--require-defined=r -Wl,--wrap=w -Wl,--export-dynamic-symbol=e* \
             -Wl,--dynamic-list=/lists/d",
            object.display()
        );
        let before = parse(text.split(' ').map(OsString::from));
        let output = dir.path().join("out");
        write(&before, &output, Path::new("/bin/orc-jit")).unwrap();
        std::fs::remove_file(&object).unwrap();

        let after = parse(read(&output).unwrap().unwrap());
        let InputName::File(kept) = after.inputs[0].name.clone() else {
            panic!("{:?} is no file", after.inputs[0].name)
        };
        assert_eq!(std::fs::read(kept).unwrap(), b"object");
        assert_eq!(after.inputs[1..], before.inputs[1..]);
        assert_eq!(after.inputs[0].state, before.inputs[0].state);
        assert_eq!(after.library_dirs, ["/l"]);
        assert_eq!(after.run_path, ["/r"]);
        assert_eq!(after.gc_sections, Some(true));
        assert!(!after.default_libraries && after.export_dynamic);
        assert_eq!(after.undefined, ["keep"]);
        assert_eq!(after.defsyms, before.defsyms);
        assert_eq!(after.required, ["r"]);
        assert_eq!(after.wrapped, ["w"]);
        assert_eq!(after.exported, ["e*"]);
        assert_eq!(after.export_lists, [Path::new("/lists/d")]);
    }

    #[test]
    fn the_interpreter_line_fits_the_kernel() {
        let short = interpreter_line(Path::new("/bin/orc-jit"));
        assert_eq!(short, b"#!/bin/orc-jit run-image\n");
        let spaced = interpreter_line(Path::new("/my dir/orc-jit"));
        assert_eq!(spaced, b"#!/usr/bin/env -S '/my dir/orc-jit' run-image\n");
    }

    #[test]
    fn other_files_are_recognized_as_such() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("script");
        std::fs::write(&script, "#!/bin/sh\necho run\n").unwrap();
        assert_eq!(read(&script).unwrap(), None);
        assert!(read(Path::new("/none")).is_err());
    }
}
