//! Text-based stubs (`.tbd`): what a library provides, as text. Those of version 4 and before are YAML, of which they use
//! little: keys with one value or a list in brackets, each on lines of its own. Those of version 5 are JSON.

use orc_shared::printable_text;

use super::Dylib;
use super::json::{self, Value};

/// What stubs in YAML begin with.
const YAML: &[u8] = b"--- !tapi-tbd";

/// The key that stubs in JSON have.
const JSON_VERSION: &str = "\"tapi_tbd_version\"";

/// Where a JSON stub has that key, at the latest.
const JSON_HEAD: usize = 1 << 20;

/// Keys of lists of names, in YAML and in JSON, and what the names have in front: one for each name.
const NAMES: &[(&str, &[&str])] = &[
    ("symbols", &[""]),
    ("weak-symbols", &[""]),
    ("weak-def-symbols", &[""]),
    ("thread-local-symbols", &[""]),
    ("objc-classes", CLASS),
    ("objc-eh-types", EXCEPTION),
    ("objc-ivars", VARIABLE),
    ("global", &[""]),
    ("weak", &[""]),
    ("thread_local", &[""]),
    ("objc_class", CLASS),
    ("objc_eh_type", EXCEPTION),
    ("objc_ivar", VARIABLE),
];

/// What Objective-C's names have in front.
const CLASS: &[&str] = &["_OBJC_CLASS_$_", "_OBJC_METACLASS_$_"];
const EXCEPTION: &[&str] = &["_OBJC_EHTYPE_$_"];
const VARIABLE: &[&str] = &["_OBJC_IVAR_$_"];

/// Whether a file is such a stub.
pub(crate) fn is_text_stub(bytes: &[u8]) -> bool {
    let begins = bytes.trim_ascii_start();
    begins.starts_with(YAML) || begins.starts_with(b"{") && has_version(begins)
}

fn has_version(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(JSON_HEAD)];
    let mut places = head.windows(JSON_VERSION.len());
    places.any(|place| place == JSON_VERSION.as_bytes())
}

/// Reads a stub.
///
/// # Errors
/// When it is damaged: where.
pub(super) fn read(bytes: &[u8]) -> Result<Dylib, String> {
    let damaged =
        |why: String| format!("is a damaged text-based stub of a library for macOS: {why}");
    let text = std::str::from_utf8(bytes).map_err(|error| damaged(error.to_string()))?;
    let mut dylib = Dylib::default();
    match text.trim_start().starts_with('{') {
        true => dylib.add_json(text).map_err(damaged)?,
        false => dylib.add_yaml(text).map_err(damaged)?,
    }
    match dylib.install_name.is_empty() {
        true => Err(damaged("it does not say what the library is called".into())),
        false => Ok(dylib),
    }
}

