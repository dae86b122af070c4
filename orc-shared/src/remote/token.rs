//! The secret that a controller shows to an executor behind a TCP port.
//!
//! It is the first thing that travels, always [`SIZE`] bytes, so that an executor reads neither more
//! nor less of somebody that it does not know. Both sides make these bytes of the same text, which
//! comes from a file or from the environment variable [`VARIABLE`], never from a command line, where
//! every process of a host can read it.

use core::fmt;
use core::hint::black_box;

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

/// A secret. What prints it prints nothing of it.
#[derive(Clone)]
pub struct Token([u8; SIZE]);

impl Token {
    /// The token that a text stands for. White space around it, such as a file's last line break,
    /// does not count.
    ///
    /// # Errors
    /// When the text is too short to be a secret, or too long.
    pub fn new(text: &[u8]) -> Result<Self, BadLength> {
        let text = text.trim_ascii();
        if !(LENGTH_MIN..=SIZE).contains(&text.len()) {
            return Err(BadLength(text.len()));
        }
        let mut bytes = [0; SIZE];
        bytes[..text.len()].copy_from_slice(text);
        Ok(Self(bytes))
    }

    /// What travels.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; SIZE] {
        &self.0
    }

    /// Whether these are its bytes. Takes the same time for all others.
    #[must_use]
    pub fn is(&self, bytes: &[u8; SIZE]) -> bool {
        let pairs = self.0.iter().zip(bytes);
        let difference = pairs.fold(0, |all, (a, b)| black_box(all | (a ^ b)));
        black_box(difference) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_does_not_count_and_length_does() {
        let bytes = |text: &[u8]| Token::new(text).map(|token| *token.bytes());
        let plain = bytes(b"0123456789abcdef").expect("long enough");
        assert_eq!(bytes(b"0123456789abcdef\n"), Ok(plain));
        assert_eq!((plain[15], plain[16]), (b'f', 0));
        assert_eq!(bytes(b"\n"), Err(BadLength(0)));
        assert_eq!(bytes(&[b'x'; 15]), Err(BadLength(15)));
        assert!(bytes(&[b'x'; 64]).is_ok());
        assert_eq!(bytes(&[b'x'; 65]), Err(BadLength(65)));
    }

    #[test]
    fn a_token_is_itself_only() {
        let token = Token::new(b"0123456789abcdef").expect("long enough");
        assert!(token.is(token.bytes()));
        for at in [0, 15, 16, SIZE - 1] {
            let mut other = *token.bytes();
            other[at] ^= 1;
            assert!(!token.is(&other), "{at}");
        }
    }
}
