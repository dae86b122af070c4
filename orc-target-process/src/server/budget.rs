//! How much memory a controller may have for linked code, whichever services it asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::executor::Failure;

/// Bytes that may be taken at one time.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    used: AtomicU64,
}

/// Bytes that were taken. Dropping it gives them back.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    pub(super) fn new(limit: u64) -> Arc<Self> {
        let used = AtomicU64::new(0);
        Arc::new(Self { limit, used })
    }

    /// Takes bytes.
    ///
    /// # Errors
    /// When they are more than is left.
    pub(super) fn take(self: &Arc<Self>, bytes: u64) -> Result<Share, Failure> {
        let within = |used: u64| {
            let sum = used.checked_add(bytes)?;
            (sum <= self.limit).then_some(sum)
        };
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, within);
        match taken {
            Ok(_) => Ok(Share {
                budget: Arc::clone(self),
                bytes,
            }),
            Err(used) => Err(Failure(format!(
                "{bytes} bytes more than the {used} in use exceed the executor's limit of {} bytes \
                 of memory",
                self.limit
            ))),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let budget = Budget::new(100);
        let first = budget.take(60).expect("is there");
        let failure = budget.take(41).expect_err("is too much").0;
        assert!(failure.contains("the 60 in use"), "{failure}");
        assert!(budget.take(u64::MAX).is_err());
        drop(first);
        let all = budget.take(100).expect("is there again");
        assert!(budget.take(1).is_err());
        drop(all);
    }
}
