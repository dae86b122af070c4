//! What objects ask their linker for (`LC_LINKER_OPTION`): compilers write it for `#pragma comment(lib, …)`, for modules
//! that are imported, and for Swift.

use object::LittleEndian as LE;
use object::macho::{self, LinkerOptionCommand, MachHeader64};
use object::read::macho::MachHeader as _;
use orc_inputs::format::Wish;
use orc_shared::printable_text;

/// The options of an object.
///
/// # Errors
/// When its load commands are damaged.
pub(super) fn read(object: &[u8]) -> Result<Vec<Wish>, String> {
    let damaged = |_| "is damaged: its load commands end beyond the file or themselves".to_owned();
    let mut wishes = Vec::new();
    let header = MachHeader64::<LE>::parse(object, 0).map_err(damaged)?;
    let mut commands = header.load_commands(LE, object, 0).map_err(damaged)?;
    while let Some(command) = commands.next().map_err(damaged)? {
        if command.cmd() != macho::LC_LINKER_OPTION {
            continue;
        }
        let fixed = command.data::<LinkerOptionCommand<LE>>().map_err(damaged)?;
        let words = command.raw_data().get(size_of_val(fixed)..);
        let words = words.unwrap_or_default().split(|byte| *byte == 0);
        let words: Vec<String> = words
            .take(fixed.count.get(LE) as usize)
            .map(printable_text)
            .collect();
        wishes.push(wish(&words));
    }
    Ok(wishes)
}

/// What the words of one command mean.
fn wish(words: &[String]) -> Wish {
    match words {
        [word] if word.len() > 2 && word.starts_with("-l") => Wish::Library(word[2..].to_owned()),
        [option, name] if option == "-framework" => Wish::Framework(name.clone()),
        words => Wish::Option(words.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_object::{code, object};

    /// An object with one option more.
    fn with_option(count: u32, words: &[u8]) -> Vec<u8> {
        let mut bytes = object(vec![code(&[0x90; 16], &[])], &[]).bytes();
        let size = (12 + words.len() as u32).next_multiple_of(8);
        let mut command = [0x2d, size, count].map(u32::to_le_bytes).concat();
        command.extend(words);
        command.resize(size as usize, 0);
        // It comes first; what the others lead to is not looked at here.
        bytes.splice(32..32, command);
        let number = |bytes: &[u8], at: usize| {
            u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a word"))
        };
        let (commands, all) = (number(&bytes, 16) + 1, number(&bytes, 20) + size);
        bytes[16..20].copy_from_slice(&commands.to_le_bytes());
        bytes[20..24].copy_from_slice(&all.to_le_bytes());
        bytes
    }

    #[test]
    fn options_are_libraries_frameworks_or_others() {
        let read = |count, words| read(&with_option(count, words)).expect("it is right");
        assert_eq!(read(1, b"-lz\0"), [Wish::Library("z".to_owned())]);
        let framework = Wish::Framework("Cocoa".to_owned());
        assert_eq!(read(2, b"-framework\0Cocoa\0"), [framework]);
        let other = Wish::Option("-needed_library /x".to_owned());
        assert_eq!(read(2, b"-needed_library\0/x\0"), [other]);
        let cut = Wish::Option("-framework".to_owned());
        assert_eq!(read(1, b"-framework\0Cocoa\0"), [cut]);
    }

    #[test]
    fn damaged_options_are_errors() {
        let bytes = with_option(1, b"-lz\0");
        for length in 32..48 {
            read(&bytes[..length]).expect_err("it is cut off");
        }
    }
}
