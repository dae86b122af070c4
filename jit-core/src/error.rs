//! Errors of sessions and links: enums that carry the facts.

use std::sync::Arc;

use crate::executor::ExecutorError;
use crate::object::ObjectError;

/// Why a link failed. Cloned to every query that waited for it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// An object could not be read or uses something unsupported.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The executor failed.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// Several failures of one kind or of several objects, all found before the link stopped.
    #[error("{}", join(.0))]
    Many(Arc<[LinkError]>),
    /// A bug in this project.
    #[error("internal error: {0}")]
    Internal(String),
}

fn join(errors: &[LinkError]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}
