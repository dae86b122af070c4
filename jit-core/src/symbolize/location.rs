//! What is known of an address, and how it is written for people.

use std::fmt;

use orc_shared::{ExecutorAddr, printable};

/// What an address belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Location {
    /// The address that was asked for.
    pub address: ExecutorAddr,
    /// The object or library.
    pub image: Image,
    /// The symbol, if its table has one for the place.
    pub symbol: Option<SymbolPlace>,
    /// What the source has there, if there is debug information: the innermost inlined function
    /// first, the function that is there last.
    pub frames: Vec<SourceFrame>,
}

/// Where a piece of code or data came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Image {
    /// An object that this session linked.
    Linked {
        /// The object, as in "libfoo.a(bar.o)"; `<linker>` for stubs and tables.
        object: String,
        /// The section of the object, as in ".text.startup"; empty if it is not known.
        section: String,
        /// The dylib that it was added to.
        dylib: String,
    },
    /// A library, or the executor itself.
    Native {
        /// The file's path in the executor.
        path: String,
        /// The address in the file: that in memory less the load bias.
        file_addr: u64,
    },
}

/// A symbol and the distance from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SymbolPlace {
    /// The name as people read it.
    pub name: String,
    /// The name in the symbol table.
    pub raw_name: Vec<u8>,
    /// Bytes from the symbol to the address.
    pub offset: u64,
    /// The symbol's size in bytes, 0 when unknown.
    pub size: u64,
}

/// A function and a line of source.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SourceFrame {
    /// The function.
    pub function: Option<String>,
    /// The file, with its directory as far as the compiler told.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
}

impl Location {
    /// The name of the function or variable: that of the symbol, else what debug information says.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.symbol {
            Some(symbol) => Some(&symbol.name),
            None => self.frames.last()?.function.as_deref(),
        }
    }

    /// The lines of a backtrace for this address, the innermost inlined function first.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let count = self.frames.len();
        let inlined = self.frames.iter().take(count.saturating_sub(1));
        let mut lines: Vec<String> = inlined
            .map(|frame| {
                let name = frame.function.as_deref().unwrap_or("a function");
                format!("{name} (inlined){}", At(frame))
            })
            .collect();
        let place = self.frames.last();
        let source = place.map_or_else(String::new, |frame| At(frame).to_string());
        lines.push(format!("{}{source}", Outer(self)));
        lines
    }
}

/// One line: "inner(int) at a.c:3:9, inlined into outer(int)+0x1c in a.o (app) at a.c:9:2".
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((outer, inlined)) = self.frames.split_last() {
            for frame in inlined {
                let name = frame.function.as_deref().unwrap_or("a function");
                write!(f, "{name}{}, inlined into ", At(frame))?;
            }
            write!(f, "{}{}", Outer(self), At(outer))
        } else {
            Outer(self).fmt(f)
        }
    }
}

/// The function that lies at the address, and its object or library.
struct Outer<'a>(&'a Location);

impl fmt::Display for Outer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(location) = self;
        if let Some(symbol) = &location.symbol {
            write!(f, "{}+{:#x} in ", symbol.name, symbol.offset)?;
        } else if let Some(name) = location.name() {
            write!(f, "{name} in ")?;
        }
        let named = location.name().is_some();
        match &location.image {
            Image::Linked {
                object,
                section,
                dylib,
            } => {
                write!(f, "{object}")?;
                if !named && !section.is_empty() {
                    write!(f, ", section {section}")?;
                }
                write!(f, " ({dylib})")
            }
            Image::Native { path, file_addr } => {
                write!(f, "{}", printable(path.as_bytes()))?;
                match named {
                    true => Ok(()),
                    false => write!(f, "+{file_addr:#x}"),
                }
            }
        }
    }
}

/// The place in the source, with " at " before it; nothing if it is not known.
struct At<'a>(&'a SourceFrame);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SourceFrame {
            file, line, column, ..
        } = self.0;
        let Some(file) = file else { return Ok(()) };
        write!(f, " at {}", printable(file.as_bytes()))?;
        if let Some(line) = line {
            write!(f, ":{line}")?;
            if let Some(column) = column {
                write!(f, ":{column}")?;
            }
        }
        Ok(())
    }
}
