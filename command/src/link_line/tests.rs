//! Command lines as people and tools write them.

use super::*;

fn parse(line: &str) -> LinkLine {
    let args = line.split_whitespace().map(OsString::from);
    LinkLine::parse(args, &|option| match option {
        "--threads" => Some(true),
        "--timings" => Some(false),
        _ => None,
    })
    .unwrap()
}

/// The inputs, each with the letters of the options in force: w(hole archive), s(tatic),
/// n(eeded only).
fn inputs(line: &str) -> String {
    let show = |input: &Input| {
        let name = match &input.name {
            InputName::File(path) => path.display().to_string(),
            InputName::Library(name) => format!("-l{name}"),
        };
        let mut marks = String::new();
        if input.state.whole_archive {
            marks.push('w');
        }
        if input.state.choice == LibraryChoice::StaticOnly {
            marks.push('s');
        }
        if input.state.as_needed == Some(true) {
            marks.push('n');
        }
        format!("{name}:{marks}")
    };
    let inputs = parse(line).inputs;
    inputs.iter().map(show).collect::<Vec<_>>().join(" ")
}

#[test]
fn options_hold_from_their_place_on() {
    assert_eq!(
        inputs("a.o -Wl,--whole-archive b.a -Wl,--no-whole-archive c.a"),
        "a.o: b.a:w c.a:"
    );
    assert_eq!(
        inputs("--whole-archive a.a --push-state --as-needed -lx --pop-state -ly"),
        "a.a:w -lx:wn -ly:w"
    );
    assert_eq!(
        inputs("-Wl,-Bstatic -lx -Wl,-Bdynamic -l y -static -lz"),
        "-lx:s -ly: -lz:s"
    );
}

#[test]
fn what_rustc_passes() {
    let line = parse(
        "-m64 s.o -Wl,--as-needed -Wl,-Bstatic std.rlib -Wl,-Bdynamic -lgcc_s -L raw -B/x/gcc-ld \
         -fuse-ld=lld -Wl,--eh-frame-hdr -Wl,-z,noexecstack -L lib -o out -Wl,--gc-sections -pie \
         -Wl,-z,relro,-z,now -nodefaultlibs -Wl,-rpath,/a:/b",
    );
    assert_eq!(line.inputs.len(), 3);
    assert_eq!(line.library_dirs, ["raw", "lib"]);
    assert_eq!(line.run_path, ["/a", "/b"]);
    assert_eq!(line.output, Some(PathBuf::from("out")));
    assert_eq!(line.gc_sections, Some(true));
    assert!(!line.default_libraries && line.warnings.is_empty());
    assert!(line.own_options.is_empty(), "{:?}", line.own_options);
    assert_eq!(line.compile_flags, ["-m64"]);
}

#[test]
fn compile_options_are_kept_for_sources() {
    let line = parse("-O2 -g -I inc -Iinc2 -DX=1 -std=c++20 -Wall -fPIC -pthread a.cpp");
    assert_eq!(
        line.compile_flags.join(" "),
        "-O2 -g -I inc -Iinc2 -DX=1 -std=c++20 -Wall -fPIC -pthread"
    );
    let line = parse("--edition=2021 --cfg feature -O a.rs");
    assert_eq!(line.rust_flags, ["--edition=2021", "--cfg", "feature"]);
    let line = parse("-x c++ a.txt -x none b.txt");
    assert_eq!(line.inputs[0].state.language.as_deref(), Some("c++"));
    assert_eq!(line.inputs[1].state.language, None);
}

#[test]
fn own_options_are_left_with_their_values() {
    let line = parse("--threads 4 a.o --timings -h --entry start -Xlinker -u -Xlinker keep");
    assert_eq!(line.own_options, ["--threads", "4", "--timings", "-h"]);
    assert_eq!(line.entry.as_deref(), Some("start"));
    assert_eq!(line.undefined, ["keep"]);
    assert_eq!(line.inputs.len(), 1);
}

