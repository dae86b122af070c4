//! Makes objects for tests: with the system's compiler, or section by section where no assembler
//! would write such a thing.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use jit_core::graph::{Block, BlockId, InputBytes, LinkGraph, Section};
use jit_core::name::NameTable;
use jit_core::object::{Claims, ObjectError, ObjectFile};

use orc_inputs::input::OwnedBytes;
use orc_inputs::wrapped::WrappedNames;

use crate::object::ElfObject;

/// Compiles a source text with the system's compiler; `language` as `cc -x` takes it.
pub(crate) fn compile(language: &str, flags: &[&str], source: &str) -> Vec<u8> {
    let dir = Scratch::new();
    let (input, output) = (dir.path().join("in"), dir.path().join("out.o"));
    std::fs::write(&input, source).expect("a temporary directory can be written");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let run = Command::new(compiler)
        .args(["-c", "-x", language])
        .args(flags)
        .arg(&input)
        .arg("-o")
        .arg(&output)
        .output()
        .expect("a C compiler is installed");
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    std::fs::read(&output).expect("the compiler wrote its output")
}

/// Assembles a source text.
pub(crate) fn assemble(source: &str) -> Vec<u8> {
    compile("assembler", &[], source)
}

/// A directory that goes away with the value.
pub(crate) struct Scratch(std::path::PathBuf);

