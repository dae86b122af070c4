//! The words of a command line in one piece of memory: a link may name many thousand files.

use alloc::vec::Vec;
use core::ffi::CStr;

use crate::impl_sps_struct;

/// A list of words as C has them: without zero bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Words {
    /// Each word is followed by a zero byte.
    text: Vec<u8>,
}

impl_sps_struct!(Words { text: Vec<u8> });

impl Words {
    /// Whether there is no word.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Adds a word, which ends before its first zero byte.
    pub fn push(&mut self, word: &[u8]) {
        let word = word.split(|byte| *byte == 0).next().unwrap_or_default();
        self.text.extend(word);
        self.text.push(0);
    }

    /// The words, in order.
    pub fn iter(&self) -> impl Iterator<Item = &CStr> {
        // Bytes from another process may lack the last zero.
        let words = self.text.split_inclusive(|byte| *byte == 0);
        words.filter_map(|word| CStr::from_bytes_with_nul(word).ok())
    }
}

impl<W: AsRef<[u8]>> FromIterator<W> for Words {
    fn from_iter<I: IntoIterator<Item = W>>(words: I) -> Self {
        let mut all = Self::default();
        words.into_iter().for_each(|word| all.push(word.as_ref()));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_was_added() {
        let words: Words = ["/bin/run", "", "a b", "cut\0off"].into_iter().collect();
        let all: Vec<&CStr> = words.iter().collect();
        assert_eq!(all, [c"/bin/run", c"", c"a b", c"cut"]);
        assert!(!words.is_empty() && Words::default().is_empty());
        let text = b"whole\0not whole".to_vec();
        let words = Words { text };
        assert_eq!(words.iter().collect::<Vec<_>>(), [c"whole"]);
    }
}
