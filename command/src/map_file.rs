//! Files that describe a link: `-Map`, for people, and `--dependency-file`, for `make`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jit_core::graph::{LinkGraph, Target};
use jit_core::name::NameTable;
use jit_core::object::Scope;

use super::inputs::Opened;
use super::link_line::LinkLine;
use super::output;

/// What a link is made of.
pub(super) struct LinkReport {
    names: Arc<NameTable>,
    inputs: Vec<PathBuf>,
    /// Nothing until the files are known: the runtime is linked before.
    pieces: Arc<Mutex<Option<Vec<Piece>>>>,
}

/// A block of an object.
struct Piece {
    output: String,
    address: u64,
    size: u64,
    /// The object that has it, by the name in messages.
    of: Arc<str>,
    /// Global symbols, by address.
    symbols: Vec<(u64, String)>,
}

impl LinkReport {
    /// An empty report, if the line asks for one.
    pub(super) fn wanted(line: &LinkLine) -> Option<Self> {
        let wanted = line.map_file.is_some() || line.dependency_file.is_some();
        wanted.then(|| Self {
            names: Arc::new(NameTable::permanent()),
            inputs: Vec::new(),
            pieces: Arc::default(),
        })
    }

    /// The table that the link's names have to be in.
    pub(super) fn names(&self) -> &Arc<NameTable> {
        &self.names
    }

    /// Notes the files of the link.
    pub(super) fn files(&mut self, opened: &[Opened]) {
        *self.pieces() = Some(Vec::new());
        for opened in opened {
            let file = match &opened.name {
                Some(source) => PathBuf::from(source),
                None => opened.found.path.clone(),
            };
            if !self.inputs.contains(&file) {
                self.inputs.push(file);
            }
        }
    }

    fn pieces(&self) -> MutexGuard<'_, Option<Vec<Piece>>> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What notes the blocks of an object.
    pub(super) fn pass(&self) -> impl Fn(&LinkGraph) + Send + Sync + 'static {
        let (names, pieces) = (self.names.clone(), self.pieces.clone());
        move |graph| {
            let mut pieces = pieces.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(pieces) = &mut *pieces {
                pieces.extend(pieces_of(graph, &names));
            }
        }
    }

    /// Writes the files that the line asks for.
    ///
    /// # Errors
    /// With the file that cannot be written.
    pub(super) fn write(&self, line: &LinkLine) -> Result<(), String> {
        let put = |path: &Path, text: String| {
            output::write(path, output::Use::Read, |to| to.write_all(text.as_bytes()))
        };
        if let Some(path) = &line.dependency_file {
            let target = line.output.as_deref().unwrap_or(Path::new("a.out"));
            put(path, dependencies(target, &self.inputs))?;
        }
        match &line.map_file {
            Some(path) if path == Path::new("-") => put(Path::new("/dev/stdout"), self.map()),
            Some(path) => put(path, self.map()),
            None => Ok(()),
        }
    }

    /// The map: members that were taken from archives, then what lies where.
    fn map(&self) -> String {
        let mut pieces = self.pieces().take().unwrap_or_default();
        pieces.sort_by(|a, b| {
            let key = |piece: &Piece| (piece.address, piece.output.clone(), piece.of.clone());
            key(a).cmp(&key(b))
        });
        let mut text = "Archive members included\n\n".to_owned();
        let mut members: Vec<&str> = pieces.iter().map(|piece| &*piece.of).collect();
        members.retain(|name| name.ends_with(')'));
        members.sort_unstable();
        members.dedup();
        members.iter().for_each(|name| text.extend([name, "\n"]));
        text.push_str("\nMemory map\n\n");
        for input in &self.inputs {
            let _ = writeln!(text, "LOAD {}", input.display());
        }
        let mut output = "";
        for piece in &pieces {
            if piece.output != output {
                output = &piece.output;
                let _ = writeln!(text, "\n{output}");
            }
            let Piece {
                address, size, of, ..
            } = piece;
            let _ = writeln!(text, " {output:<15} {address:#018x} {size:#10x} {of}");
            for (address, name) in &piece.symbols {
                let _ = writeln!(text, " {:<15} {address:#018x}                {name}", "");
            }
        }
        text
    }
}

/// The live blocks of an object.
fn pieces_of(graph: &LinkGraph, names: &NameTable) -> Vec<Piece> {
    let of: Arc<str> = graph.name.as_str().into();
    let mut places = vec![usize::MAX; graph.blocks.len()];
    let mut pieces = Vec::new();
    for (at, block) in graph.blocks.iter().enumerate() {
        if block.live && block.size != 0 {
            places[at] = pieces.len();
            let section = &graph.sections[block.section.0 as usize];
            pieces.push(Piece {
                output: names.text(section.output),
                address: block.address.value(),
                size: block.size,
                of: of.clone(),
                symbols: Vec::new(),
            });
        }
    }
    for symbol in &graph.symbols {
        let (Target::Defined { block, offset }, Some(name)) = (symbol.target, symbol.name) else {
            continue;
        };
        let piece = places
            .get(block.0 as usize)
            .and_then(|&at| pieces.get_mut(at));
        if let Some(piece) = piece.filter(|_| symbol.scope != Scope::Local) {
            piece
                .symbols
                .push((piece.address + offset, names.text(name)));
        }
    }
    pieces.iter_mut().for_each(|piece| piece.symbols.sort());
    pieces
}

/// A rule for `make`, and an empty one for each input, so that one that is gone is no error.
fn dependencies(target: &Path, inputs: &[PathBuf]) -> String {
    let name = |path: &Path| {
        let mut escaped = String::new();
        for letter in path.to_string_lossy().chars() {
            match letter {
                ' ' | '#' => escaped.extend(['\\', letter]),
                '$' => escaped.push_str("$$"),
                _ => escaped.push(letter),
            }
        }
        escaped
    };
    let mut text = format!("{}:", name(target));
    for input in inputs {
        let _ = write!(text, " \\\n  {}", name(input));
    }
    text.push('\n');
    for input in inputs {
        let _ = writeln!(text, "\n{}:", name(input));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_for_make() {
        let inputs = ["a.o".into(), "/my dir/$b.a".into()];
        let expected = "out: \\\n  a.o \\\n  /my\\ dir/$$b.a\n\na.o:\n\n/my\\ dir/$$b.a:\n";
        assert_eq!(dependencies(Path::new("out"), &inputs), expected);
        assert_eq!(dependencies(Path::new("out"), &[]), "out:\n");
    }
}
