//! Libraries of macOS on command lines: stubs as Apple's SDK has them, and linked ones.

use std::path::Path;

use tests::compare::orc_jit;

use super::inputs::{TARGETS, refusal, write, zig};
use super::run;

const SYSTEM: &str = "--- !tapi-tbd
tbd-version:     4
targets:         [ x86_64-macos, arm64-macos ]
install-name:    '/usr/lib/libSystem.B.dylib'
exports:
  - targets:         [ x86_64-macos, arm64-macos ]
    symbols:         [ _printf, _puts ]
...
";

const CXX: &str = r#"{
    "main_library": {
        "exported_symbols": [{"text": {"global": ["__ZNSt3__16threadD1Ev"]}}],
        "install_names": [{"name": "/usr/lib/libc++.1.dylib"}],
        "target_info": [{"target": "x86_64-macos"}]
    },
    "tapi_tbd_version": 5
}"#;

const FAR: &str = "--- !tapi-tbd
tbd-version:     4
targets:         [ x86_64-macos ]
install-name:    /opt/far/libfar.2.dylib
exports:
  - targets:         [ x86_64-macos ]
    symbols:         [ _far_away,
                       _farther ]
    objc-classes:    [ Far ]
...
";

/// Names libraries that the process has of its own, one that it has not, and one that has an archive beside it.
pub fn stubs(directory: &Path) {
    std::fs::create_dir(directory.join("sdk")).expect("a directory");
    write(
        directory,
        &[
            ("sdk/libSystem.tbd", SYSTEM),
            ("sdk/libc++.tbd", CXX),
            ("sdk/libfar.tbd", FAR),
            (
                "main.cpp",
                "#include <cstdio>\n#include <string>\nextern \"C\" int near(void);\n\
                 int main() { std::string text(3, 'x'); std::printf(\"%s %d\\n\", text.c_str(), near()); }",
            ),
            ("near.c", "int near(void) { return 7; }"),
        ],
    );
    let target = ["-target", TARGETS[0].1];
    zig(
        directory,
        &[&["c++", "-O1"], &target[..], &["-c", "main.cpp"]].concat(),
    );
    zig(
        directory,
        &[&["cc", "-O1"], &target[..], &["-c", "near.c"]].concat(),
    );
    let linked = ["-shared", "near.o", "-o", "sdk/libnear.dylib"];
    zig(directory, &[&["cc"], &target[..], &linked].concat());
    let jit = orc_jit().expect("it was built");
    let known = [
        "run",
        "main.o",
        "near.o",
        "-Lsdk",
        "-lSystem",
        "sdk/libc++.tbd",
    ];
    assert_eq!(run(directory, &jit, &known), "xxx 7\n");
    let without_stubs = ["run", "main.o", "near.o", "-lSystem"];
    assert_eq!(run(directory, &jit, &without_stubs), "xxx 7\n");
    let said = refusal(directory, &["run", "main.o", "-Lsdk", "-lfar"]);
    let expected = "libfar.tbd: is the library /opt/far/libfar.2.dylib of macOS, which no process here can load. \
                    It provides 4 names: _OBJC_CLASS_$_Far, _OBJC_METACLASS_$_Far, _far_away, _farther. \
                    Link a static archive of it";
    assert!(said.contains(expected), "{said}");
    let said = refusal(directory, &["run", "main.o", "sdk/libnear.dylib"]);
    assert!(
        said.contains("_near. Link a static archive of it"),
        "{said}"
    );
    // Then it is linked, wherever it is found.
    zig(directory, &["ar", "rcs", "libnear.a", "near.o"]);
    let with_archive = ["run", "main.o", "-Lsdk", "-L.", "-lnear"];
    assert_eq!(run(directory, &jit, &with_archive), "xxx 7\n");
}
