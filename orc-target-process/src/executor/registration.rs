//! What allocation actions and LLVM's controllers tell the process of: frames and debug objects.

use std::collections::HashMap;
use std::sync::LazyLock;

use orc_shared::{ExecutorAddr, ExecutorAddrRange};
use parking_lot::Mutex;

use super::Failure;
use crate::host::debugger::{self, ShownObject};
use crate::host::unwinder::RegisteredFrames;

/// Sections of frames that are registered, by address.
static FRAMES: LazyLock<Mutex<HashMap<u64, RegisteredFrames>>> = LazyLock::new(Mutex::default);

/// Object files that debuggers are shown, by an address of the code that they tell of.
static SHOWN: LazyLock<Mutex<HashMap<u64, ShownObject>>> = LazyLock::new(Mutex::default);

/// Makes an `.eh_frame` section known to the process's unwinder.
pub(crate) fn register_frames(section: ExecutorAddrRange) -> Result<(), Failure> {
    let start = section.start.value();
    let registered = RegisteredFrames::new(start, std::iter::empty);
    let registered = registered.ok_or_else(|| {
        Failure("the process has no unwinder that takes sections of frames".to_owned())
    })?;
    FRAMES.lock().insert(start, registered);
    Ok(())
}

/// Takes an `.eh_frame` section back.
pub(crate) fn deregister_frames(section: ExecutorAddrRange) -> Result<(), Failure> {
    match FRAMES.lock().remove(&section.start.value()) {
        Some(registered) => {
            drop(registered);
            Ok(())
        }
        None => Err(Failure(format!(
            "no frames are registered at {}",
            section.start
        ))),
    }
}

/// Tells a debugger of an object file that lies in memory, through the interface that debuggers look
/// for (`__jit_debug_descriptor`). A process without it has nobody to tell.
pub(crate) fn register_debug_object(
    (object, notify): (ExecutorAddrRange, bool),
) -> Result<(), Failure> {
    debugger::register(object, notify);
    Ok(())
}

/// Shows an object file to debuggers: the process keeps a copy.
pub(crate) fn show_to_debuggers((key, object): (ExecutorAddr, &[u8])) -> Result<(), Failure> {
    let shown = ShownObject::new(object.into());
    let before = SHOWN.lock().insert(key.value(), shown);
    // That of code which is gone by now.
    drop(before);
    Ok(())
}

/// Takes an object file back.
pub(crate) fn hide_from_debuggers(key: ExecutorAddr) -> Result<(), Failure> {
    let shown = SHOWN.lock().remove(&key.value());
    match shown {
        Some(shown) => {
            drop(shown);
            Ok(())
        }
        None => Err(Failure(format!(
            "no object file is shown to debuggers for {key}"
        ))),
    }
}
