//! Calls that go with an allocation.

use orc_shared::AllocAction;
use orc_shared::remote::llvm::LlvmService;
use orc_shared::remote::services::Action;
use orc_shared::sps::{self, SpsError};

use super::Failure;
use super::calls::Calls;
use super::registration::{
    deregister_frames, hide_from_debuggers, register_debug_object, register_frames,
    show_to_debuggers,
};
#[cfg(feature = "llvm")]
use super::trust::Trust;
use crate::host::debugger::keep_mapped_code_in_core_files;

/// Makes an action's call and reads the SPS error that it returns.
pub(super) fn run(action: &AllocAction, calls: &Calls) -> Result<(), Failure> {
    let function = action.function;
    let failed = |what: String| Failure(format!("action at {function}: {what}"));
    let services = (Action::from_tag(function), LlvmService::from_tag(function));
    let outcome = match services {
        (Some(own), _) => run_own(own, &action.args, calls)?,
        (None, Some(service)) => run_service(service, &action.args)?,
        (None, None) => {
            let bytes = calls
                .wrapper(function, &action.args)
                .map_err(|error| failed(error.to_string()))?;
            let SpsError(outcome) = sps::decode(&bytes).map_err(|error| {
                Failure(format!(
                    "action at {function} returned no SPS error: {error}"
                ))
            })?;
            outcome
        }
    };
    outcome.map_err(failed)
}

/// Makes the call of an action of ours.
fn run_own(action: Action, args: &[u8], calls: &Calls) -> Result<Result<(), String>, Failure> {
    let unreadable = unreadable(action.name());
    let outcome = match action {
        Action::ShowToDebuggers => {
            // Its controller may have had code mapped from a file.
            if let Calls::Trusted(_) = calls {
                keep_mapped_code_in_core_files();
            }
            show_to_debuggers(sps::decode(args).map_err(unreadable)?)
        }
        Action::HideFromDebuggers => hide_from_debuggers(sps::decode(args).map_err(unreadable)?),
    };
    Ok(outcome.map_err(|failure| failure.0))
}

/// The failure of an action whose arguments are not what they have to be.
fn unreadable(name: &str) -> impl Fn(sps::SpsDecodeError) -> Failure {
    move |error| Failure(format!("arguments of action {name}: {error}"))
}

/// Makes the call of an action that is a service of this process.
fn run_service(service: LlvmService, args: &[u8]) -> Result<Result<(), String>, Failure> {
    let name = service.name();
    let unreadable = unreadable(name);
    let outcome = match service {
        LlvmService::RegisterFrames => register_frames(sps::decode(args).map_err(unreadable)?),
        LlvmService::DeregisterFrames => deregister_frames(sps::decode(args).map_err(unreadable)?),
        LlvmService::RegisterDebugObject => {
            register_debug_object(sps::decode(args).map_err(unreadable)?)
        }
        _ => return Err(Failure(format!("{name} is no action of an allocation"))),
    };
    Ok(outcome.map_err(|failure| failure.0))
}

/// Makes the call of an action for a controller that is trusted.
#[cfg(feature = "llvm")]
pub(crate) fn run_trusted(action: &AllocAction, trust: Trust) -> Result<(), Failure> {
    run(action, &Calls::Trusted(trust))
}
