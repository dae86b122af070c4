//! `--wrap`: a function is put in front of another one without a change to either's callers.

use std::collections::HashMap;

use jit_core::name::{NameId, NameTable};

/// The names that undefined symbols of objects stand for where it is not their own: with `malloc`
/// wrapped, `malloc` means `__wrap_malloc`, and `__real_malloc` means `malloc`.
#[derive(Clone, Default, Debug)]
pub struct WrappedNames(HashMap<NameId, NameId>);

impl WrappedNames {
    /// Wraps these symbols. Names are interned in `names`, which has to be the table that objects are
    /// read with.
    pub fn new<'a>(symbols: impl IntoIterator<Item = &'a str>, names: &NameTable) -> Self {
        let mut wrapped = HashMap::new();
        for symbol in symbols {
            let prefixed = |prefix: &str| names.intern([prefix, symbol].concat().as_bytes());
            let name = prefixed("");
            // What is wrapped itself stays so, whatever it is called.
            wrapped.entry(prefixed("__real_")).or_insert(name);
            wrapped.insert(name, prefixed("__wrap_"));
        }
        Self(wrapped)
    }

    /// What an undefined symbol of this name stands for.
    #[must_use]
    pub fn meaning(&self, name: NameId) -> NameId {
        self.0.get(&name).copied().unwrap_or(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_what_they_mean() {
        let names = NameTable::default();
        let check = |wrapped: &[&str], from: &str, to: &str| {
            let wrapped = WrappedNames::new(wrapped.iter().copied(), &names);
            let meaning = wrapped.meaning(names.intern(from.as_bytes()));
            assert_eq!(names.text(meaning), to, "{from} with {wrapped:?}");
        };
        check(&["f"], "f", "__wrap_f");
        check(&["f"], "__real_f", "f");
        check(&["f"], "__wrap_f", "__wrap_f");
        check(&["f"], "__real_g", "__real_g");
        check(&[], "f", "f");
        for both in [["f", "__real_f"], ["__real_f", "f"]] {
            check(&both, "f", "__wrap_f");
            check(&both, "__real_f", "__wrap___real_f");
        }
    }
}
