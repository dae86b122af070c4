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
