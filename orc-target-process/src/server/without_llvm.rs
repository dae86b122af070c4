//! An executor without LLVM's services: it keeps nothing for them, and no call is one of theirs.

use std::sync::Arc;

use orc_shared::remote::llvm::LlvmService;

use super::budget::Budget;
use super::connection::Message;
use super::services::Violation;
use super::session::Session;
use crate::executor::trust::Trust;

/// The services that it has.
pub(super) const SERVICES: &[LlvmService] = &[];

/// What the services keep.
pub(super) struct Llvm;

impl Llvm {
    pub(super) fn new(_: Arc<Budget>, _: Trust) -> Self {
        Self
    }

    /// Whether there was memory, and all of it is released.
    pub(super) fn is_used_up(&self) -> bool {
        false
    }
}

/// Serves a call of one of LLVM's services. `None` if it is none.
pub(super) fn answer(_: &Arc<Session>, _: &Message) -> Option<Result<Vec<u8>, Violation>> {
    None
}
