//! A dylib that grows statement by statement, as an interpreter's does.

use std::process::Command;

use orc_jit::{Dylib, Error, ExecutorAddr, Jit, ReplaceOptions, Tracker};

struct Interpreter {
    scratch: tempfile::TempDir,
    jit: Jit,
    dylib: Dylib,
    statements: usize,
}

impl Interpreter {
    fn new() -> Self {
        let jit = Jit::new().unwrap();
        let dylib = jit.dylib("statements").unwrap();
        dylib.allow_replacement();
        Self {
            scratch: tempfile::tempdir().unwrap(),
            jit,
            dylib,
            statements: 0,
        }
    }

    fn compile(&mut self, source: &str) -> Vec<u8> {
        self.statements += 1;
        let file = self.scratch.path().join(format!("{}.c", self.statements));
        std::fs::write(&file, source).unwrap();
        let object = file.with_extension("o");
        let mut cc = Command::new("cc");
        let done = cc.args(["-O1", "-c"]).arg(&file).arg("-o").arg(&object);
        assert!(done.status().unwrap().success());
        std::fs::read(object).unwrap()
    }

    /// Adds definitions, and a statement that runs now.
    fn run(&mut self, definitions: &str, statement: &str) -> Result<Tracker, Error> {
        let source = format!(
            "{definitions}\n__attribute__((constructor)) static void statement(void) {{ {statement} }}"
        );
        let object = self.compile(&source);
        let tracker = self.dylib.tracker();
        let name = format!("statement {}", self.statements);
        let object = self.jit.objects().read(&name, object)?;
        tracker
            .session_tracker()
            .add_object(object)
            .map_err(Error::from)?;
        match self.dylib.initialize() {
            Ok(()) => Ok(tracker),
            Err(error) => {
                let _ = tracker.remove()?;
                Err(error)
            }
        }
    }

    fn value(&self, name: &str) -> i32 {
        let symbol = self.dylib.symbol(name).unwrap();
        let address = symbol.addr().value() as *const i32;
        // SAFETY: the statements define variables of this type, and the symbol keeps their memory.
        unsafe { address.read() }
    }
}

#[test]
fn each_statement_runs_once_and_sees_those_before_it() {
    let mut it = Interpreter::new();
    it.run("int x; int runs;", "x = 1; runs++;").unwrap();
    for step in 2..20 {
        let definitions = format!("extern int x, runs; int x{step};");
        let statement = format!("x += {step}; x{step} = x; runs++;");
        it.run(&definitions, &statement).unwrap();
        assert_eq!(it.value("runs"), step);
        assert_eq!(it.value(&format!("x{step}")), (1..=step).sum::<i32>());
    }
}

#[test]
fn a_statement_that_fails_is_no_statement() {
    let mut it = Interpreter::new();
    it.run("int x;", "x = 5;").unwrap();
    let failed = it.run("extern int x; int nothing(int);", "x = nothing(x);");
    let message = failed.err().unwrap().to_string();
    assert!(message.contains("nothing"), "{message}");
    let twice = it.run("int x;", "x = 6;");
    assert!(twice.err().unwrap().to_string().contains('x'));
    assert_eq!(it.value("x"), 5);
    it.run("int nothing(int x) { return x + 1; }", "").unwrap();
    it.run("extern int x; int nothing(int);", "x = nothing(x);")
        .unwrap();
    assert_eq!(it.value("x"), 6);
}

#[test]
fn a_function_is_defined_again_for_all_that_use_it() {
    let mut it = Interpreter::new();
    let f = it.run("int f(int x) { return x + 1; }", "").unwrap();
    it.run(
        "int f(int); int g(int x) { return 10 * f(x); } int y;",
        "y = g(1);",
    )
    .unwrap();
    assert_eq!(it.value("y"), 20);
    let object = it.compile("int f(int x) { return x + 2; }");
    let object = it.jit.objects().read("f", object).unwrap();
    // SAFETY: the function has one type.
    let _old = unsafe { f.replace(&[object], ReplaceOptions::default()) }.unwrap();
    it.run("extern int y; int g(int);", "y = g(1);").unwrap();
    assert_eq!(it.value("y"), 30);
}

