//! `orc-jit explain SYMBOL INPUT...`: who defines a symbol, who asks for it, and why the object that
//! defines it is linked at all.
//!
//! Only symbol tables are read. The rules are the session's: objects on the command line are all
//! linked, an archive's member when it defines a name that nothing else does, libraries and archives
//! in their order.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::sync::Arc;

use clap::Parser as _;
use jit_core::demangle::demangle;
use jit_core::name::{NameId, NameTable};
use jit_core::native::NativeLibrary;
use jit_core::object::{LazyObjects as _, Linkage, ObjectFile};
use orc_inputs::archive::Archive;
use orc_inputs::library_search::FoundContent;
use orc_jit::{Files, ObjectReader, default_libraries};

use super::inputs::{self, Opened};
use super::link_cpu;
use super::link_line::LinkLine;
use super::options::{ExplainOptions, RunOptions};
use super::scratch::Scratch;
use super::surroundings::{Here, Surroundings};
use super::{Failure, response_file, say, scratch, threads};

/// Referring objects that are named; the rest are counted.
const REFERRERS_MAX: usize = 8;

/// `orc-jit explain ARGS...`
pub(super) fn command(args: &[OsString]) -> Result<i32, Failure> {
    let args = response_file::expand(args.iter().cloned())?;
    let mut line = LinkLine::parse(args, &RunOptions::is_own).map_err(Failure::Usage)?;
    let name = OsString::from("orc-jit explain");
    RunOptions::refuse_unknown(&line.own_options).map_err(Failure::Usage)?;
    ExplainOptions::try_parse_from([&name].into_iter().chain(&line.own_options))?;
    if line.inputs.len() < 2 {
        let message = "expected a symbol and the inputs to look for it in";
        return Err(Failure::Usage(message.to_owned()));
    }
    let symbol = match line.inputs.remove(0).name {
        super::link_line::InputName::File(path) => path.to_string_lossy().into_owned(),
        super::link_line::InputName::Library(name) => format!("-l{name}"),
    };
    let scratch = Scratch::for_line(&line)?;
    let limit = threads::Limit(None);
    let here: Arc<dyn Surroundings> = Arc::new(Here::default());
    let inputs = inputs::open(&mut line, &here, scratch::path(&scratch), limit)?;
    drop(scratch);
    let mut story = Story::of(&line);
    for opened in inputs.opened {
        story.add(opened)?;
    }
    if line.default_libraries {
        for soname in default_libraries(link_cpu::get()) {
            story.libraries.extend(inputs.search.find_soname(soname));
        }
    }
    story.link(&line)?;
    let names = story.matching(&symbol);
    if names.is_empty() {
        let none = format!("{symbol}: no input defines it or refers to it\n");
        say::print(&none)?;
        return Ok(1);
    }
    let stories: String = names.into_iter().map(|name| story.tell(name)).collect();
    say::print(&stories)?;
    Ok(0)
}

/// What is linked, and how it came about.
#[derive(Default)]
struct Story {
    reader: ObjectReader,
    objects: Vec<Linked>,
    archives: Vec<Archive>,
    libraries: Vec<Arc<dyn NativeLibrary>>,
    /// The definition in force: the object, and whether it is a weak one.
    definitions: HashMap<NameId, (usize, bool)>,
}

/// An object that is linked.
struct Linked {
    object: Arc<dyn ObjectFile>,
    /// The name it was pulled for, and the object that refers to it; nothing for what the command
    /// line names.
    pulled: Option<(NameId, Option<usize>)>,
}

impl Story {
    /// A story without inputs yet.
    fn of(line: &LinkLine) -> Self {
        let names = Arc::new(NameTable::permanent());
        Self {
            reader: ObjectReader::new(names, &line.wrapped, Files::default())
                .for_cpu(link_cpu::get()),
            ..Self::default()
        }
    }

    fn names(&self) -> &NameTable {
        self.reader.names()
    }

