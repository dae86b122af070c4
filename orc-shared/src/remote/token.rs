//! The secret that a controller shows to an executor behind a TCP port.
//!
//! It is the first thing that travels, always [`SIZE`] bytes, so that an executor reads neither more
//! nor less of somebody that it does not know. Both sides make these bytes of the same text, which
//! comes from a file or from the environment variable [`VARIABLE`], never from a command line, where
//! every process of a host can read it.

use core::fmt;

/// Bytes of a token on the wire.
pub const SIZE: usize = 64;

/// The environment variable that holds the text where no file is named.
pub const VARIABLE: &str = "ORC_EXECUTOR_TOKEN";

/// The fewest characters that are a secret.
pub const LENGTH_MIN: usize = 16;

/// Why a text is no token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadLength(pub usize);

impl fmt::Display for BadLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(length) = self;
        write!(
            f,
            "a token has {LENGTH_MIN} to {SIZE} characters, not {length}"
        )
    }
}

impl core::error::Error for BadLength {}

/// The bytes that stand for a text. White space around it, such as a file's last line break, does not
/// count.
///
/// # Errors
/// When the text is too short to be a secret, or too long.
pub fn bytes(text: &[u8]) -> Result<[u8; SIZE], BadLength> {
    let text = text.trim_ascii();
    if !(LENGTH_MIN..=SIZE).contains(&text.len()) {
        return Err(BadLength(text.len()));
    }
    let mut bytes = [0; SIZE];
    bytes[..text.len()].copy_from_slice(text);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_does_not_count_and_length_does() {
        let plain = bytes(b"0123456789abcdef").expect("long enough");
        assert_eq!(bytes(b"0123456789abcdef\n"), Ok(plain));
        assert_eq!((plain[15], plain[16]), (b'f', 0));
        assert_eq!(bytes(b"\n"), Err(BadLength(0)));
        assert_eq!(bytes(&[b'x'; 15]), Err(BadLength(15)));
        assert!(bytes(&[b'x'; 64]).is_ok());
        assert_eq!(bytes(&[b'x'; 65]), Err(BadLength(65)));
    }
}