#[test]
fn values_in_the_next_argument() {
    let line = parse(
        "-Wl,-rpath -Wl,/a,-u,one -Wl,--defsym -Wl,b=c,-z -Wl,now x.o -Wl,-rpath /e -Xlinker -u \
         -Wl,two -Wl,-L -Xlinker l -Wl,--wrap -Wl,w -Wl,-soname -Wl,s -Wl,-Map -Wl,m,-e -Wl,start",
    );
    assert_eq!(line.run_path, ["/a", "/e"]);
    assert_eq!(line.undefined, ["one", "two"]);
    assert_eq!(line.assignments.len(), 1);
    assert_eq!(line.library_dirs, ["l"]);
    assert_eq!(line.wrapped, ["w"]);
    assert_eq!(line.entry.as_deref(), Some("start"));
    assert_eq!(line.inputs.len(), 1);
    assert!(line.warnings.is_empty(), "{:?}", line.warnings);
}

#[test]
fn options_of_the_linker_that_stand_alone() {
    let line = parse("-rpath /a -rpath=/b --rpath /c --rpath=/d -R/e -Wl,-R/f -Wl,-uone -utwo");
    assert_eq!(line.run_path, ["/a", "/b", "/c", "/d", "/e", "/f"]);
    assert_eq!(line.undefined, ["one", "two"]);
    let line = parse("--wrap a --wrap=b -wrap c --require-defined d --export-dynamic-symbol=e*");
    assert_eq!(line.wrapped, ["a", "b", "c"]);
    assert_eq!(
        (line.required, line.exported),
        (vec!["d".into()], vec!["e*".into()])
    );
    let line = parse("--dynamic-list a --export-dynamic-symbol-list=b -Wl,--dynamic-list,c");
    assert_eq!(line.export_lists, ["a", "b", "c"].map(PathBuf::from));
    // Two dashes make no short option.
    assert_eq!(
        parse("--undecided -V --zap").own_options,
        ["--undecided", "-V", "--zap"]
    );
}

#[test]
fn definitions_and_output_kinds() {
    let line = parse("-Wl,--defsym=a=0x10 -Wl,--defsym,b=c -shared");
    let sources: Vec<_> = line.assignments.iter().map(|d| d.source.as_str()).collect();
    assert_eq!(sources, ["--defsym a=0x10", "--defsym b=c"]);
    assert_eq!(line.output_kind, OutputKind::SharedLibrary);
    assert_eq!(parse("-r a.o").output_kind, OutputKind::Relocatable);
}

#[test]
fn what_cannot_be_done_is_said() {
    let error = |line: &str| {
        let args = line.split_whitespace().map(OsString::from);
        LinkLine::parse(args, &|_| None).unwrap_err()
    };
    assert_eq!(error("a.o -o"), "option -o needs a value");
    assert_eq!(error("-Wl,-rpath"), "linker option -rpath needs a value");
    assert_eq!(error("-Wl,-z"), "linker option -z needs a value");
    assert_eq!(error("-Wl,-u -O2 -Wl,a"), "linker option -u needs a value");
    assert_eq!(error("a.o -rpath"), "option -rpath needs a value");
    assert_eq!(error("-Wl,--frobnicate a.o"), "unknown option --frobnicate");
    assert_eq!(
        error("-Wl,--as-neded a.o"),
        "unknown option --as-neded; did you mean --as-needed?"
    );
    assert!(error("-Wl,-Ttext=0 a.o").contains("is not supported"));
    assert!(error("-c a.c").contains("asks for objects"));
    let line = parse("-Wl,-z,frobnicate -Wl,-T,x.ld a.o");
    assert_eq!(line.warnings, ["-z frobnicate ignored: it is unknown"]);
    assert_eq!(line.inputs[0].name, InputName::File("x.ld".into()));
}

#[test]
fn groups_of_objects_that_are_linked_by_need() {
    let line = parse("a.o -Wl,--start-lib b.o c.o -Wl,--end-lib d.o");
    let lazy: Vec<bool> = line.inputs.iter().map(|i| i.state.lazy).collect();
    assert_eq!(lazy, [false, true, true, false]);
}
