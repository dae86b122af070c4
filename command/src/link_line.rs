//! A command line in the vocabulary of compiler drivers: what to link, in order, and how.
//!
//! People and build tools call a linker through `cc`, so this understands what `cc` takes at that
//! point: files, `-l`, `-L`, `-Wl,…`, options that change what follows them, compile options (kept
//! for sources), and the many that say how to write a file that is never written here (accepted
//! and ignored). Options of this command itself are left for `clap`, which knows them from their
//! definition.

mod vocabulary;
mod words;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use jit_core::cpu::Architecture;
use orc_inputs::input::printable_path;
use orc_inputs::library_search::LibraryChoice;
use orc_inputs::linker_script::Assignment;
use orc_jit::Undefined;

use self::vocabulary::{
    COMPILE_PREFIXES, COMPILE_WITH_VALUE, DRIVER_PREFIXES, IGNORED, IGNORED_WITH_VALUE,
    NOT_LINKING, RUST_OPTIONS,
};
use self::words::{LinkerWords, split};
use super::ld_options::{self, Handled};
use super::tuning::Tuning;

/// What to link and how.
#[derive(Clone, Debug)]
pub struct LinkLine {
    /// Files and libraries in order, each under the options in force at its place.
    pub inputs: Vec<Input>,
    /// `-L`: directories in which `-l` looks before the system's.
    pub library_dirs: Vec<String>,
    /// `-rpath`: where the loader looks for the program's libraries first.
    pub run_path: Vec<String>,
    /// `--disable-new-dtags`: it also looks there first for what the libraries need.
    pub run_path_for_all: bool,
    /// `-z nodynamic-undefined-weak`: weak references that nothing defines are null for good.
    pub undefined_weak_is_null: bool,
    /// `-z nocopyreloc`: no variable of a library is copied into the program.
    pub no_copies: bool,
    /// `--dynamic-linker`, if it names another loader than this process's.
    pub other_loader: Option<String>,
    /// `-rpath-link`: where what the libraries need is looked for while linking.
    pub link_path: Vec<String>,
    /// `--entry`, if given.
    pub entry: Option<String>,
    /// `-o`: names the file that a linker would write.
    pub output: Option<PathBuf>,
    /// `-rdynamic`: `dlsym` finds all visible definitions.
    pub export_dynamic: bool,
    /// `-no-pie`, `-static`: the program lies at the same addresses each time.
    pub fixed_addresses: bool,
    /// `-static`, `-static-pie`: the program brings its own C library, and takes nothing from this process.
    pub is_static: bool,
    /// Whether there is a table for the loader: not with `-static`.
    pub dynamic_section: bool,
    /// `--gc-sections`, if given.
    pub gc_sections: Option<bool>,
    /// Whether the languages' and the system's libraries may be used without being named.
    pub default_libraries: bool,
    /// `-u`: names to link even if nothing refers to them.
    pub undefined: Vec<String>,
    /// `--require-defined`: the same for names that must be defined.
    pub required: Vec<String>,
    /// `--wrap`: symbols that other functions are put in front of.
    pub wrapped: Vec<String>,
    /// `--export-dynamic-symbol`: patterns of names that `dlsym` is to find.
    pub exported: Vec<String>,
    /// `--dynamic-list`, `--export-dynamic-symbol-list`: files with such patterns.
    pub export_lists: Vec<PathBuf>,
    /// `--unresolved-symbols`, `--warn-unresolved-symbols`, `-z undefs`.
    pub undefined_symbols: Undefined,
    /// `--defsym` and its like: symbols and their values.
    pub assignments: Vec<Assignment>,
    /// Lists of such patterns that options stand for.
    pub exported_lists: Vec<&'static str>,
    /// `-init`: the function to call before all others, instead of `_init`.
    pub init: Option<String>,
    /// `-fini`: the function to call after all others, instead of `_fini`.
    pub fini: Option<String>,
    /// `-z muldefs`: of several definitions the first one counts.
    pub multiple_definitions: bool,
    /// Files that options name and that are not read, with the options: they have to be there.
    pub named_files: Vec<(String, PathBuf)>,
    /// The CPUs that options ask for, with the options.
    pub asked_cpus: Vec<(String, Architecture)>,
    /// What options change of objects.
    pub tuning: Tuning,
    /// Whether the C library's start-up files would be linked (no `-nostartfiles`).
    pub start_files: bool,
    /// `-v`: show the compilers' commands.
    pub verbose: bool,
    /// `--sysroot`: stands before the system's directories and paths that begin with `=`.
    pub sysroot: Option<PathBuf>,
    /// Where compilers of source files work, if not in the working directory.
    pub directory: Option<PathBuf>,
    /// Options for the compilers of source files.
    pub compile_flags: Vec<String>,
    /// Options of compiler drivers about what they link.
    pub driver_flags: Vec<String>,
    /// Whether what those stand for is among the inputs.
    pub has_driver_libraries: bool,
    /// Options for `rustc` alone.
    pub rust_flags: Vec<String>,
    /// What kind of file a linker was asked for.
    pub output_kind: OutputKind,
    /// `-Map`: describes the link for people.
    pub map_file: Option<PathBuf>,
    /// `--dependency-file`: describes it for `make`.
    pub dependency_file: Option<PathBuf>,
    /// What a linker was asked about itself.
    pub question: Option<Question>,
    /// What a linker warns of.
    pub warnings: Vec<String>,
    /// `--fatal-warnings`: a warning is an error.
    pub fatal_warnings: bool,
    /// Further things to tell the user: options without effect here.
    pub notes: Vec<String>,
    /// Options of this command alone, which `clap` reads.
    pub own_options: Vec<OsString>,
    /// In force for what follows.
    pub(super) state: InputState,
    pub(super) saved_states: Vec<InputState>,
}