impl Scratch {
    pub fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir =
            std::env::temp_dir().join(format!("platform-elf-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory can be made");
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An object with the names of its session.
pub(crate) struct Loaded {
    pub names: Arc<NameTable>,
    pub object: ElfObject,
}

impl Loaded {
    pub fn new(bytes: Vec<u8>) -> Self {
        match Self::try_new(bytes) {
            Ok(loaded) => loaded,
            Err(error) => panic!("{error}"),
        }
    }

    pub fn try_new(bytes: Vec<u8>) -> Result<Self, ObjectError> {
        Self::try_wrapping(bytes, &[])
    }

    /// Reads an object as for `--wrap` of these symbols.
    pub fn try_wrapping(bytes: Vec<u8>, wrapped: &[&str]) -> Result<Self, ObjectError> {
        let names = Arc::new(NameTable::default());
        let input: Arc<dyn InputBytes> = Arc::new(OwnedBytes::from(bytes));
        let wrapped = WrappedNames::new(wrapped.iter().copied(), &names);
        let object = ElfObject::with_wrapped("test.o", input, &names, &wrapped)?;
        Ok(Self { names, object })
    }

    pub fn graph(&self) -> LinkGraph {
        self.graph_with(&Claims::default())
    }

    pub fn graph_with(&self, claims: &Claims) -> LinkGraph {
        let graph = self.object.build_graph(claims);
        let mut graph = graph.unwrap_or_else(|error| panic!("{error}"));
        graph.apply(claims);
        graph
    }

    pub fn build_error(&self) -> String {
        match self.object.build_graph(&Claims::default()) {
            Ok(_) => panic!("the graph was built"),
            Err(error) => error.message,
        }
    }

    /// The number of the symbol of this name.
    pub fn symbol(&self, name: &str) -> u32 {
        let definitions = self.object.interface().definitions.iter();
        let mut named = definitions.filter(|d| self.names.text(d.name) == name);
        named
            .next()
            .unwrap_or_else(|| panic!("{name} is not defined"))
            .symbol
    }

    /// The block that came from the input section of this name.
    pub fn block<'a>(
        &self,
        graph: &'a LinkGraph,
        section: &str,
    ) -> (BlockId, &'a Block, &'a Section) {
        let describe = graph
            .describe
            .as_ref()
            .expect("ELF graphs describe themselves");
        let found = (0u32..)
            .map(BlockId)
            .zip(&graph.blocks)
            .find(|(id, _)| describe.block_section(*id) == section);
        let (id, block) = found.unwrap_or_else(|| panic!("no block came from {section}"));
        (id, block, &graph.sections[block.section.0 as usize])
    }
}

/// One section of an object to write.
#[derive(Default, Clone)]
pub(crate) struct RawSection {
    pub name: &'static str,
    pub kind: u32,
    pub flags: u64,
    pub link: u32,
    pub info: u32,
    pub align: u64,
    pub data: Vec<u8>,
}

/// A symbol of an object to write.
#[derive(Default, Clone, Copy)]
pub(crate) struct RawSymbol {
    pub name: &'static str,
    pub info: u8,
    pub other: u8,
    pub section: u16,
    pub value: u64,
    pub size: u64,
}

/// Writes an x86-64 object: the null section, `sections` (numbered from 1), then `.symtab`,
/// `.strtab` and `.shstrtab`. `globals` is the number of the first global symbol; symbol 0 is the
/// null one and not in `symbols`.
pub(crate) fn write(sections: &[RawSection], symbols: &[RawSymbol], globals: u32) -> Vec<u8> {
    let mut strings = vec![0u8];
    let mut table = vec![0u8; 24];
    for symbol in symbols {
        let name = strings.len() as u32;
        strings.extend_from_slice(symbol.name.as_bytes());
        strings.push(0);
        table.extend_from_slice(&name.to_le_bytes());
        table.extend_from_slice(&[symbol.info, symbol.other]);
        table.extend_from_slice(&symbol.section.to_le_bytes());
        table.extend_from_slice(&symbol.value.to_le_bytes());
        table.extend_from_slice(&symbol.size.to_le_bytes());
    }
    let count = sections.len() as u32;
    let mut all = sections.to_vec();
    let raw = |name, kind, link, info, data| RawSection {
        name,
        kind,
        link,
        info,
        data,
        align: 8,
        ..RawSection::default()
    };
    all.push(raw(".symtab", 2, count + 2, globals, table));
    all.push(raw(".strtab", 3, 0, 0, strings));
    all.push(raw(".shstrtab", 3, 0, 0, Vec::new()));
    let mut names = vec![0u8];
    let offsets: Vec<u32> = all
        .iter()
        .map(|section| {
            let at = names.len() as u32;
            names.extend_from_slice(section.name.as_bytes());
            names.push(0);
            at
        })
        .collect();
    all.last_mut().expect("just pushed").data = names;
    lay_out(&all, &offsets)
}

fn lay_out(sections: &[RawSection], names: &[u32]) -> Vec<u8> {
    let mut file = vec![0u8; 64];
    let mut headers = vec![0u8; 64];
    for (section, name) in sections.iter().zip(names) {
        let offset = file.len() as u64;
        file.extend_from_slice(&section.data);
        file.resize(file.len().next_multiple_of(8), 0);
        headers.extend_from_slice(&name.to_le_bytes());
        headers.extend_from_slice(&section.kind.to_le_bytes());
        let words = [section.flags, 0, offset, section.data.len() as u64];
        words
            .iter()
            .for_each(|word| headers.extend_from_slice(&word.to_le_bytes()));
        headers.extend_from_slice(&section.link.to_le_bytes());
        headers.extend_from_slice(&section.info.to_le_bytes());
        headers.extend_from_slice(&section.align.to_le_bytes());
        let entry_size: u64 = match section.kind {
            2 | 4 => 24,
            9 => 16,
            17 | 18 => 4,
            _ => 0,
        };
        headers.extend_from_slice(&entry_size.to_le_bytes());
    }
    file[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file[16..18].copy_from_slice(&1u16.to_le_bytes());
    file[18..20].copy_from_slice(&62u16.to_le_bytes());
    file[20..24].copy_from_slice(&1u32.to_le_bytes());
    let start = file.len() as u64;
    file[40..48].copy_from_slice(&start.to_le_bytes());
    file[52..54].copy_from_slice(&64u16.to_le_bytes());
    file[58..60].copy_from_slice(&64u16.to_le_bytes());
    let count = sections.len() + 1;
    if count < 0xff00 {
        file[60..62].copy_from_slice(&(count as u16).to_le_bytes());
        file[62..64].copy_from_slice(&(count as u16 - 1).to_le_bytes());
    } else {
        // Both numbers move into the null section's header.
        file[62..64].copy_from_slice(&0xffffu16.to_le_bytes());
        headers[32..40].copy_from_slice(&(count as u64).to_le_bytes());
        headers[40..44].copy_from_slice(&(count as u32 - 1).to_le_bytes());
    }
    file.extend_from_slice(&headers);
    file
}
