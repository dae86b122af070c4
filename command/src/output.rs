//! Files that this command writes where the user says.
//!
//! What is there already may be anything, and build tools name devices: `configure` links to
//! `/dev/null`, as root. So only a regular file is replaced, by one that is complete: it is written
//! beside the old one, which is there until the new one takes its name. Devices and pipes are written to. A symbolic
//! link stays, and what it leads to is treated like that. Nothing is ever removed.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use orc_inputs::input::printable_path;

use super::scratch::Unfinished;

/// What a new file may be used for, before the user's mask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    /// To be started: everybody may read, write and execute it.
    Execute,
    /// To be read: nobody may execute it.
    Read,
}

impl Use {
    const fn mode(self) -> u32 {
        match self {
            Self::Execute => 0o777,
            Self::Read => 0o666,
        }
    }
}

/// Makes `write` fill the file at `path`.
///
/// # Errors
/// With the file's name; a regular file that was there before is still there, as it was.
pub(super) fn write(
    path: &Path,
    purpose: Use,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), String> {
    let written = match regular_place(path) {
        Ok(Some(place)) => replace(&place, purpose, write),
        Ok(None) => write_through(path, purpose, write),
        Err(error) => Err(error),
    };
    written.map_err(|error| match error.kind() {
        io::ErrorKind::IsADirectory => {
            format!("cannot write {}: it is a directory", printable_path(&path))
        }
        _ => format!("cannot write {}: {error}", printable_path(&path)),
    })
}

/// The input that writing to `output` would destroy.
pub(super) fn overwritten<'a>(
    output: &Path,
    inputs: impl IntoIterator<Item = &'a Path>,
) -> Option<&'a Path> {
    let identity = |it: Metadata| it.is_file().then(|| (it.dev(), it.ino()));
    let of = |path: &Path| std::fs::metadata(path).ok().and_then(identity);
    let output = of(output)?;
    let mut inputs = inputs.into_iter();
    inputs.find(|input| of(input) == Some(output))
}

/// Where a regular file can be replaced, or made: `path`, or what it leads to. `None` if what is there is something
/// else, or cannot be found by a name of its own.
fn regular_place(path: &Path) -> io::Result<Option<PathBuf>> {
    match std::fs::symlink_metadata(path) {
        Ok(there) if there.is_file() => Ok(Some(path.to_owned())),
        Ok(there) if there.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(there) if there.is_symlink() => {
            let leads_to = std::fs::metadata(path).ok().filter(Metadata::is_file);
            let target = path.canonicalize();
            Ok(leads_to.and(target.ok()))
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(path.to_owned())),
        Err(error) => Err(error),
    }
}

fn replace(
    place: &Path,
    purpose: Use,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let directory = match place.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let beside = tempfile::Builder::new()
        .prefix(".orc-jit-")
        .permissions(Permissions::from_mode(purpose.mode()))
        .tempfile_in(directory);
    let mut beside = match beside {
        Ok(beside) => beside,
        // Who may write to a file, but not beside it, gets it written to.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && place.exists() => {
            return write_through(place, purpose, write);
        }
        Err(error) => return Err(error),
    };
    let _unfinished = Unfinished::new(beside.path());
    write(beside.as_file_mut())?;
    beside.persist(place).map_err(|failed| failed.error)?;
    Ok(())
}

fn write_through(
    path: &Path,
    purpose: Use,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut file: File = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(purpose.mode())
        .open(path)?;
    write(&mut file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn put(path: &Path, text: &str) -> Result<(), String> {
        write(path, Use::Execute, |to| to.write_all(text.as_bytes()))
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_regular_file_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("out");
        put(&file, "new").unwrap();
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o700, 0o700);
        let running = File::open(&file).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o444)).unwrap();
        put(&file, "newer").unwrap();
        assert_eq!(read(&file), "newer");
        assert_eq!(std::io::read_to_string(running).unwrap(), "new");
        let failed = write(&file, Use::Read, |to| {
            to.write_all(b"half")?;
            Err(io::Error::other("no more"))
        });
        assert!(failed.unwrap_err().contains("no more"));
        assert_eq!(read(&file), "newer");
        assert_eq!(names(dir.path()), ["out"]);
    }

    #[test]
    fn links_stay_and_what_they_lead_to_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let (link, real) = (dir.path().join("link"), dir.path().join("real"));
        symlink("real", &link).unwrap();
        for text in ["made through the link", "replaced"] {
            put(&link, text).unwrap();
            assert_eq!(read(&real), text);
            assert!(link.is_symlink() && !real.is_symlink());
        }
        assert_eq!(names(dir.path()), ["link", "real"]);
    }

    #[test]
    fn what_is_no_file_is_no_place_for_one() {
        let dir = tempfile::tempdir().unwrap();
        let error = put(dir.path(), "text").unwrap_err();
        assert!(error.ends_with("it is a directory"), "{error}");
        let below = dir.path().join("none/out");
        assert!(put(&below, "text").unwrap_err().contains("No such file"));
        std::fs::write(dir.path().join("file"), "").unwrap();
        let below = dir.path().join("file/out");
        assert!(put(&below, "text").unwrap_err().contains("Not a directory"));
        assert_eq!(names(dir.path()), ["file"]);
    }

    #[test]
    fn an_input_is_no_output() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a.o"), dir.path().join("b"));
        std::fs::write(&a, "object").unwrap();
        symlink("a.o", &b).unwrap();
        let inputs = || [Path::new("/dev/null"), &a];
        assert_eq!(overwritten(&b, inputs()), Some(&*a));
        assert_eq!(overwritten(&dir.path().join("c"), inputs()), None);
        assert_eq!(overwritten(Path::new("/dev/null"), inputs()), None);
    }
}