/// One thing to link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Input {
    /// The file or library.
    pub name: InputName,
    /// The source file that it was compiled from.
    pub source: Option<PathBuf>,
    /// The options in force at its place.
    pub state: InputState,
}

/// How a thing to link is named.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum InputName {
    /// A path, seen from the working directory; `-` is standard input.
    File(PathBuf),
    /// `-lNAME` or `-l:FILE`.
    Library(String),
}

impl InputName {
    /// What tells it from other names: which of the two it is, and its bytes.
    #[must_use]
    pub fn bytes(&self) -> (bool, &[u8]) {
        match self {
            Self::File(path) => (false, path.as_os_str().as_encoded_bytes()),
            Self::Library(name) => (true, name.as_bytes()),
        }
    }
}

/// Options that hold from their place on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InputState {
    /// Link every member of archives.
    pub whole_archive: bool,
    /// Which libraries `-l` accepts.
    pub choice: LibraryChoice,
    /// Whether to load a shared library only if it is of use, if the line says so or not.
    pub as_needed: Option<bool>,
    /// `--start-lib`: link an object only if something is taken from it.
    pub lazy: bool,
    /// `-x`: the language of source files, whatever their names.
    pub language: Option<String>,
}

/// The file a linker would write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OutputKind {
    /// A program.
    #[default]
    Program,
    /// `-shared`: refused, since nothing here writes one.
    SharedLibrary,
    /// `-r`: one object made of several; refused as well.
    Relocatable,
}

/// What build tools ask a linker about itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question {
    /// `-v`: what it is, before it links.
    Name,
    /// `--version`: what it is, instead of linking.
    Version,
    /// `--help`: which options it takes.
    Help,
}

impl OutputKind {
    /// What was asked for, for messages; nothing for a program.
    pub fn other_than_a_program(self) -> Option<&'static str> {
        match self {
            Self::Program => None,
            Self::SharedLibrary => Some("-shared asks for a shared library"),
            Self::Relocatable => Some("-r asks for an object"),
        }
    }
}

impl Default for LinkLine {
    fn default() -> Self {
        Self {
            inputs: Vec::new(),
            library_dirs: Vec::new(),
            run_path: Vec::new(),
            run_path_for_all: false,
            other_loader: None,
            undefined_weak_is_null: false,
            no_copies: false,
            link_path: Vec::new(),
            entry: None,
            output: None,
            export_dynamic: false,
            fixed_addresses: false,
            is_static: false,
            dynamic_section: true,
            gc_sections: None,
            default_libraries: true,
            undefined: Vec::new(),
            required: Vec::new(),
            wrapped: Vec::new(),
            exported: Vec::new(),
            export_lists: Vec::new(),
            undefined_symbols: Undefined::default(),
            assignments: Vec::new(),
            exported_lists: Vec::new(),
            init: None,
            fini: None,
            multiple_definitions: false,
            named_files: Vec::new(),
            asked_cpus: Vec::new(),
            tuning: Tuning::default(),
            start_files: true,
            verbose: false,
            sysroot: None,
            directory: None,
            compile_flags: Vec::new(),
            driver_flags: Vec::new(),
            has_driver_libraries: false,
            rust_flags: Vec::new(),
            output_kind: OutputKind::Program,
            map_file: None,
            dependency_file: None,
            question: None,
            warnings: Vec::new(),
            fatal_warnings: false,
            notes: Vec::new(),
            own_options: Vec::new(),
            state: InputState::default(),
            saved_states: Vec::new(),
        }
    }
}

