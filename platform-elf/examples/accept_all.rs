//! Reads every member of archives (or objects) and builds its graph: does the reader accept what
//! compilers and distributions ship?
//!
//! ```text
//! cargo run --release -p platform-elf --example accept_all -- /usr/lib/x86_64-linux-gnu/*.a
//! ```
//!
//! With `--time`, instead measures the stages over all files together; with `--dump`, prints each
//! graph.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use jit_core::cpu::{Kinds, x86_64::Kind};
use jit_core::graph::{InputBytes, LinkGraph, Target};
use jit_core::name::NameTable;
use jit_core::object::{Claims, LazyObjects, ObjectError, ObjectFile};
use orc_inputs::archive::Archive;
use orc_inputs::input::OwnedBytes;
use platform_elf::archive;
use platform_elf::object::ElfObject;
use rayon::prelude::*;

fn main() -> ExitCode {
    let mut files: Vec<String> = std::env::args().skip(1).collect();
    let mode = files
        .iter()
        .position(|arg| arg.starts_with("--"))
        .map(|at| files.remove(at));
    match mode.as_deref() {
        Some("--time") => time(&files),
        Some("--dump") => dump(&files),
        _ => return accept(&files),
    }
    ExitCode::SUCCESS
}

/// Counts what the files hold, and what is refused, by message.
fn accept(files: &[String]) -> ExitCode {
    let mut refused: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let mut total = Counts::default();
    for file in files {
        let names = Arc::new(NameTable::default());
        let objects = match objects(file, &names) {
            Ok(objects) => objects,
            Err(error) => {
                note(&mut refused, &error);
                continue;
            }
        };
        let graphs: Vec<_> = objects
            .par_iter()
            .map(|object| object.as_ref().map(build))
            .collect();
        for graph in graphs {
            match graph {
                Ok(Ok(counts)) => total.add(&counts),
                Ok(Err(error)) => note(&mut refused, &error),
                Err(error) => note(&mut refused, error),
            }
        }
    }
    println!("{total:?}");
    for (message, (count, example)) in &refused {
        println!("{count:6} {message} (as in {example})");
    }
    if refused.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

type Loaded = Result<Arc<dyn ObjectFile>, ObjectError>;

fn objects(file: &str, names: &Arc<NameTable>) -> Result<Vec<Loaded>, ObjectError> {
    let input = read(file)?;
    if !input.bytes().starts_with(b"!<") {
        let object = ElfObject::new(file, input, names)?;
        return Ok(vec![Ok(Arc::new(object))]);
    }
    let archive = archive::open(file, input, names)?;
    Ok(archive.members()?.into_iter().map(Ok).collect())
}

fn read(file: &str) -> Result<Arc<dyn InputBytes>, ObjectError> {
    match OwnedBytes::read(Path::new(file)) {
        Ok(bytes) => Ok(Arc::new(bytes)),
        Err(error) => Err(ObjectError {
            object: file.into(),
            message: error.to_string(),
        }),
    }
}

fn build(object: &Arc<dyn ObjectFile>) -> Result<Counts, ObjectError> {
    let graph = object.build_graph(&Claims::default())?;
    let outside = |symbol: &&jit_core::graph::Symbol| match symbol.target {
        Target::Defined { block, offset } => offset > graph.blocks[block.0 as usize].size,
        _ => false,
    };
    Ok(Counts {
        objects: 1,
        sections: graph.sections.len(),
        blocks: graph.blocks.len(),
        symbols: graph.symbols.len(),
        edges: graph.edges.len(),
        frames: graph.frames.len(),
        symbols_outside_their_block: graph.symbols.iter().filter(outside).count(),
        frames_without_code: graph
            .frames
            .iter()
            .filter(|frame| !graph.blocks[frame.code.0 as usize].live)
            .count(),
    })
}

#[derive(Debug, Default)]
struct Counts {
    objects: usize,
    sections: usize,
    blocks: usize,
    symbols: usize,
    edges: usize,
    frames: usize,
    symbols_outside_their_block: usize,
    frames_without_code: usize,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.objects += other.objects;
        self.sections += other.sections;
        self.blocks += other.blocks;
        self.symbols += other.symbols;
        self.edges += other.edges;
        self.frames += other.frames;
        self.symbols_outside_their_block += other.symbols_outside_their_block;
        self.frames_without_code += other.frames_without_code;
    }
}

