//! The compilers of this machine, and the modes a program is compiled in.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::in_ci;
use crate::target::target;

/// A way to compile a program that changes what the linker sees.
#[derive(Debug)]
pub struct Mode {
    /// Its name in test names.
    pub name: &'static str,
    /// Flags for the compiler.
    pub compile: &'static [&'static str],
    /// Flags for the system's linker, where it has to be told.
    pub link: &'static [&'static str],
}

/// Every mode. The first is what a compiler does when nobody asks it for anything.
pub const MODES: &[Mode] = &[
    Mode {
        name: "default",
        compile: &[],
        link: &[],
    },
    Mode {
        name: "pic",
        compile: &["-fPIC"],
        link: &[],
    },
    Mode {
        name: "nopie",
        compile: &["-fno-pie"],
        link: &["-no-pie"],
    },
    Mode {
        name: "nopie-O2",
        compile: &["-fno-pie", "-O2"],
        link: &["-no-pie"],
    },
    Mode {
        name: "debug",
        compile: &["-O0", "-g"],
        link: &[],
    },
    Mode {
        name: "O2",
        compile: &["-O2"],
        link: &[],
    },
    Mode {
        name: "sections",
        compile: &["-ffunction-sections", "-fdata-sections"],
        link: &[],
    },
    Mode {
        name: "tlsdesc",
        compile: &["-fPIC", "-mtls-dialect=gnu2"],
        link: &[],
    },
    Mode {
        name: "pic-O2",
        compile: &["-fPIC", "-O2"],
        link: &[],
    },
    Mode {
        name: "noplt",
        compile: &["-fno-plt", "-O1"],
        link: &[],
    },
    Mode {
        name: "medium",
        compile: &["-mcmodel=medium", "-fno-pie"],
        link: &["-no-pie"],
    },
    Mode {
        name: "large",
        compile: &["-mcmodel=large", "-fno-pie"],
        link: &["-no-pie"],
    },
    Mode {
        name: "large-pic",
        compile: &["-mcmodel=large", "-fPIC"],
        link: &[],
    },
];

/// What a case's `modes:` directive may say besides the names of modes.
pub const MODE_SETS: &[(&str, &[&str])] = &[
    ("one", &["default"]),
    ("few", &["default", "pic", "nopie-O2"]),
    (
        "all",
        &[
            "default", "pic", "nopie", "nopie-O2", "debug", "O2", "sections", "tlsdesc", "pic-O2",
            "noplt",
        ],
    ),
    ("models", &["medium", "large", "large-pic"]),
];

/// The mode called `name`.
pub fn mode(name: &str) -> Option<&'static Mode> {
    MODES.iter().find(|mode| mode.name == name)
}

/// A family of compilers: the C and the C++ driver of one vendor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compiler {
    /// Its name in test names: `gcc` or `clang`.
    pub name: &'static str,
    /// The C compiler.
    pub cc: PathBuf,
    /// The C++ compiler.
    pub cxx: PathBuf,
    /// The first line of `--version`, part of the key under which objects are kept.
    pub version: String,
}

/// The families of compilers that programs are compiled by, installed or not.
pub fn families() -> Vec<&'static str> {
    let mut families = vec!["gcc", "clang"];
    // Where there is neither, it is what is called `cc`.
    families.extend(
        compilers()
            .iter()
            .map(|it| it.name)
            .filter(|name| *name == "cc"),
    );
    families
}

/// The compilers that are installed.
///
/// # Panics
/// If there is none, or if one is missing in continuous integration.
pub fn compilers() -> &'static [Compiler] {
    static FOUND: OnceLock<Vec<Compiler>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let families = target().drivers;
        let find = |&(name, drivers): &(_, &[_])| find_compiler(name, drivers);
        let mut found: Vec<_> = families.iter().filter_map(find).collect();
        assert!(
            !in_ci() || found.len() == families.len(),
            "CI needs both gcc and clang"
        );
        if found.is_empty() && target().is_here {
            found.extend(find_compiler("cc", &[("cc", "c++")]));
        }
        assert!(!found.is_empty(), "no C++ compiler: install g++ or clang++");
        found
    })
}

fn find_compiler(name: &'static str, drivers: &[(&str, &str)]) -> Option<Compiler> {
    drivers.iter().find_map(|(cc, cxx)| {
        let (cc, cxx) = (find_program(cc)?, find_program(cxx)?);
        let output = Command::new(&cxx).arg("--version").output().ok()?;
        let version = String::from_utf8_lossy(&output.stdout)
            .lines()
            .next()?
            .to_owned();
        Some(Compiler {
            name,
            cc,
            cxx,
            version,
        })
    })
}

/// Looks `name` up in `PATH`.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}
