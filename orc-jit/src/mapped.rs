//! Input files in memory: large ones are mapped, small ones read.
//!
//! Mapping costs two system calls, a fault per page touched and a flush when it is undone; reading
//! a file of a few pages costs less. This is the one module of this crate that maps memory, because
//! that is `unsafe`: a mapped file that somebody truncates turns reads into `SIGBUS`. Linkers have
//! always lived with that.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::sync::Arc;

use jit_core::graph::InputBytes;
use platform_elf::input::{InputOpener, OwnedBytes};

/// Files smaller than this are read.
const MAP_FROM: u64 = 64 * 1024;

/// A mapped file.
struct Mapped(memmap2::Mmap);

impl InputBytes for Mapped {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn rest(&self) {
        // SAFETY: nobody writes to the mapping, so it has no content but the file's, which is read again
        // when somebody looks.
        let advised = unsafe { self.0.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        // Only memory is at stake.
        let _ = advised;
    }
}

/// Opens the linker's input files.
#[derive(Debug, Clone, Copy, Default)]
pub struct MapFiles;

impl InputOpener for MapFiles {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn InputBytes>> {
        // Opening a pipe that nobody writes to would wait for somebody.
        let kind = std::fs::metadata(path)?.file_type();
        if kind.is_fifo() || kind.is_socket() {
            let problem = "is a pipe or a socket; write what comes from it into a file";
            return Err(io::Error::other(problem));
        }
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if metadata.is_file() && metadata.len() >= MAP_FROM {
            // SAFETY: the mapping is private and read-only. The file may change under it if somebody
            // writes to it during the link; parsers check every bound against the length of the mapping,
            // which does not change, and never rely on reading the same bytes twice.
            let map = unsafe { memmap2::Mmap::map(&file)? };
            return Ok(Arc::new(Mapped(map)));
        }
        // Reading to the end would ask for the size again, and for an end that is known.
        let mut bytes = vec![0; usize::try_from(metadata.len()).unwrap_or(0)];
        if metadata.is_file() && !bytes.is_empty() {
            file.read_exact(&mut bytes)?;
        } else {
            file.read_to_end(&mut bytes)?;
        }
        Ok(Arc::new(OwnedBytes::from(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_files_read_the_same() {
        let dir = tempfile::tempdir().unwrap();
        for size in [
            0,
            1,
            MAP_FROM as usize - 1,
            MAP_FROM as usize,
            3 * MAP_FROM as usize,
        ] {
            let content: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
            let path = dir.path().join(size.to_string());
            std::fs::write(&path, &content).unwrap();
            assert_eq!(MapFiles.open(&path).unwrap().bytes(), content);
        }
        let error = MapFiles.open(dir.path()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    }
}