fn note(refused: &mut BTreeMap<String, (usize, String)>, error: &ObjectError) {
    let entry = refused.entry(error.message.clone()).or_default();
    entry.0 += 1;
    entry.1.clone_from(&error.object);
}

/// Times reading indexes, loading all members by need, and building all graphs, as a link does.
fn time(files: &[String]) {
    let inputs: Vec<_> = files
        .par_iter()
        .map(|file| (file, read(file).expect("readable")))
        .collect();
    let bytes: usize = inputs.iter().map(|(_, input)| input.bytes().len()).sum();
    println!("{} files, {} MB", files.len(), bytes >> 20);
    for _ in 0..3 {
        let names = Arc::new(NameTable::default());
        let start = Instant::now();
        let archives: Vec<_> = inputs
            .par_iter()
            .map(|(file, input)| {
                archive::open(file.as_str(), input.clone(), &names).expect("archive")
            })
            .collect();
        let indexed: usize = archives.iter().map(|archive| archive.index().len()).sum();
        println!("index   {:7.1} ms: {indexed} names", ms(start));

        let start = Instant::now();
        let members: Vec<(&Archive, u32)> = archives
            .iter()
            .flat_map(|archive| (0..archive.len()).map(move |m| (archive, m)))
            .collect();
        let objects: Vec<_> = members
            .par_iter()
            .filter_map(|(archive, member)| archive.load(*member).ok())
            .collect();
        let globals: usize = objects
            .iter()
            .map(|o| o.interface().definitions.len() + o.interface().references.len())
            .sum();
        println!(
            "load    {:7.1} ms: {} members, {globals} global symbols",
            ms(start),
            objects.len()
        );

        let start = Instant::now();
        let graphs: Vec<_> = objects
            .par_iter()
            .filter_map(|object| object.build_graph(&Claims::default()).ok())
            .collect();
        let sum = |count: fn(&LinkGraph) -> usize| graphs.iter().map(count).sum::<usize>();
        println!(
            "graphs  {:7.1} ms: {} edges, {} blocks, {} symbols, {} frames",
            ms(start),
            sum(|g| g.edges.len()),
            sum(|g| g.blocks.len()),
            sum(|g| g.symbols.len()),
            sum(|g| g.frames.len()),
        );
    }
}

fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

fn dump(files: &[String]) {
    let names = Arc::new(NameTable::default());
    for object in files
        .iter()
        .filter_map(|file| objects(file, &names).ok())
        .flatten()
        .flatten()
    {
        match object.build_graph(&Claims::default()) {
            Ok(graph) => dump_graph(&graph, &names),
            Err(error) => println!("{error}"),
        }
    }
}

fn dump_graph(graph: &LinkGraph, names: &NameTable) {
    println!("{}", graph.name);
    let describe = graph
        .describe
        .as_ref()
        .expect("ELF graphs describe themselves");
    for (id, block) in (0..).map(jit_core::graph::BlockId).zip(&graph.blocks) {
        let section = &graph.sections[block.section.0 as usize];
        println!(
            "  block {} {} -> {} {:?} order {} size {:#x} align {} {:?}",
            id.0,
            describe.block_section(id),
            names.text(section.output),
            section.kind,
            section.order,
            block.size,
            block.align,
            block.content,
        );
        for edge in &graph.edges[block.edges.start as usize..block.edges.end as usize] {
            let kind = Kind::from_edge(edge.kind);
            let target = describe.symbol(edge.target);
            println!("    {:#x} {kind:?} {target} {:+#x}", edge.offset, {
                edge.addend
            });
        }
    }
    for frame in &graph.frames {
        println!("  {frame:?}");
    }
}
