//! Files that are something else than their names say.

use super::*;

#[test]
fn text_instead_of_an_object() {
    let scratch = Scratch::new();
    scratch.write("text.o", "int main(void) { return 0; }\n");
    check(
        &scratch,
        &["run", "text.o"],
        expect![[r#"
        exit code 1
        orc-jit: error: text.o: is a text file, and neither an object nor a linker script
    "#]],
    );
}

#[test]
fn objects_of_other_systems() {
    let scratch = with_main();
    let coff = [&[0x64, 0x86, 1, 0][..], &[0; 40]].concat();
    let big = [&[0, 0, 0xff, 0xff, 2, 0, 0x64, 0x86][..], &[0; 40]].concat();
    scratch.write("coff.o", coff).write("big.o", big);
    scratch.write("wasm.o", b"\0asm\x01\0\0\0");
    scratch.write("macho.o", [0xcf, 0xfa, 0xed, 0xfe, 7, 0, 0, 1]);
    scratch.write(
        "powerpc.o",
        [&[0xfe, 0xed, 0xfa, 0xce][..], &[0; 28]].concat(),
    );
    scratch.write("program.exe", b"MZ\x90\0");
    let inputs = [
        "coff.o",
        "big.o",
        "wasm.o",
        "macho.o",
        "powerpc.o",
        "program.exe",
    ];
    let words: Vec<&str> = ["run", "main.o"].into_iter().chain(inputs).collect();
    check(
        &scratch,
        &words,
        expect![[r#"
            exit code 1
            orc-jit: error: coff.o: is a COFF object (Windows); an ELF object or a Mach-O object is needed here: compile for x86-64 Linux
            big.o: is a COFF object (Windows); an ELF object or a Mach-O object is needed here: compile for x86-64 Linux
            wasm.o: is a WebAssembly module; an ELF object or a Mach-O object is needed here: compile for x86-64 Linux
            macho.o: is cut off within its Mach-O header
            powerpc.o: is a Mach-O file for a 32-bit or big-endian CPU: compile for x86-64 or arm64
            program.exe: is a Windows program or DLL; an ELF object or a Mach-O object is needed here
        "#]],
    );
}

#[test]
fn sources_of_other_languages() {
    let scratch = with_main();
    scratch.write("main.h", "int f(void);\n");
    scratch.write("main.ll", "define i32 @f() { ret i32 0 }\n");
    scratch.write("main.py", "print()\n");
    check(
        &scratch,
        &["run", "main.o", "main.h", "main.ll", "main.py"],
        expect![[r#"
            exit code 1
            orc-jit: error: main.h: is a header, by its name: compile it first, or give it the name of a source file
            main.ll: is LLVM's assembly code, by its name: compile it first, or give it the name of a source file
            main.py: is a script for an interpreter, by its name: compile it first, or give it the name of a source file
        "#]],
    );
}

#[test]
fn layout_script() {
    let scratch = with_main();
    scratch.write(
        "script.ld",
        "ENTRY(main)\nSECTIONS { .text : { *(.text) } }\n",
    );
    check(
        &scratch,
        &["run", "main.o", "-T", "script.ld"],
        expect![[r#"
            exit code 1
            orc-jit: error: script.ld: linker script statement `SECTIONS` is not supported: a script can name files (INPUT, GROUP, AS_NEEDED, SEARCH_DIR) and symbols (assignments, PROVIDE, ENTRY, EXTERN, ASSERT), and lays nothing out
        "#]],
    );
}
