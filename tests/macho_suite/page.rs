//! The page: what came of the files of each test, and why those are refused that are.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::Tested;
use crate::link::Outcome;

const HEAD: &str = "\
# Another linker's tests of Mach-O

Made by `cargo run -p xtask -- macho-suite DIRECTORY`, of a checkout of LLVM: of the tests of its linker
(`lld/test/MachO`) and of its JIT linker (`llvm/test/ExecutionEngine/JITLink`). What these tests have LLVM's tools
make is made by those of LLVM 22: objects, and archives of them. Each file is linked whole, by itself, in a process of
its CPU (arm64: in qemu); names that it does not define stand for some address nearby. None of its
code runs, and what the tests expect of a linker's options and output is not looked at. Nothing of
the suite is in this repository.

A file *links*; or it is *read*, if it defines nothing that anybody could refer to; or it is *refused*, and the
message says why.
";

/// The text of the page.
pub fn text(suite: &str, tested: &[Tested]) -> String {
    let mut text = HEAD.to_owned();
    let files = || tested.iter().flat_map(|test| &test.files);
    let count = |is: fn(&Outcome) -> bool| files().filter(|(_, outcome)| is(outcome)).count();
    let _ = write!(
        text,
        "\nThis page is of `{suite}`. Of {} files of {} tests, {} link, {} are read and {} are refused. {} tests make none; {} commands \
         failed, which are for other versions of the tools or expected to.\n",
        files().count(),
        tested.iter().filter(|test| !test.files.is_empty()).count(),
        count(|outcome| *outcome == Outcome::Links),
        count(|outcome| *outcome == Outcome::Reads),
        count(|outcome| matches!(outcome, Outcome::Refused(_))),
        tested.iter().filter(|test| test.files.is_empty()).count(),
        tested.iter().map(|test| test.failed).sum::<usize>(),
    );
    text.push_str("\n## What is refused\n\n| test | file | why |\n|---|---|---|\n");
    for test in tested {
        for (file, outcome) in &test.files {
            if let Outcome::Refused(why) = outcome {
                let why = without_addresses(why)
                    .replace('|', "\\|")
                    .replace('\n', "; ");
                let _ = writeln!(text, "| `{}` | `{file}` | {why} |", test.test);
            }
        }
    }
    text.push_str(
        "\n## All tests that make files\n\n| test | link | read | refused |\n|---|---|---|---|\n",
    );
    for test in tested.iter().filter(|test| !test.files.is_empty()) {
        let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
        for (_, outcome) in &test.files {
            let column = match outcome {
                Outcome::Links => 0,
                Outcome::Reads => 1,
                Outcome::Refused(_) => 2,
            };
            *counts.entry(column).or_default() += 1;
        }
        let count = |column| match counts.get(&column) {
            Some(count) => count.to_string(),
            None => String::new(),
        };
        let (links, reads, refused) = (count(0), count(1), count(2));
        let _ = writeln!(text, "| `{}` | {links} | {reads} | {refused} |", test.test);
    }
    text
}

/// A message without the addresses of this run: long hexadecimal numbers.
fn without_addresses(message: &str) -> String {
    let mut parts = message.split("0x");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        let shown = if digits > ADDRESS_DIGITS {
            "…"
        } else {
            &part[..digits]
        };
        let _ = write!(text, "0x{shown}{}", &part[digits..]);
    }
    text
}

/// Digits of numbers that are no addresses, at most.
const ADDRESS_DIGITS: usize = 6;