    fn add(&mut self, opened: Opened) -> Result<(), String> {
        let path = opened.found.path;
        let name = opened.name.unwrap_or_else(|| path.display().to_string());
        match opened.found.content {
            FoundContent::Object(bytes) => {
                let object = self.reader.object(name, bytes);
                self.add_object(object.map_err(|e| e.to_string())?, None);
            }
            FoundContent::Archive(bytes) => {
                let archive = self.reader.archive(name, &path, bytes);
                let archive = archive.map_err(|e| e.to_string())?;
                if opened.whole_archive {
                    for object in archive.members().map_err(|e| e.to_string())? {
                        self.add_object(object, None);
                    }
                } else {
                    self.archives.push(archive);
                }
            }
            FoundContent::Shared(library) => self.libraries.push(library),
            // They are nobody's references, and nobody's code.
            FoundContent::Names(_) => {}
        }
        Ok(())
    }

    fn add_object(&mut self, object: Arc<dyn ObjectFile>, pulled: Option<(NameId, Option<usize>)>) {
        let at = self.objects.len();
        for definition in &object.interface().definitions {
            let weak = !matches!(definition.linkage, Linkage::Strong | Linkage::Override);
            let known = self.definitions.get(&definition.name);
            if known.is_none_or(|(_, known_weak)| *known_weak && !weak) {
                self.definitions.insert(definition.name, (at, weak));
            }
        }
        self.objects.push(Linked { object, pulled });
    }

    /// Pulls archive members until nothing is asked for any more.
    fn link(&mut self, line: &LinkLine) -> Result<(), String> {
        let entry = line.entry.as_deref().unwrap_or("main");
        let named = line.undefined.iter().chain(&line.required);
        for name in std::iter::once(entry).chain(named.map(String::as_str)) {
            let name = self.names().intern(name.as_bytes());
            self.want(name, None)?;
        }
        let mut at = 0;
        while at < self.objects.len() {
            let object = self.objects[at].object.clone();
            let strong = object.interface().references.iter().filter(|r| !r.weak);
            for reference in strong {
                self.want(reference.name, Some(at))?;
            }
            at += 1;
        }
        Ok(())
    }

    /// Links the member that defines a name, unless something defines it already.
    fn want(&mut self, name: NameId, who: Option<usize>) -> Result<(), String> {
        if self.definitions.contains_key(&name) {
            return Ok(());
        }
        let Some((archive, member)) = self.in_archives(name).next() else {
            return Ok(());
        };
        let object = self.archives[archive].load(member);
        self.add_object(object.map_err(|e| e.to_string())?, Some((name, who)));
        Ok(())
    }

    /// Archives, and members of them, that define a name.
    fn in_archives(&self, name: NameId) -> impl Iterator<Item = (usize, u32)> {
        let archives = self.archives.iter().enumerate();
        archives.filter_map(move |(at, archive)| {
            let entry = archive.index().iter().find(|(n, _)| *n == name)?;
            Some((at, entry.1))
        })
    }