#[test]
fn the_names_of_a_dylib_are_those_of_its_statements() {
    let mut it = Interpreter::new();
    it.run("int x; static int hidden; __attribute__((visibility(\"hidden\"))) int inner; int f(void) { return hidden + inner; }", "x = f();")
        .unwrap();
    let names = it.dylib.defined_names();
    for name in ["x", "f"] {
        assert!(names.iter().any(|it| it == name), "{names:?}");
    }
    assert!(
        !names
            .iter()
            .any(|it| it.contains("hidden") || it == "inner" || it.contains("stub"))
    );
    let more = it.run("int more;", "").unwrap();
    assert!(it.dylib.defined_names().iter().any(|it| it == "more"));
    let _ = more.remove().unwrap();
    assert_eq!(it.dylib.defined_names(), names);
}

#[test]
fn several_names_are_looked_up_in_one_link() {
    let mut it = Interpreter::new();
    it.run("int a = 1, b = 2;", "").unwrap();
    let symbols = it.dylib.symbols(&["a", "b"]).unwrap();
    assert_eq!(symbols.len(), 2);
    assert_ne!(symbols[0].addr(), symbols[1].addr());
    let message = it.dylib.symbols(&["a", "c", "d"]).unwrap_err().to_string();
    assert!(message.contains('c') && message.contains('d'), "{message}");
}

extern "C" fn answer() -> i32 {
    42
}

#[test]
fn a_clients_function_is_asked_for_names_that_nothing_defines() {
    let mut it = Interpreter::new();
    let asked = std::sync::Arc::<std::sync::Mutex<Vec<String>>>::default();
    let noted = asked.clone();
    let find = move |name: &str| {
        noted.lock().unwrap().push(name.to_owned());
        (name == "host_answer").then(|| ExecutorAddr::new(answer as *const () as u64))
    };
    // SAFETY: the function is there as long as the process is.
    unsafe { it.dylib.add_symbol_lookup(find) };
    it.run("int host_answer(void); int a;", "a = host_answer();")
        .unwrap();
    it.run(
        "int host_answer(void); extern int a;",
        "a += host_answer();",
    )
    .unwrap();
    assert_eq!(it.value("a"), 84);
    let error = it
        .run("int other(void); extern int a;", "a = other();")
        .err()
        .unwrap();
    assert!(error.to_string().contains("other"));
    let asked = asked.lock().unwrap();
    assert_eq!(
        asked.iter().filter(|name| *name == "host_answer").count(),
        1,
        "{asked:?}"
    );
}

#[test]
fn a_new_definition_shadows_one_that_others_keep_and_undoing_it_brings_that_back() {
    for replaceable in [true, false] {
        let mut it = Interpreter::new();
        if !replaceable {
            it.dylib = it.jit.dylib("plain").unwrap();
        }
        it.dylib.allow_shadowing();
        it.run("int x; int f(int a) { return a + 1; }", "x = f(1);")
            .unwrap();
        it.run(
            "extern int x; int f(int); int g(void) { return 100 * x + f(1); } int y;",
            "y = g();",
        )
        .unwrap();
        assert_eq!(it.value("y"), 202);
        // Of other types.
        let second = it
            .run(
                "static char *text = \"text\"; char *x; int f(int a, int b) { return 10 * a + b; } int z;",
                "x = text; z = f(3, 4);",
            )
            .unwrap();
        assert_eq!(it.value("z"), 34);
        let third = it
            .run("extern char *x; int z3; int f = 5;", "z3 = x[0] + f;")
            .unwrap();
        assert_eq!(it.value("z3"), 't' as i32 + 5);
        // Those from before.
        it.run("int g(void); extern int y;", "y = g() + 1;")
            .unwrap();
        assert_eq!(it.value("y"), 203);
        let _ = third.remove().unwrap();
        it.run("int f(int, int); int z4;", "z4 = f(5, 6);").unwrap();
        assert_eq!(it.value("z4"), 56);
        let _ = second.remove().unwrap();
        it.run("extern int x; int f(int); int z5;", "z5 = f(x);")
            .unwrap();
        assert_eq!(it.value("z5"), 3);
    }
}

