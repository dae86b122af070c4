//! Calls that go with an allocation.

use orc_shared::AllocAction;
use orc_shared::sps::{self, SpsError};

use super::Failure;
use crate::trusted;

/// Makes an action's call and reads the SPS error that it returns.
pub(super) fn run(action: &AllocAction) -> Result<(), Failure> {
    let function = action.function;
    let failed = |what: String| Failure(format!("action at {function}: {what}"));
    let bytes =
        trusted::call_wrapper(function, &action.args).map_err(|error| failed(error.to_string()))?;
    let SpsError(outcome) = sps::decode(&bytes).map_err(|error| {
        Failure(format!(
            "action at {function} returned no SPS error: {error}"
        ))
    })?;
    outcome.map_err(failed)
}
