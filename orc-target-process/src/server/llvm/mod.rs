//! The services of LLVM 22's executor, by the names and types that its controllers expect.

mod access;
mod dylibs;
mod memory;
mod shared_memory;

use std::sync::Arc;

use orc_shared::ExecutorAddr;
use orc_shared::remote::llvm::LlvmService;

use self::dylibs::Dylibs;
use self::memory::SimpleMemory;
use self::shared_memory::SharedMemory;
use super::budget::Budget;
use super::connection::Message;
use super::services::{Arguments, Violation};
use super::session::Session;
use crate::executor::registration::{deregister_frames, register_debug_object, register_frames};
use crate::executor::trust::Trust;

/// The services that there are.
pub(super) const SERVICES: &[LlvmService] = LlvmService::ALL;

/// What the services keep.
pub(super) struct Llvm {
    memory: SimpleMemory,
    shared: SharedMemory,
    dylibs: Dylibs,
}

impl Llvm {
    pub(super) fn new(budget: Arc<Budget>, trust: Trust) -> Self {
        Self {
            memory: SimpleMemory::new(Arc::clone(&budget), trust),
            shared: SharedMemory::new(budget, trust),
            dylibs: Dylibs::default(),
        }
    }

    /// Whether there was memory, and all of it is released.
    pub(super) fn is_used_up(&self) -> bool {
        self.memory.is_used_up() || self.shared.is_used_up()
    }
}

/// Serves a call of one of LLVM's services. `None` if it is none.
pub(super) fn answer(session: &Arc<Session>, call: &Message) -> Option<Result<Vec<u8>, Violation>> {
    let service = LlvmService::from_tag(call.tag)?;
    let arguments = Arguments {
        name: service.name(),
        bytes: &call.body,
    };
    let llvm = &session.llvm;
    let trust = session.trust;
    let limits = &session.settings.limits;
    let largest = limits.max_message;
    // The instances: their numbers are checked nowhere, because each manager has one.
    type Instance = ExecutorAddr;
    Some(match service {
        LlvmService::RunAsMain => arguments.plain(|(main, args): (_, Vec<&[u8]>)| -> i64 {
            trust.run_as_main(main, &args).into()
        }),
        LlvmService::RunAsVoidFunction => {
            arguments.plain(|function| trust.run_as_void_function(function))
        }
        LlvmService::RunAsIntFunction => {
            arguments.plain(|(function, argument)| trust.run_as_int_function(function, argument))
        }
        LlvmService::WriteUInt8s => arguments.plain(|it| access::write_values::<u8>(trust, it)),
        LlvmService::WriteUInt16s => arguments.plain(|it| access::write_values::<u16>(trust, it)),
        LlvmService::WriteUInt32s => arguments.plain(|it| access::write_values::<u32>(trust, it)),
        LlvmService::WriteUInt64s => arguments.plain(|it| access::write_values::<u64>(trust, it)),
        LlvmService::WritePointers => {
            arguments.plain(|it| access::write_values::<ExecutorAddr>(trust, it))
        }
        LlvmService::WriteBuffers => arguments.plain(|it| access::write_buffers(trust, it)),
        LlvmService::ReadUInt8s => arguments.plain(|it| access::read_values::<u8>(trust, it)),
        LlvmService::ReadUInt16s => arguments.plain(|it| access::read_values::<u16>(trust, it)),
        LlvmService::ReadUInt32s => arguments.plain(|it| access::read_values::<u32>(trust, it)),
        LlvmService::ReadUInt64s => arguments.plain(|it| access::read_values::<u64>(trust, it)),
        LlvmService::ReadPointers => {
            arguments.plain(|it| access::read_values::<ExecutorAddr>(trust, it))
        }
        LlvmService::ReadBuffers => access::read_buffers(trust, &arguments, largest),
        LlvmService::ReadStrings => access::read_strings(trust, &arguments, largest),
        LlvmService::Reserve => {
            arguments.expected(|(_, size): (Instance, u64)| llvm.memory.reserve(size))
        }
        LlvmService::Initialize => {
            arguments.expected(|(_, request): (Instance, _)| llvm.memory.initialize(request))
        }
        LlvmService::Deinitialize => arguments
            .error(|(_, keys): (Instance, Vec<ExecutorAddr>)| llvm.memory.deinitialize(&keys)),
        LlvmService::ReleaseReserved => {
            arguments.error(|(_, bases): (Instance, Vec<ExecutorAddr>)| llvm.memory.release(&bases))
        }
        LlvmService::OpenDylib => {
            arguments.expected(|(_, path, _): (Instance, &str, u64)| llvm.dylibs.open(path))
        }
        LlvmService::ResolveSymbols => {
            arguments.expected(|(handle, names): (_, Vec<(&[u8], bool)>)| {
                llvm.dylibs.resolve(handle, &names)
            })
        }
        LlvmService::SharedMemoryReserve => {
            arguments.expected(|(_, size): (Instance, u64)| llvm.shared.reserve(size))
        }
        LlvmService::SharedMemoryInitialize => arguments
            .expected(|(_, base, request): (Instance, _, _)| llvm.shared.initialize(base, request)),
        LlvmService::SharedMemoryDeinitialize => arguments
            .error(|(_, keys): (Instance, Vec<ExecutorAddr>)| llvm.shared.deinitialize(&keys)),
        LlvmService::SharedMemoryRelease => {
            arguments.error(|(_, bases): (Instance, Vec<ExecutorAddr>)| llvm.shared.release(&bases))
        }
        LlvmService::RegisterFrames => arguments.error(register_frames),
        LlvmService::DeregisterFrames => arguments.error(deregister_frames),
        LlvmService::RegisterDebugObject => arguments.error(register_debug_object),
        LlvmService::MemoryManager | LlvmService::DylibManager | LlvmService::SharedMemory => {
            Err(Violation(format!("{} is no service", service.name())))
        }
    })
}