#[test]
fn what_is_not_linked_yet_is_not_shadowed() {
    let it = Interpreter::new();
    it.dylib.allow_shadowing();
    let mut other = Interpreter::new();
    let object = other.compile("int f(void) { return 1; }");
    it.dylib.add_object_bytes("f.o", object.clone()).unwrap();
    let error = it.dylib.add_object_bytes("f2.o", object).unwrap_err();
    assert!(error.to_string().contains("f.o"), "{error}");
}

#[test]
fn objects_of_a_tracker_are_linked_as_one_and_taken_back_as_one() {
    let mut it = Interpreter::new();
    let mut read = |name: &str, source: &str| {
        let bytes = it.compile(source);
        it.jit.objects().read(name, bytes).unwrap()
    };
    let a = read("a", "int b(void); int a(void) { return b() + 1; }");
    let b = read("b", "int a(void); int b(void) { return 5; }");
    let again = read("again", "int a(void) { return 0; }");
    let tracker = it.dylib.tracker();
    let error = tracker.add_objects([a.clone(), again]).unwrap_err();
    assert!(error.to_string().contains("again"), "{error}");
    let _ = tracker.remove().unwrap();
    assert!(it.dylib.symbol("a").is_err());
    it.dylib.tracker().add_objects([a, b]).unwrap();
    assert_eq!(it.dylib.symbols(&["a", "b"]).unwrap().len(), 2);
}

/// Compiles what is asked for in the dylib that it belongs to, and counts in a variable of it.
struct OwnCompiler {
    dylib: orc_jit::WeakDylib,
    object: std::sync::Arc<dyn orc_jit::ObjectFile>,
}

impl orc_jit::Materializer for OwnCompiler {
    fn name(&self) -> String {
        "own compiler".to_owned()
    }

    fn materialize(&self, responsibility: orc_jit::Responsibility) {
        let dylib = self.dylib.upgrade().expect("somebody asks in it");
        let asked = dylib.symbol("asked").unwrap().addr().value() as *mut i32;
        // SAFETY: the statement below defines it, and nobody else uses it now.
        unsafe { *asked += 1 };
        responsibility.link(self.object.clone());
    }
}

#[test]
fn a_materializer_that_uses_its_dylib_does_not_keep_it() {
    let mut it = Interpreter::new();
    it.run("int asked;", "").unwrap();
    let bytes = it.compile("int made(void) { return 8; }");
    let compiler = OwnCompiler {
        dylib: it.dylib.downgrade(),
        object: it.jit.objects().read("made", bytes).unwrap(),
    };
    let dylib = it.dylib.downgrade();
    it.dylib
        .define(std::sync::Arc::new(compiler), &["made", "never_asked_for"])
        .unwrap_or_default();
    let weak = it.jit.downgrade();
    it.run("int made(void); int got;", "got = 1;").unwrap();
    assert_eq!(it.value("got"), 1);
    assert_eq!(it.value("asked"), 0);
    assert!(dylib.upgrade().is_some());
    drop(it);
    assert!(weak.upgrade().is_none());
    assert!(dylib.upgrade().is_none());
}

/// Defines `answer_N` as N.
struct Answers;

impl orc_jit::Generator for Answers {
    fn name(&self) -> &str {
        "answers"
    }

    fn generate(
        &self,
        dylib: &jit_core::session::Dylib,
        wanted: &[orc_jit::Wanted],
    ) -> Result<(), jit_core::error::LinkError> {
        let names = dylib.session().names().clone();
        for wanted in wanted {
            let name = names.readable(wanted.name);
            let Some(number) = name.strip_prefix("answer_").and_then(|it| it.parse().ok()) else {
                continue;
            };
            dylib
                .default_tracker()
                .add_absolute(&[jit_core::session::AbsoluteSymbol {
                    name: wanted.name,
                    addr: ExecutorAddr::new(number),
                    kind: jit_core::symbol::SymbolKind::Data,
                    weak: true,
                }])?;
        }
        Ok(())
    }
}

#[test]
fn a_generator_defines_what_is_missing() {
    let mut it = Interpreter::new();
    it.dylib.add_generator(std::sync::Arc::new(Answers));
    it.run(
        "extern char answer_17[]; int x;",
        "x = (int)(long)answer_17;",
    )
    .unwrap();
    assert_eq!(it.value("x"), 17);
    assert!(
        it.run("extern char answer_x[]; int y;", "y = (int)(long)answer_x;")
            .is_err()
    );
}
