//! The chapters quote code that is compiled.

use std::fs;
use std::path::Path;

/// A block of a chapter: the file that it is said to be from, and its lines.
struct Block {
    source: Option<String>,
    text: String,
    line: usize,
}

fn blocks(chapter: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut source = None;
    let mut lines = chapter.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let named = line.strip_prefix("From `");
        if let Some(named) = named.and_then(|it| it.strip_suffix("`:")) {
            source = Some(named.to_owned());
        }
        if line == "```rust" {
            let inside = lines.by_ref().map(|(_, line)| line);
            let inside: Vec<&str> = inside.take_while(|it| *it != "```").collect();
            blocks.push(Block {
                source: source.take(),
                text: inside.join("\n"),
                line: number + 1,
            });
        }
    }
    blocks
}

/// The text without indentation that all of it has: a chapter shows a method as it shows a function.
fn dedented(lines: &[&str]) -> String {
    let inhabited = lines.iter().filter(|it| !it.trim().is_empty());
    let indents = inhabited.map(|it| it.len() - it.trim_start().len());
    let indent = indents.min().unwrap_or(0);
    let lines = lines.iter().map(|it| it.get(indent..).unwrap_or(""));
    lines.collect::<Vec<_>>().join("\n")
}

fn has(source: &str, block: &str) -> bool {
    let lines: Vec<&str> = source.lines().collect();
    let mut parts = lines.windows(block.lines().count().max(1));
    parts.any(|part| dedented(part) == block)
}

#[test]
fn every_block_is_in_the_source_that_is_compiled() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = package.join("../../docs/tutorial");
    let mut complaints = Vec::new();
    let mut quoted = 0;
    for number in 1..=5 {
        let name = format!("chapter-{number}.md");
        let chapter = fs::read_to_string(folder.join(&name)).unwrap();
        let blocks = blocks(&chapter);
        assert!(!blocks.is_empty(), "{name} has no code");
        for block in blocks {
            quoted += 1;
            let place = format!("{name}:{}", block.line);
            let Some(source) = block.source else {
                complaints.push(format!("{place}: no line says which file it is from"));
                continue;
            };
            let text = fs::read_to_string(package.join(&source)).unwrap_or_default();
            if !has(&text, &block.text) {
                complaints.push(format!("{place}: {source} has no such lines"));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(quoted >= 15, "{quoted}");
}

#[test]
fn a_block_is_found_with_its_lines_alone() {
    let source = "impl A {\n    fn f() {\n        g();\n    }\n}\n";
    assert!(has(source, "fn f() {\n    g();\n}"));
    assert!(!has(source, "fn f() {\n    h();\n}"));
    assert!(!has(source, "fn f() {\n}"));
}
