//! What is said of a symbol, whatever the format: how it competes, who sees it, what it names.

/// How a definition competes with others of the same name in one dylib.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Linkage {
    /// Wins over all others, which lose without a word: what a linker script assigns. Of several the
    /// last one wins.
    Override,
    /// Two strong definitions are an error; a strong one wins over weak and common ones.
    Strong,
    /// The first of several weak definitions wins. Also `STB_GNU_UNIQUE`.
    Weak,
    /// A tentative definition: the largest wins, any other definition replaces it.
    Common {
        /// Size in bytes.
        size: u64,
        /// Alignment in bytes.
        align: u64,
    },
}

/// Who may refer to a definition.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Scope {
    /// Everyone, and other definitions may interpose (`STV_DEFAULT`).
    Default,
    /// Everyone, but the dylib's own references keep to it (`STV_PROTECTED`).
    Protected,
    /// Only objects of the same dylib (`STV_HIDDEN`, `STV_INTERNAL`).
    Hidden,
    /// Only the object itself.
    Local,
}

/// What a symbol names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SymbolKind {
    /// Untyped.
    None,
    /// A function.
    Function,
    /// A function that returns the address to use (IFUNC).
    IndirectFunction,
    /// Data.
    Data,
    /// A thread-local variable.
    ThreadLocal,
}
