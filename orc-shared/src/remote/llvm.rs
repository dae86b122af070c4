//! The services of LLVM 22's executor, by the names that its controllers look for.
//!
//! In LLVM's executor they are addresses of functions; in ours, numbers (see
//! [`services`](super::services)). The types are those of
//! `llvm/ExecutionEngine/Orc/Shared/OrcRTBridge.h` and `TargetProcessControlTypes.h`.

use super::services::numbered;

/// Name of the function through which linked code calls the controller: an address, because linked
/// code calls it.
pub const DISPATCH_FUNCTION: &str = "__llvm_orc_SimpleRemoteEPC_dispatch_fn";
/// Name of that function's first argument.
pub const DISPATCH_CONTEXT: &str = "__llvm_orc_SimpleRemoteEPC_dispatch_ctx";

/// First number of LLVM's services.
const FIRST: u64 = 0x400;

numbered! {
    /// A service under LLVM's name, or the instance that its first argument names. An instance's
    /// number is no service: its value is what a call passes on.
    pub enum LlvmService from FIRST {
        /// `i64(Addr main, Seq<String> args)`.
        RunAsMain = "__llvm_orc_bootstrap_run_as_main_wrapper",
        /// `i32(Addr function)`.
        RunAsVoidFunction = "__llvm_orc_bootstrap_run_as_void_function_wrapper",
        /// `i32(Addr function, i32 argument)`.
        RunAsIntFunction = "__llvm_orc_bootstrap_run_as_int_function_wrapper",
        /// `void(Seq<(Addr, u8)>)`.
        WriteUInt8s = "__llvm_orc_bootstrap_mem_write_uint8s_wrapper",
        /// `void(Seq<(Addr, u16)>)`.
        WriteUInt16s = "__llvm_orc_bootstrap_mem_write_uint16s_wrapper",
        /// `void(Seq<(Addr, u32)>)`.
        WriteUInt32s = "__llvm_orc_bootstrap_mem_write_uint32s_wrapper",
        /// `void(Seq<(Addr, u64)>)`.
        WriteUInt64s = "__llvm_orc_bootstrap_mem_write_uint64s_wrapper",
        /// `void(Seq<(Addr, Addr)>)`.
        WritePointers = "__llvm_orc_bootstrap_mem_write_pointers_wrapper",
        /// `void(Seq<(Addr, Seq<u8>)>)`.
        WriteBuffers = "__llvm_orc_bootstrap_mem_write_buffers_wrapper",
        /// `Seq<u8>(Seq<Addr>)`.
        ReadUInt8s = "__llvm_orc_bootstrap_mem_read_uint8s_wrapper",
        /// `Seq<u16>(Seq<Addr>)`.
        ReadUInt16s = "__llvm_orc_bootstrap_mem_read_uint16s_wrapper",
        /// `Seq<u32>(Seq<Addr>)`.
        ReadUInt32s = "__llvm_orc_bootstrap_mem_read_uint32s_wrapper",
        /// `Seq<u64>(Seq<Addr>)`.
        ReadUInt64s = "__llvm_orc_bootstrap_mem_read_uint64s_wrapper",
        /// `Seq<Addr>(Seq<Addr>)`.
        ReadPointers = "__llvm_orc_bootstrap_mem_read_pointers_wrapper",
        /// `Seq<Seq<u8>>(Seq<(Addr, u64 size)>)`.
        ReadBuffers = "__llvm_orc_bootstrap_mem_read_buffers_wrapper",
        /// `Seq<String>(Seq<Addr>)`.
        ReadStrings = "__llvm_orc_bootstrap_mem_read_strings_wrapper",
        /// Instance of the memory manager.
        MemoryManager = "__llvm_orc_SimpleExecutorMemoryManager_Instance",
        /// `Expected<Addr>(Addr instance, u64 size)`.
        Reserve = "__llvm_orc_SimpleExecutorMemoryManager_reserve_wrapper",
        /// `Expected<Addr key>(Addr instance, FinalizeRequest)`.
        Initialize = "__llvm_orc_SimpleExecutorMemoryManager_initialize_wrapper",
        /// `Error(Addr instance, Seq<Addr key>)`.
        Deinitialize = "__llvm_orc_SimpleExecutorMemoryManager_deinitialize_wrapper",
        /// `Error(Addr instance, Seq<Addr base>)`.
        ReleaseReserved = "__llvm_orc_SimpleExecutorMemoryManager_release_wrapper",
        /// Instance of the manager of native libraries.
        DylibManager = "__llvm_orc_SimpleExecutorDylibManager_Instance",
        /// `Expected<Addr handle>(Addr instance, String path, u64 mode)`.
        OpenDylib = "__llvm_orc_SimpleExecutorDylibManager_open_wrapper",
        /// `Expected<Seq<Optional<SymbolDef>>>(Addr handle, Seq<(String name, bool required)>)`.
        ResolveSymbols = "__llvm_orc_SimpleExecutorDylibManager_resolve_wrapper",
        /// Instance of the shared memory mapper.
        SharedMemory = "__llvm_orc_ExecutorSharedMemoryMapperService_Instance",
        /// `Expected<(Addr base, String name)>(Addr instance, u64 size)`.
        SharedMemoryReserve = "__llvm_orc_ExecutorSharedMemoryMapperService_Reserve",
        /// `Expected<Addr key>(Addr instance, Addr base, SharedMemoryFinalizeRequest)`.
        SharedMemoryInitialize = "__llvm_orc_ExecutorSharedMemoryMapperService_Initialize",
        /// `Error(Addr instance, Seq<Addr key>)`.
        SharedMemoryDeinitialize = "__llvm_orc_ExecutorSharedMemoryMapperService_Deinitialize",
        /// `Error(Addr instance, Seq<Addr base>)`.
        SharedMemoryRelease = "__llvm_orc_ExecutorSharedMemoryMapperService_Release",
        /// Allocation action, `Error(Range eh_frame)`.
        RegisterFrames = "llvm_orc_registerEHFrameAllocAction",
        /// Allocation action, `Error(Range eh_frame)`.
        DeregisterFrames = "llvm_orc_deregisterEHFrameAllocAction",
        /// Allocation action, `Error(Range object, bool notify)`.
        RegisterDebugObject = "llvm_orc_registerJITLoaderGDBAllocAction",
    }
}
