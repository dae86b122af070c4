//! What comes of a file when it is linked: all of it, in a process of its CPU, whatever its names mean.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use jit_core::error::LinkError;
use jit_core::name::NameUses;
use jit_core::object::Claims;
use jit_core::session::{AbsoluteSymbol, LookupOptions};
use jit_core::symbol::SymbolKind;
use object::LittleEndian as LE;
use object::macho::{self, MachHeader64};
use object::read::archive::ArchiveFile;
use object::read::macho::MachHeader as _;
use orc_jit::{Dylib, Executor, ExecutorAddr, Generator, Jit, Wanted};

/// First bytes of files to link: objects of both widths, universal files, archives.
const MAGIC: [&[u8]; 5] = [
    &[0xcf, 0xfa, 0xed, 0xfe],
    &[0xce, 0xfa, 0xed, 0xfe],
    &[0xca, 0xfe, 0xba, 0xbe],
    &[0xca, 0xfe, 0xba, 0xbf],
    b"!<arch>\n",
];

/// What came of a file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// It is linked.
    Links,
    /// It is read, and has nothing that others could refer to.
    Reads,
    /// It is refused, with this message.
    Refused(String),
}

/// Whether a file begins like one to link.
pub fn is_macho(path: &Path) -> bool {
    let mut start = [0; 8];
    let read = fs::File::open(path).and_then(|mut file| file.read(&mut start));
    read.is_ok() && MAGIC.iter().any(|magic| start.starts_with(magic))
}

/// Sessions for both CPUs.
#[derive(Default)]
pub struct Linker {
    x86_64: Option<Jit>,
    arm64: Option<Jit>,
    count: usize,
}

impl Linker {
    /// Links a file.
    ///
    /// # Errors
    /// When there is no session to link it in.
    pub fn outcome(&mut self, path: &Path) -> Result<Outcome, String> {
        let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let is_arm64 = is_for_arm64(&bytes);
        let jit = self.session(is_arm64)?;
        self.count += 1;
        let outcome = link(&jit, &format!("file{}", self.count), path, bytes);
        if jit.executor().lost().is_some() {
            *self.of(is_arm64) = None;
        }
        Ok(match outcome {
            Ok(outcome) => outcome,
            Err(message) => {
                // Who has the file knows where it is.
                let place = format!("{}", path.display());
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                Outcome::Refused(message.replace(&place, &name))
            }
        })
    }

    fn of(&mut self, is_arm64: bool) -> &mut Option<Jit> {
        match is_arm64 {
            true => &mut self.arm64,
            false => &mut self.x86_64,
        }
    }

    fn session(&mut self, is_arm64: bool) -> Result<Jit, String> {
        if let Some(jit) = self.of(is_arm64) {
            return Ok(jit.clone());
        }
        let executor = match is_arm64 {
            true => Executor::connect("qemu:aarch64"),
            false => Executor::spawn(),
        };
        let executor = executor.map_err(|error| error.to_string())?;
        let jit = Jit::builder().executor(executor).build();
        let jit = jit.map_err(|error| error.to_string())?;
        Ok(self.of(is_arm64).insert(jit).clone())
    }
}

/// Whether an object is for arm64, or the first member of an archive; universal files are for both.
fn is_for_arm64(bytes: &[u8]) -> bool {
    if let Ok(archive) = ArchiveFile::parse(bytes) {
        let members = archive.members().flatten();
        let mut members = members.filter_map(|member| member.data(bytes).ok());
        return members.next().is_some_and(is_for_arm64);
    }
    let header = MachHeader64::<LE>::parse(bytes, 0);
    header.is_ok_and(|header| header.cputype(LE) == macho::CPU_TYPE_ARM64)
}

/// Links a file in a dylib of its own. Its code never runs.
fn link(jit: &Jit, name: &str, path: &Path, bytes: Vec<u8>) -> Result<Outcome, String> {
    let dylib = jit.dylib(name).map_err(|error| error.to_string())?;
    let outcome = link_in(jit, &dylib, path, bytes);
    // A link that failed has left nothing; of one that did not, nothing has run.
    let _ = dylib.remove();
    outcome
}

fn link_in(jit: &Jit, dylib: &Dylib, path: &Path, bytes: Vec<u8>) -> Result<Outcome, String> {
    let text = |error: LinkError| error.to_string();
    let session = dylib.session_dylib();
    let mut names = NameUses::new(jit.session().names());
    let header = names.intern(b"__dso_handle");
    let place = session.lookup_one("__dso_handle").map_err(text)?.addr();
    dylib.add_generator(Arc::new(Anything { place }));
    if bytes.starts_with(MAGIC[4]) {
        dylib
            .add_whole_archive(path)
            .map_err(|error| error.to_string())?;
    } else {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let object = jit.objects().read(&name, bytes);
        let object = object.map_err(|error| error.to_string())?;
        object
            .build_graph(&Claims::default())
            .map_err(|error| error.to_string())?;
        dylib
            .add_objects([object])
            .map_err(|error| error.to_string())?;
    }
    let defined = dylib.defined_names();
    let wanted: Vec<_> = defined
        .iter()
        .map(|name| names.intern(name.as_bytes()))
        .filter(|name| *name != header)
        .collect();
    let options = LookupOptions {
        initializers: true,
        ..LookupOptions::default()
    };
    session.lookup_with(&wanted, &options).map_err(text)?;
    Ok(match wanted.is_empty() {
        true => Outcome::Reads,
        false => Outcome::Links,
    })
}

/// Defines whatever nobody else does, at one place nearby.
struct Anything {
    place: ExecutorAddr,
}

impl Generator for Anything {
    fn name(&self) -> &str {
        "anything"
    }

    fn generate(
        &self,
        dylib: &jit_core::session::Dylib,
        wanted: &[Wanted],
    ) -> Result<(), LinkError> {
        let symbol = |wanted: &Wanted| AbsoluteSymbol {
            name: wanted.name,
            addr: self.place,
            kind: SymbolKind::None,
            weak: true,
        };
        let symbols: Vec<AbsoluteSymbol> = wanted.iter().map(symbol).collect();
        dylib.default_tracker().add_absolute(&symbols)
    }
}
