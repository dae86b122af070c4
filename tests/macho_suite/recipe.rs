//! How a test of LLVM makes its inputs: those commands in its `RUN:` lines that assemble, compile, split and archive.
//! No shell runs, and what a test has another linker do is left out.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Tools that make inputs.
const TOOLS: [&str; 5] = ["llvm-mc", "split-file", "yaml2obj", "llvm-ar", "llc"];

/// The version that the tests' tools have.
const VERSION: &str = "22";

/// Commands that make a test's inputs.
pub struct Recipe {
    /// Where all files are made.
    directory: PathBuf,
    commands: Vec<Vec<String>>,
}

impl Recipe {
    /// Reads a test, which will have its files in `directory`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(test: &Path, directory: &Path) -> Result<Self, String> {
        let text = fs::read(test).map_err(|error| format!("{}: {error}", test.display()))?;
        let text = String::from_utf8_lossy(&text);
        let lines = joined(text.lines().filter_map(|line| line.split_once("RUN:")));
        let replaced = lines.iter().map(|line| replaced(line, test, directory));
        let commands = replaced.flat_map(|line| commands(&line)).collect();
        Ok(Self {
            directory: directory.to_owned(),
            commands,
        })
    }

    /// Runs the commands, in an empty directory. Returns how many have failed.
    ///
    /// # Errors
    /// When a tool is not there.
    pub fn run(&self) -> Result<usize, String> {
        let failed = |error| format!("{}: {error}", self.directory.display());
        if self.directory.exists() {
            fs::remove_dir_all(&self.directory).map_err(failed)?;
        }
        fs::create_dir_all(&self.directory).map_err(failed)?;
        let mut failures = 0;
        let mut here = self.directory.clone();
        for command in &self.commands {
            if !self.run_command(command, &mut here)? {
                failures += 1;
            }
        }
        Ok(failures)
    }

    /// Runs a command in the directory `here`; one that is for other things counts as done.
    fn run_command(&self, words: &[String], here: &mut PathBuf) -> Result<bool, String> {
        let Some((tool, arguments)) = words.split_first() else {
            return Ok(true);
        };
        let own = |path: &&String| Path::new(path).starts_with(&self.directory);
        match tool.as_str() {
            "cd" => {
                here.extend(arguments.first().filter(own));
                Ok(true)
            }
            "cat" => Ok(match arguments {
                [inputs @ .., arrow, to] if arrow == ">" && own(&to) => join(inputs, to, here),
                _ => true,
            }),
            "mkdir" => {
                let made = arguments.iter().filter(own);
                Ok(made.map(fs::create_dir_all).all(|made| made.is_ok()))
            }
            "cp" => Ok(match arguments {
                [from, to] if own(&to) => fs::copy(from, to).is_ok(),
                _ => true,
            }),
            tool if TOOLS.contains(&tool) => run_tool(tool, arguments, here),
            _ => Ok(true),
        }
    }
}

fn run_tool(tool: &str, arguments: &[String], here: &Path) -> Result<bool, String> {
    let mut arguments = arguments.to_vec();
    let mut output = Stdio::null();
    if let [.., arrow, path] = &arguments[..]
        && arrow == ">"
    {
        let Ok(file) = File::create(here.join(path)) else {
            return Ok(false);
        };
        output = file.into();
        arguments.truncate(arguments.len() - 2);
    }
    let name = format!("{tool}-{VERSION}");
    let status = Command::new(&name)
        .args(&arguments)
        .current_dir(here)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::null())
        .status();
    status
        .map(|status| status.success())
        .map_err(|error| format!("{name}: {error}: install llvm-{VERSION}"))
}

/// Writes files one behind the other; says whether all are there.
fn join(inputs: &[String], to: &str, here: &Path) -> bool {
    let texts = inputs.iter().map(|input| fs::read(here.join(input)));
    let all: Result<Vec<_>, _> = texts.collect();
    all.and_then(|texts| fs::write(to, texts.concat())).is_ok()
}

/// Lines that end with a backslash, with what follows them.
fn joined<'a>(lines: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    let mut goes_on = false;
    for (_, line) in lines {
        let line = line.trim();
        let (text, more) = match line.strip_suffix('\\') {
            Some(text) => (text, true),
            None => (line, false),
        };
        match joined.last_mut().filter(|_| goes_on) {
            Some(last) => last.push_str(text),
            None => joined.push(text.to_owned()),
        }
        goes_on = more;
    }
    joined
}

/// A line with what stands for paths replaced.
fn replaced(line: &str, test: &Path, directory: &Path) -> String {
    let parent = test.parent().unwrap_or(Path::new("/"));
    let temporary = directory.join("tmp");
    line.replace("%s", &test.display().to_string())
        .replace("%S", &parent.display().to_string())
        .replace("%p", &parent.display().to_string())
        .replace("%t", &temporary.display().to_string())
}

/// The commands of a line, as words. Those that read what others write are left out.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut piped = vec![false];
    for word in words(line) {
        match word.as_str() {
            ";" | "&&" => {
                commands.push(Vec::new());
                piped.push(false);
            }
            "|" => {
                commands.push(Vec::new());
                piped.push(true);
            }
            _ => commands.last_mut().expect("there is one").push(word),
        }
    }
    let alone = commands.into_iter().zip(piped).filter(|(_, piped)| !piped);
    alone.map(|(command, _)| command).collect()
}

/// Words as a shell takes a line apart.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut begun = false;
    for letter in line.chars() {
        match (quote, letter) {
            (None, '\'' | '"') => (quote, begun) = (Some(letter), true),
            (Some(mark), _) if mark == letter => quote = None,
            (None, _) if letter.is_whitespace() || letter == ';' => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
                if letter == ';' {
                    words.push(letter.to_string());
                }
            }
            _ => {
                begun = true;
                word.push(letter);
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}
