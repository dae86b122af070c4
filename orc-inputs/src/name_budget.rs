//! How much all names of one file may take together.
//!
//! Names in a table of strings may share their ends ("bar" lies in "foobar"). So a file can have as many
//! names as it has symbols, each nearly as long as the table: their lengths add up to the square of
//! the file's size. Compilers and linkers share ends only where names happen to end alike. What goes far
//! beyond that is damaged, or made to keep its reader busy.

/// What names of any file may take.
const LEAST: usize = 1 << 20;

/// What names may take for each byte of the file: a symbol has 24 bytes, so each may have hundreds.
const PER_BYTE: usize = 32;

/// Counts the bytes of a file's names.
#[derive(Clone, Copy, Debug)]
pub struct NameBudget {
    left: Option<usize>,
}

impl NameBudget {
    /// For the names of a file of this size.
    #[must_use]
    pub fn of_file(size: usize) -> Self {
        let most = size.saturating_mul(PER_BYTE).saturating_add(LEAST);
        Self { left: Some(most) }
    }

    /// Takes a name into account, which is not read where there is nothing left.
    pub fn take<'a>(&mut self, read: impl FnOnce() -> &'a [u8]) -> &'a [u8] {
        let Some(left) = self.left else {
            return &[];
        };
        let name = read();
        self.left = left.checked_sub(name.len());
        name
    }

    /// Whether the names took more than they may.
    #[must_use]
    pub fn is_exceeded(self) -> bool {
        self.left.is_none()
    }

    /// Whether so many names of a table of this size cannot take more than they may.
    #[must_use]
    pub fn is_enough_for(self, names: usize, table: usize) -> bool {
        let most = names.checked_mul(table);
        most.zip(self.left).is_some_and(|(most, left)| most <= left)
    }

    /// Refuses a file whose names took more than they may; `of` says what they name, for the message.
    ///
    /// # Errors
    /// What is wrong with such a file.
    pub fn check(self, of: &str) -> Result<(), String> {
        match self.is_exceeded() {
            true => Err(Self::problem(of)),
            false => Ok(()),
        }
    }

    /// What is wrong with names that take more than they may.
    #[must_use]
    pub fn problem(of: &str) -> String {
        format!(
            "the names of its {of} take more than {PER_BYTE} times the file's size: they overlap in \
             their table, which is damaged, or made to take time"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_take_a_multiple_of_the_file() {
        let name = vec![b'x'; LEAST + 10 * PER_BYTE];
        let mut budget = NameBudget::of_file(10);
        assert_eq!(budget.take(|| &name).len(), name.len());
        assert!(budget.check("symbols").is_ok());
        assert_eq!(budget.take(|| b"y"), b"y");
        assert!(budget.is_exceeded());
        assert_eq!(budget.take(|| panic!("it is not read")), b"");
        assert!(budget.check("symbols").unwrap_err().contains("overlap"));
    }

    #[test]
    fn few_names_need_not_be_counted() {
        let budget = NameBudget::of_file(1000);
        assert!(budget.is_enough_for(1000, 1000));
        assert!(!budget.is_enough_for(10_000, 10_000));
        assert!(!budget.is_enough_for(usize::MAX, 2));
    }
}