impl Dylib {
    fn add_names<'a>(&mut self, key: &str, names: impl Iterator<Item = &'a str>) {
        let Some((_, starts)) = NAMES.iter().find(|(known, _)| *known == key) else {
            return;
        };
        for name in names {
            let spelled = starts.iter().map(|start| [start, name].concat());
            self.names.extend(spelled.map(String::into_bytes));
        }
    }

    /// Takes in a stub of JSON: its library, and those that are in it as well, whose names it exports again.
    fn add_json(&mut self, text: &str) -> Result<(), String> {
        let stub = json::parse(text)?;
        let main = stub.get("main_library").ok_or("it has no main library")?;
        let names = main.get("install_names").map_or(&[][..], Value::items);
        let name = names.first().and_then(|name| name.get("name"));
        let name = name.and_then(Value::text).unwrap_or_default();
        self.install_name = printable_text(name.as_bytes());
        let others = stub.get("libraries").map_or(&[][..], Value::items);
        for library in std::iter::once(main).chain(others) {
            for key in ["exported_symbols", "reexported_symbols"] {
                let lists = library.get(key).map_or(&[][..], Value::items);
                let kinds = lists
                    .iter()
                    .flat_map(|list| [list.get("data"), list.get("text")]);
                kinds.flatten().for_each(|kind| self.add_json_names(kind));
            }
        }
        Ok(())
    }

    fn add_json_names(&mut self, kind: &Value) {
        for (key, _) in NAMES {
            let names = kind.get(key).map_or(&[][..], Value::items);
            self.add_names(key, names.iter().filter_map(Value::text));
        }
    }

    /// Takes in a stub of YAML: the first document's name, and the names of all, which it exports again.
    fn add_yaml(&mut self, text: &str) -> Result<(), String> {
        let mut section = String::new();
        let mut lines = (1..).zip(text.lines());
        while let Some((number, line)) = lines.next() {
            let trimmed = line.trim();
            let is_mark = trimmed.starts_with("---") || trimmed == "...";
            if trimmed.is_empty() || trimmed.starts_with('#') || is_mark {
                continue;
            }
            let (key, value) =
                key_of(trimmed).ok_or_else(|| format!("line {number} has no key"))?;
            if !line.starts_with([' ', '-']) {
                section = key.to_owned();
            }
            let mut value = value.to_owned();
            if value.starts_with('[') {
                while !value.ends_with(']') {
                    let (_, more) = lines
                        .next()
                        .ok_or_else(|| format!("the list of line {number} has no end"))?;
                    value.push(' ');
                    value.push_str(more.trim());
                }
            }
            match key {
                "install-name" if self.install_name.is_empty() => {
                    self.install_name = printable_text(unquoted(&value).as_bytes());
                }
                _ if section == "exports" || section == "reexports" => {
                    let list = value.trim_start_matches('[').trim_end_matches(']');
                    let names = list.split(',').map(unquoted);
                    self.add_names(key, names.filter(|name| !name.is_empty()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The key of a line, and what follows it.
fn key_of(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("- ").unwrap_or(line).trim_start();
    let (key, value) = line.split_once(':')?;
    let is_key = !key.is_empty()
        && key
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || it == b'-');
    is_key.then_some((key, value.trim()))
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let quoted = |mark: char| text.strip_prefix(mark)?.strip_suffix(mark);
    quoted('\'').or_else(|| quoted('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION_4: &str = "\
--- !tapi-tbd
tbd-version:     4
targets:         [ x86_64-macos, arm64-macos ]
uuids:
  - target:          x86_64-macos
    value:           00000000-0000-0000-0000-000000000000
install-name:    '/opt/lib/libx.1.dylib'
current-version: 1.2.3
parent-umbrella:
  - targets:         [ x86_64-macos ]
    umbrella:        X
exports:
  - targets:         [ x86_64-macos, arm64-macos ]
    symbols:         [ _one, '_two$INODE64',
                       __ZN1a1bEv ]
    weak-symbols:    [ _weak ]
    objc-classes:    [ Thing ]
reexports:
  - targets:         [ x86_64-macos ]
    symbols:         [ _again ]
undefineds:
  - targets:         [ x86_64-macos ]
    symbols:         [ _not_ours ]
--- !tapi-tbd
tbd-version:     4
install-name:    /opt/lib/libinner.dylib
exports:
  - targets:         [ x86_64-macos ]
    thread-local-symbols: [ _thread ]
...
";

    const VERSION_5: &str = r#"{
        "main_library": {
            "exported_symbols": [
                {"data": {"global": ["_v"], "objc_class": ["Thing"], "thread_local": ["_t"]},
                 "text": {"global": ["_f"], "weak": ["_w"]}}
            ],
            "install_names": [{"name": "/opt/lib/libx.1.dylib"}],
            "target_info": [{"target": "x86_64-macos"}]
        },
        "libraries": [{"install_names": [{"name": "/i"}], "reexported_symbols": [{"text": {"global": ["_r"]}}]}],
        "tapi_tbd_version": 5
    }"#;

    fn names(text: &str) -> Vec<String> {
        assert!(is_text_stub(text.as_bytes()));
        let dylib = read(text.as_bytes()).expect("a stub");
        assert_eq!(dylib.install_name, "/opt/lib/libx.1.dylib");
        let text = |name: &Vec<u8>| String::from_utf8_lossy(name).into_owned();
        dylib.names.iter().map(text).collect()
    }

    #[test]
    fn names_of_all_kinds_and_documents_are_read() {
        let expected = [
            "_one",
            "_two$INODE64",
            "__ZN1a1bEv",
            "_weak",
            "_OBJC_CLASS_$_Thing",
            "_OBJC_METACLASS_$_Thing",
            "_again",
            "_thread",
        ];
        assert_eq!(names(VERSION_4), expected);
        let mut read = names(VERSION_5);
        read.sort_unstable();
        let expected = [
            "_OBJC_CLASS_$_Thing",
            "_OBJC_METACLASS_$_Thing",
            "_f",
            "_r",
            "_t",
            "_v",
            "_w",
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn damaged_stubs_are_errors_with_the_place() {
        let said = |text: &str| read(text.as_bytes()).expect_err("damaged");
        let start = "is a damaged text-based stub of a library for macOS: ";
        for (text, why) in [
            ("--- !tapi-tbd\nwhat\n", "line 2 has no key"),
            (
                "--- !tapi-tbd\nexports:\n  - symbols: [ _a,\n",
                "the list of line 3 has no end",
            ),
            (
                "--- !tapi-tbd\ntbd-version: 4\n",
                "it does not say what the library is called",
            ),
            ("{\"tapi_tbd_version\": 5}", "it has no main library"),
            (
                "{\"tapi_tbd_version\": 5",
                "what stands at byte 22 is not understood",
            ),
        ] {
            assert_eq!(said(text), format!("{start}{why}"));
        }
        for length in 0..VERSION_4.len() {
            // It may still be one.
            let _ = read(&VERSION_4.as_bytes()[..length]);
        }
    }

    #[test]
    fn other_texts_are_no_stubs() {
        assert!(!is_text_stub(b"GROUP ( libc.so.6 )"));
        assert!(!is_text_stub(b"{ global: *; };"));
        assert!(!is_text_stub(b""));
    }
}
