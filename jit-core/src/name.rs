//! Interned symbol names.

use std::sync::Mutex;

/// An interned symbol name: equal ids mean equal names within one session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NameId(pub(crate) u32);

/// The names of a session. All methods may be called from many threads at once.
#[derive(Default)]
pub struct NameTable {
    // Interim: replaced by a sharded table.
    names: Mutex<Vec<Vec<u8>>>,
}

impl NameTable {
    /// The id of `name`, made if new.
    pub fn intern(&self, name: &[u8]) -> NameId {
        let mut names = self.names.lock().expect("not poisoned");
        let at = names.iter().position(|n| n == name).unwrap_or_else(|| {
            names.push(name.to_vec());
            names.len() - 1
        });
        NameId(at as u32)
    }

    /// The id of `name` if it was interned before.
    pub fn find(&self, name: &[u8]) -> Option<NameId> {
        let names = self.names.lock().expect("not poisoned");
        names
            .iter()
            .position(|n| n == name)
            .map(|at| NameId(at as u32))
    }

    /// The name's bytes. For messages and rare paths: it copies.
    pub fn bytes(&self, id: NameId) -> Vec<u8> {
        self.names.lock().expect("not poisoned")[id.0 as usize].clone()
    }

    /// The name as text, not demangled.
    pub fn text(&self, id: NameId) -> String {
        String::from_utf8_lossy(&self.bytes(id)).into_owned()
    }
}