impl LinkLine {
    /// Reads arguments. `own` tells whether an option is one of this command's own, and if so
    /// whether a value follows it.
    ///
    /// # Errors
    /// When an option lacks its value.
    pub fn parse(
        args: impl IntoIterator<Item = OsString>,
        own: &dyn Fn(&str) -> Option<bool>,
    ) -> Result<Self, String> {
        let mut line = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            match arg.to_str() {
                Some(text) if text.starts_with('-') && text.len() > 1 => {
                    line.option(text, &mut args, own)?;
                }
                _ => line.push(InputName::File(PathBuf::from(arg))),
            }
        }
        line.obey_warnings();
        line.check_loader()?;
        Ok(line)
    }

    /// Whether the program is to be debugged (`-g`, `-g3`, `-ggdb`; the last one counts, and `-g0` is no).
    #[must_use]
    pub fn wants_debugging(&self) -> bool {
        let mut flags = self.compile_flags.iter().rev();
        let last = flags.find(|flag| flag.starts_with("-g"));
        last.is_some_and(|flag| flag != "-g0")
    }

    /// Makes errors of warnings that come later, if the user wants that.
    fn obey_warnings(&mut self) {
        if self.fatal_warnings && self.undefined_symbols == Undefined::Warn {
            self.undefined_symbols = Undefined::Error;
        }
    }

    /// The process that links has its loader already.
    fn check_loader(&self) -> Result<(), String> {
        match &self.other_loader {
            Some(path) if !self.is_static => Err(format!(
                "--dynamic-linker {path}: the program runs under the loader of this process, {}",
                ld_options::LOADER
            )),
            _ => Ok(()),
        }
    }

    /// Makes the program one that brings its own C library.
    pub(super) fn be_static(&mut self) {
        self.is_static = true;
        self.dynamic_section = false;
        // Start-up code writes there, and then protects it.
        self.tuning.writable_relro = true;
    }

    /// Looks for files that options name and that a link does not read.
    ///
    /// # Errors
    /// When one is missing.
    pub fn check_named_files(&self) -> Result<(), String> {
        for (option, path) in &self.named_files {
            std::fs::metadata(path)
                .map_err(|error| format!("{option}: {}: {error}", printable_path(&path)))?;
        }
        Ok(())
    }

    /// Checks that options ask for no other CPU than the one that is linked for.
    ///
    /// # Errors
    /// When one does.
    pub fn check_cpu(&self, own: Architecture) -> Result<(), String> {
        match self.asked_cpus.iter().find(|(_, cpu)| *cpu != own) {
            None => Ok(()),
            Some((option, cpu)) => Err(format!(
                "{option}: this links for {}; for {}, run orc-jit on such a machine, or with an executor for it",
                own.name(),
                cpu.name()
            )),
        }
    }

    /// Reads arguments of the linker proper.
    ///
    /// # Errors
    /// When an option lacks its value.
    pub fn of_linker(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut line = Self::default();
        line.linker_options(LinkerWords::new(words, &mut std::iter::empty()))?;
        Ok(line)
    }

    /// Adds an input under the options now in force.
    pub fn push(&mut self, name: InputName) {
        let state = self.state.clone();
        self.inputs.push(Input {
            name,
            source: None,
            state,
        });
    }

    fn option(
        &mut self,
        text: &str,
        args: &mut dyn Iterator<Item = OsString>,
        own: &dyn Fn(&str) -> Option<bool>,
    ) -> Result<(), String> {
        let mut next = || value_of(text, args);
        match text {
            "-o" => self.output = Some(PathBuf::from(next()?)),
            "-L" => self.library_dirs.push(utf8(next()?)?),
            "-l" => {
                let name = utf8(next()?)?;
                self.push(InputName::Library(name));
            }
            "-x" => {
                let language = utf8(next()?)?;
                self.state.language = Some(language).filter(|l| l != "none");
            }
            "-u" => self.undefined.push(utf8(next()?)?),
            "-T" => {
                let script = utf8(next()?)?;
                ld_options::apply(self, "-T", &mut || Ok(script.clone()))?;
            }
            "-e" => self.entry = Some(utf8(next()?)?),
            "-Xlinker" => {
                let option = utf8(next()?)?;
                self.linker_options(LinkerWords::new([option], args))?;
            }
            "-static" | "-static-pie" | "--static" => {
                self.state.choice = LibraryChoice::StaticOnly;
                self.fixed_addresses = text != "-static-pie";
                self.be_static();
                self.dynamic_section = text == "-static-pie";
            }
            "-pie" | "-no-pie" | "-nopie" => self.fixed_addresses = text != "-pie",
            "--coverage" => self.compile_flags.push(text.to_owned()),
            "-pg" | "-p" => {
                self.compile_flags.push(text.to_owned());
            }
            "-rdynamic" => self.export_dynamic = true,
            "-shared" => self.output_kind = OutputKind::SharedLibrary,
            "-r" => self.output_kind = OutputKind::Relocatable,
            "-nodefaultlibs" | "-nolibc" | "-nostdlib++" => self.default_libraries = false,
            "-nostdlib" => {
                self.default_libraries = false;
                self.start_files = false;
            }
            "-nostartfiles" => self.start_files = false,
            "-v" => self.verbose = true,
            _ if let Some((_, why)) = NOT_LINKING.iter().find(|(option, _)| *option == text) => {
                return Err(format!(
                    "{text} asks for {why}, and here a program is linked: leave it out, or call the compiler"
                ));
            }
            "-z" => {
                let keyword = utf8(next()?)?;
                ld_options::keyword(self, &keyword)?;
            }
            _ if IGNORED.contains(&text) => {}
            _ if IGNORED_WITH_VALUE.contains(&text) => drop(next()?),
            _ if COMPILE_WITH_VALUE.contains(&text) => {
                self.compile_flags.push(text.to_owned());
                let value = utf8(next()?)?;
                self.compile_flags.push(value);
            }
            _ => return self.joined_option(text, args, own),
        }
        Ok(())
    }

    /// Options with their value in the same word, and long ones.
    fn joined_option(
        &mut self,
        text: &str,
        args: &mut dyn Iterator<Item = OsString>,
        own: &dyn Fn(&str) -> Option<bool>,
    ) -> Result<(), String> {
        if let Some(options) = text.strip_prefix("-Wl,") {
            return self.linker_options(LinkerWords::new(split(options), args));
        }
        if let Some(takes_value) = own(text) {
            self.own_options.push(text.into());
            if takes_value {
                self.own_options.extend(args.next());
            }
            return Ok(());
        }
        if RUST_OPTIONS.contains(&text) {
            self.rust_flags.push(text.to_owned());
            let value = utf8(value_of(text, args)?)?;
            self.rust_flags.push(value);
            return Ok(());
        }
        if text.starts_with("--stdlib=") {
            self.compile_flags.push(text[1..].to_owned());
            return Ok(());
        }
        if text.starts_with("--") && !DRIVER_PREFIXES.iter().any(|p| text.starts_with(p)) {
            let option = text.split('=').next().unwrap_or(text);
            if RUST_OPTIONS.contains(&option) {
                self.rust_flags.push(text.to_owned());
                return Ok(());
            }
            return self.long_option(text, args);
        }
        if let Some(dir) = text.strip_prefix("-L") {
            self.library_dirs.push(dir.to_owned());
        } else if let Some(name) = text.strip_prefix("-l") {
            self.push(InputName::Library(name.to_owned()));
        } else if let Some(name) = text.strip_prefix("-u") {
            self.undefined.push(name.to_owned());
        } else if let Some(path) = text.strip_prefix("-o") {
            self.output = Some(PathBuf::from(path));
        } else if DRIVER_PREFIXES.iter().any(|p| text.starts_with(p)) {
            self.driver_flags.push(text.to_owned());
        } else if COMPILE_PREFIXES.iter().any(|p| text.starts_with(p)) {
            // `-fuse-ld=` chooses a linker; a compiler would complain about it.
            if !text.starts_with("-fuse-ld=") {
                self.compile_flags.push(text.to_owned());
            }
        } else if let Some(keyword) = text.strip_prefix("-z") {
            ld_options::keyword(self, keyword)?;
        } else if !text.starts_with("-B") || ld_options::is_library_choice(text) {
            return self.long_option(text, args);
        }
        Ok(())
    }

    /// Options of the linker proper that stand alone, if they have names of more than a letter.
    fn long_option(
        &mut self,
        text: &str,
        args: &mut dyn Iterator<Item = OsString>,
    ) -> Result<(), String> {
        let mut next = || utf8(value_of(text, args)?);
        let is_letter = text.len() <= "-x".len();
        if is_letter || ld_options::apply(self, text, &mut next)? == Handled::Unknown {
            self.own_options.push(text.into());
        }
        Ok(())
    }

    /// Options for the linker proper, from `-Wl,` or `-Xlinker`.
    fn linker_options(&mut self, mut words: LinkerWords<'_>) -> Result<(), String> {
        while let Some(option) = words.given.next() {
            let mut next = || words.value_of(&option);
            if !option.starts_with('-') {
                self.push(InputName::File(PathBuf::from(option)));
            } else if ld_options::apply(self, &option, &mut next)? == Handled::Unknown {
                return Err(ld_options::unknown(&option, &[]));
            }
        }
        Ok(())
    }
}

fn value_of(
    option: impl AsRef<OsStr>,
    args: &mut dyn Iterator<Item = OsString>,
) -> Result<OsString, String> {
    args.next()
        .ok_or_else(|| format!("option {} needs a value", option.as_ref().display()))
}

fn utf8(value: OsString) -> Result<String, String> {
    value
        .into_string()
        .map_err(|value| format!("{} is not valid UTF-8", value.display()))
}

#[cfg(test)]
mod tests;