    /// The names meant by what the user typed: the symbol itself, or what demangles to it.
    fn matching(&self, typed: &str) -> Vec<NameId> {
        let exact = self.names().find(typed.as_bytes());
        if let Some(name) = exact.filter(|name| self.is_known(*name)) {
            return vec![name];
        }
        let of_objects = self.objects.iter().flat_map(|linked| {
            let interface = linked.object.interface();
            let defined = interface.definitions.iter().map(|d| d.name);
            defined.chain(interface.references.iter().map(|r| r.name))
        });
        let of_archives = self
            .archives
            .iter()
            .flat_map(|a| a.index().iter().map(|e| e.0));
        let mut found: Vec<NameId> = of_objects.chain(of_archives).collect();
        found.sort_unstable();
        found.dedup();
        found.retain(|name| {
            let readable = demangle(&self.names().bytes(*name));
            // "f" means every overload of it.
            let rest = readable.strip_prefix(typed);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('('))
        });
        found
    }

    fn is_known(&self, name: NameId) -> bool {
        self.definitions.contains_key(&name)
            || self.in_archives(name).next().is_some()
            || self.referrers(name).next().is_some()
    }

    fn referrers(&self, name: NameId) -> impl Iterator<Item = usize> {
        let refers = move |linked: &Linked| {
            let references = &linked.object.interface().references;
            references.iter().any(|reference| reference.name == name)
        };
        let objects = self.objects.iter().enumerate();
        objects.filter_map(move |(at, linked)| refers(linked).then_some(at))
    }

    fn tell(&self, name: NameId) -> String {
        let mut text = format!("{}\n", self.names().readable(name));
        let definition = self.definitions.get(&name);
        match definition {
            Some((at, weak)) => {
                let strength = if *weak { " (weak)" } else { "" };
                let object = self.objects[*at].object.name();
                let _ = writeln!(text, "  defined by {object}{strength}");
            }
            None => self.tell_outside(name, &mut text),
        }
        self.tell_others(name, definition.map(|(at, _)| *at), &mut text);
        self.tell_referrers(name, &mut text);
        if let Some((at, _)) = definition {
            self.tell_why(*at, &mut text);
        }
        text
    }

    /// A name that no linked object defines.
    fn tell_outside(&self, name: NameId, text: &mut String) {
        let bytes = self.names().bytes(name);
        let library = self.libraries.iter().find(|l| l.find(&bytes).is_some());
        if let Some(library) = library {
            let version = library.version(&bytes);
            let version = version.map(|v| format!(", version {}", String::from_utf8_lossy(&v)));
            let _ = writeln!(
                text,
                "  taken from {}{}",
                library.path(),
                version.unwrap_or_default()
            );
        } else if self.in_archives(name).next().is_some() {
            text.push_str("  not linked: nothing refers to it\n");
        } else {
            text.push_str("  undefined: no input defines it\n");
        }
    }

    /// Definitions that are not in force.
    fn tell_others(&self, name: NameId, used: Option<usize>, text: &mut String) {
        let mut others = Vec::new();
        for (at, linked) in self.objects.iter().enumerate() {
            let definitions = &linked.object.interface().definitions;
            if Some(at) != used && definitions.iter().any(|d| d.name == name) {
                others.push(linked.object.name().to_owned());
            }
        }
        for (archive, member) in self.in_archives(name) {
            let object = self.archives[archive].load(member);
            let object = object.map_or_else(|e| e.object, |o| o.name().to_owned());
            let is_linked = self.objects.iter().any(|l| l.object.name() == object);
            if !is_linked {
                others.push(object);
            }
        }
        if used.is_some() {
            let bytes = self.names().bytes(name);
            let defining = self.libraries.iter().filter(|l| l.find(&bytes).is_some());
            others.extend(defining.map(|l| l.path().to_owned()));
        }
        for other in others {
            let _ = writeln!(text, "  also defined by {other}, which is not used for it");
        }
    }

    fn tell_referrers(&self, name: NameId, text: &mut String) {
        let referrers: Vec<&str> = self
            .referrers(name)
            .map(|at| self.objects[at].object.name())
            .collect();
        if referrers.is_empty() {
            text.push_str("  no other linked object refers to it\n");
            return;
        }
        let shown = referrers.len().min(REFERRERS_MAX);
        let _ = write!(text, "  referred to by {}", referrers[..shown].join(", "));
        if referrers.len() > shown {
            let _ = write!(text, " and {} more", referrers.len() - shown);
        }
        text.push('\n');
    }

    /// How the object came to be linked, from the command line on.
    fn tell_why(&self, mut at: usize, text: &mut String) {
        let mut steps = Vec::new();
        loop {
            let linked = &self.objects[at];
            let object = linked.object.name();
            match &linked.pulled {
                None => {
                    steps.push(format!("{object} is named on the command line"));
                    break;
                }
                Some((name, who)) => {
                    let name = self.names().readable(*name);
                    let who = who.map(|who| (who, self.objects[who].object.name()));
                    let asker = who.map_or("the command line", |(_, name)| name);
                    steps.push(format!("{object} defines {name}, which {asker} refers to"));
                    match who {
                        Some((next, _)) => at = next,
                        None => break,
                    }
                }
            }
        }
        text.push_str("  linked because\n");
        for step in steps.iter().rev() {
            let _ = writeln!(text, "    {step}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    fn story(dir: &Path, args: &[&str]) -> Story {
        let args = args
            .iter()
            .map(|a| OsString::from(a.replace("DIR", dir.to_str().unwrap())));
        let mut line = LinkLine::parse(args, &|_| None).unwrap();
        let here: Arc<dyn Surroundings> = Arc::new(Here::default());
        let inputs = inputs::open(&mut line, &here, dir, threads::Limit(Some(1))).unwrap();
        let mut story = Story::of(&line);
        for opened in inputs.opened {
            story.add(opened).unwrap();
        }
        story
            .libraries
            .extend(inputs.search.find_soname("libc.so.6"));
        story.link(&line).unwrap();
        story
    }

    fn shell(dir: &Path, command: &str) {
        let done = Command::new("sh")
            .current_dir(dir)
            .args(["-ec", command])
            .status();
        assert!(done.unwrap().success());
    }

    #[test]
    fn the_way_to_an_archive_member() {
        let dir = tempfile::tempdir().unwrap();
        shell(
            dir.path(),
            "echo 'int f(void); int main(void) { return f(); }' > main.c
             echo 'int g(int); int f(void) { return g(1); }' > f.c
             echo 'int abs(int); int g(int x) { return abs(x); }' > g.c
             cc -fno-builtin -c main.c f.c g.c; ar rc libf.a f.o; ar rc libg.a g.o",
        );
        let story = story(dir.path(), &["DIR/main.o", "DIR/libf.a", "DIR/libg.a"]);
        let told = story.tell(story.matching("g")[0]);
        let told = told.replace(dir.path().to_str().unwrap(), "DIR");
        assert_eq!(
            told,
            "g\n  defined by DIR/libg.a(g.o)\n  referred to by DIR/libf.a(f.o)\n  linked because\n    \
             DIR/main.o is named on the command line\n    \
             DIR/libf.a(f.o) defines f, which DIR/main.o refers to\n    \
             DIR/libg.a(g.o) defines g, which DIR/libf.a(f.o) refers to\n"
        );
        let told = story.tell(story.matching("abs")[0]);
        assert!(
            told.contains("taken from") && told.contains("GLIBC_2.2.5"),
            "{told}"
        );
        assert!(story.matching("nothing_of_the_kind").is_empty());
    }

    #[test]
    fn members_that_options_pull() {
        let dir = tempfile::tempdir().unwrap();
        shell(
            dir.path(),
            "echo 'int f(void); int main(void) { return f(); }' > main.c
             echo 'int __real_f(void); int __wrap_f(void) { return __real_f(); }' > wrap.c
             echo 'int f(void) { return 1; }' > f.c
             echo 'int kept;' > kept.c
             cc -c main.c wrap.c f.c kept.c; ar rc lib.a wrap.o f.o kept.o",
        );
        let args = ["DIR/main.o", "DIR/lib.a", "--wrap=f", "-u", "kept"];
        let story = story(dir.path(), &args);
        let tell = |name: &str| story.tell(story.matching(name)[0]);
        assert!(tell("__wrap_f").contains("main.o refers to"));
        assert!(tell("f").contains("wrap.o) refers to"));
        assert!(tell("kept").contains("the command line refers to"));
    }

    #[test]
    fn cxx_names_as_they_are_written() {
        let dir = tempfile::tempdir().unwrap();
        shell(
            dir.path(),
            "echo 'namespace n { int f(int) { return 1; } int f(char) { return 2; } }' > a.cpp
             echo 'int f(void) { return 3; }' > b.c
             c++ -c a.cpp; cc -c b.c",
        );
        let story = story(dir.path(), &["DIR/a.o", "DIR/b.o"]);
        assert_eq!(story.matching("n::f").len(), 2);
        assert_eq!(story.matching("n::f(int)").len(), 1);
        assert_eq!(story.matching("f").len(), 1);
    }
}
