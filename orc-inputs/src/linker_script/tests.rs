use super::*;

fn mark(hidden: bool) -> &'static str {
    if hidden { " hidden" } else { "" }
}

fn show(text: &str) -> String {
    let script = match parse(text, "s.ld") {
        Ok(script) => script,
        Err(e) => return e,
    };
    let mut out = Vec::new();
    for input in &script.inputs {
        let mark = if input.as_needed { "?" } else { "" };
        out.push(match &input.what {
            ScriptName::Path(p) => format!("{mark}{p}"),
            ScriptName::Library(l) => format!("{mark}-l {l}"),
        });
    }
    out.extend(script.search_dirs.iter().map(|d| format!("-L {d}")));
    let names = &script.names;
    for assignment in &names.assignments {
        assert_eq!(assignment.source, "s.ld");
        let value = match &assignment.value {
            Expression::Number(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        out.push(match &assignment.role {
            Role::Define { name, hidden } => format!("{name}={value}{}", mark(*hidden)),
            Role::Provide { name, hidden } => format!("{name}?={value}{}", mark(*hidden)),
            Role::Check => value,
        });
    }
    out.extend(names.entry.iter().map(|n| format!("-e {n}")));
    out.extend(names.wanted.iter().map(|n| format!("-u {n}")));
    out.join(" ")
}

#[test]
fn the_c_library() {
    let text = "/* GNU ld script\n   Use the shared library, but. */\nOUTPUT_FORMAT(elf64-x86-64)\n\
                GROUP ( /lib/libc.so.6 /usr/lib/libc_nonshared.a  AS_NEEDED ( /lib64/ld.so.2 ) )\n";
    assert_eq!(
        show(text),
        "/lib/libc.so.6 /usr/lib/libc_nonshared.a ?/lib64/ld.so.2"
    );
    assert!(looks_like_script(text.as_bytes()));
    assert!(!looks_like_script(b"\x7fELF") && !looks_like_script(b""));
}

#[test]
fn spellings() {
    assert_eq!(
        show("INPUT(-lfoo libbar.a,\"a b.o\")"),
        "-l foo libbar.a a b.o"
    );
    assert_eq!(show("INPUT ( =/usr/lib/x.so )"), "=/usr/lib/x.so");
    assert_eq!(show("SEARCH_DIR(\"=/x\"); INPUT(-ly)"), "-l y -L =/x");
    assert_eq!(show("# comment\nTARGET(x) ver = 0x10;"), "ver=16");
    assert_eq!(show("GROUP(libtinfo.so.6)INPUT(a)"), "libtinfo.so.6 a");
    assert_eq!(
        show("EXTERN(a \"b\", c) ENTRY(_start)"),
        "-e _start -u a -u b -u c"
    );
}

#[test]
fn what_is_refused_is_named() {
    assert!(show("SECTIONS { }").contains("`SECTIONS`"));
    assert!(show("INPUT(a").contains("does not end"));
    assert!(show("INPUT a").contains("expected `(`"));
    assert!(show("/* x").contains("comment does not end"));
    assert!(show("INPUT((a))").contains("`(`"));
    assert!(show("EXTERN((a))").contains("`(`"));
    assert!(show("EXTERN(a").contains("does not close"));
    assert!(show("int main(void) { return 0; }").contains("`int`"));
}

#[test]
fn symbols() {
    assert_eq!(show("a = 5; b=010;"), "a=5 b=8");
    assert_eq!(
        show("PROVIDE(a = 5) PROVIDE_HIDDEN(b = 6); HIDDEN(c=7);"),
        "a?=5 b?=6 hidden c=7 hidden"
    );
    assert!(show("a = 5; a += b;").contains("Binary(Add, Symbol(\"a\"), Symbol(\"b\"))"));
    assert!(show("a <<= 2;").contains("ShiftLeft"));
    assert!(show("ASSERT(a == b, \"they differ\")").contains("they differ"));
    assert_eq!(
        show("VERSION { V1 { global: f; local: *; }; } a = 1"),
        "a=1"
    );
    assert_eq!(
        show("STARTUP(s.o) INPUT(a.o) INCLUDE more.ld"),
        "s.o a.o more.ld"
    );
    assert_eq!(show("\"a b\" = 5"), "a b=5");
}

#[test]
fn damaged_symbols_are_refused() {
    assert!(show("a = 5 b = 6;").contains("expected `;`"));
    assert!(show(". = 5;").contains("lay nothing out"));
    assert!(show("a = ;").contains("found `;`"));
    assert!(show("PROVIDE(a)").contains("PROVIDE(NAME = VALUE)"));
    assert!(show("PROVIDE(a += 1)").contains("PROVIDE(NAME = VALUE)"));
    assert!(show("ENTRY(a b)").contains("one word"));
    assert!(show("VERSION { a").contains("no `}`"));
    assert!(show("MEMORY { rom : ORIGIN = 0, LENGTH = 1 }").contains("`MEMORY`"));
}

#[test]
fn definitions_on_a_command_line() {
    let definition = |text: &str| parse_definition(text).map(|a| (a.role, a.value));
    let name = |name: &str| Role::Define {
        name: name.to_owned(),
        hidden: false,
    };
    let five = || Expression::Number(5);
    assert_eq!(definition("a=5"), Ok((name("a"), five())));
    assert_eq!(definition("\"a\" = 5"), Ok((name("a"), five())));
    for text in ["a", "=5", "a=", "a==5", "a=5 5", "a=5;", "", "a=(5", "a=5)"] {
        let error = definition(text).expect_err(text);
        assert!(error.starts_with(&format!("--defsym {text}: ")), "{error}");
    }
}
