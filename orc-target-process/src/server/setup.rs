//! The first message: who the executor is, and what it offers.

use orc_shared::ExecutorAddr;
use orc_shared::remote::Setup;
use orc_shared::remote::llvm::{DISPATCH_CONTEXT, DISPATCH_FUNCTION};
use orc_shared::remote::services::{EXIT_SERVICES, Service, VERSION, values};
use orc_shared::sps::{SpsEncode, encode};

use super::{Limits, llvm};
use crate::executor::LocalExecutor;
use crate::executor::dispatch::Dispatcher;
use crate::host;

/// The body of the setup message.
pub(super) fn setup(dispatcher: &Dispatcher, descriptors: bool, limits: &Limits) -> Setup {
    let dispatch = [
        (DISPATCH_FUNCTION, Dispatcher::function()),
        (DISPATCH_CONTEXT, dispatcher.context()),
        (EXIT_SERVICES, LocalExecutor::exit_services()),
    ];
    let llvm = llvm::SERVICES.iter().map(|it| (it.name(), it.tag()));
    let ours = Service::ALL.iter().map(|it| (it.name(), it.tag()));
    let symbols = dispatch.into_iter().chain(llvm).chain(ours);
    let named = |(name, tag): (&str, ExecutorAddr)| (name.to_owned(), tag);
    Setup {
        triple: host::process::target_triple(),
        page_size: host::pages::page_size(),
        values: vec![
            value(values::VERSION, &VERSION),
            value(values::BOOT_ID, host::process::boot_id().as_str()),
            value(values::MOUNTS, host::process::mount_namespace().as_str()),
            value(values::PID, &u64::from(std::process::id())),
            value(values::CAPABILITIES, &LocalExecutor::capabilities()),
            value(values::DESCRIPTORS, &descriptors),
            value(values::MAX_MESSAGE, &limits.max_message),
            value(values::DEBUGGED, &host::debugger::is_attached()),
            value(values::MAX_CALLS, &(limits.max_calls as u64)),
        ],
        symbols: symbols.map(named).collect(),
    }
}

fn value<T: SpsEncode + ?Sized>(name: &str, value: &T) -> (String, Vec<u8>) {
    (name.to_owned(), encode(value))
}
