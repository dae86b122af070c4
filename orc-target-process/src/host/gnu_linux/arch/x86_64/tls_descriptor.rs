//! The function of TLS descriptors whose second word is the address of a pair for `__tls_get_addr`.
//!
//! It is called as `lea x@tlsdesc(%rip), %rax; call *(%rax)`, and returns the variable's offset from the
//! thread pointer in `%rax`. All other registers are as before, vector registers included, which
//! `__tls_get_addr` uses when it makes a thread's copy. The stack is aligned as for any call.

use std::arch::{global_asm, x86_64::__cpuid_count};
use std::sync::atomic::{AtomicU64, Ordering};

/// `__tls_get_addr`.
static GET_ADDRESS: AtomicU64 = AtomicU64::new(0);
/// Bytes that the processor needs to save all that the system has enabled.
static STATE_SIZE: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" {
    fn orc_target_process_tls_descriptor();
    fn orc_target_process_tls_descriptor_fxsave();
}

/// The function for this processor; `get_address` is `__tls_get_addr`.
pub(crate) fn function(get_address: u64) -> Option<*const ()> {
    GET_ADDRESS.store(get_address, Ordering::Release);
    if !std::arch::is_x86_feature_detected!("xsave") {
        return Some(orc_target_process_tls_descriptor_fxsave as *const ());
    }
    // EBX: bytes for what is enabled now.
    let size = __cpuid_count(0xd, 0).ebx;
    STATE_SIZE.store(size.into(), Ordering::Release);
    Some(orc_target_process_tls_descriptor as *const ())
}

// Registers that a function may change are saved: vectors and what else is enabled by `xsave`, of
// whose area the header has to be zero, the others on the stack.
macro_rules! descriptor_function {
    ($name:literal, $save:literal, $restore:literal $(, $state_size:ident)?) => {
        global_asm!(
            concat!(
                ".pushsection .text.", $name, ",\"ax\",@progbits\n",
                ".p2align 4\n.globl ", $name, "\n.hidden ", $name, "\n",
                ".type ", $name, ",@function\n",
                $name, ":\n.cfi_startproc\nendbr64\n",
                "push rbp\n.cfi_def_cfa_offset 16\n.cfi_offset rbp, -16\n",
                "mov rbp, rsp\n.cfi_def_cfa_register rbp\n",
                "push rdi\npush rsi\npush rdx\npush rcx\npush r8\npush r9\npush r10\npush r11\n",
                "mov rdi, [rax + 8]\n",
                $save,
                "call [rip + {get_address}]\n",
                "sub rax, fs:[0]\n",
                $restore,
                "lea rsp, [rbp - 64]\n",
                "pop r11\npop r10\npop r9\npop r8\npop rcx\npop rdx\npop rsi\npop rdi\npop rbp\n",
                ".cfi_def_cfa rsp, 8\nret\n.cfi_endproc\n",
                ".size ", $name, ", .-", $name, "\n.popsection\n",
            ),
            get_address = sym GET_ADDRESS,
            $(state_size = sym $state_size,)?
        );
    };
}

descriptor_function!(
    "orc_target_process_tls_descriptor",
    "sub rsp, [rip + {state_size}]
     and rsp, -64
     xor eax, eax
     mov [rsp + 512], rax
     mov [rsp + 520], rax
     mov [rsp + 528], rax
     mov [rsp + 536], rax
     mov [rsp + 544], rax
     mov [rsp + 552], rax
     mov [rsp + 560], rax
     mov [rsp + 568], rax
     mov eax, -1
     mov edx, -1
     xsave64 [rsp]\n",
    "mov rsi, rax
     mov eax, -1
     mov edx, -1
     xrstor64 [rsp]
     mov rax, rsi\n",
    STATE_SIZE
);

descriptor_function!(
    "orc_target_process_tls_descriptor_fxsave",
    "sub rsp, 512
     and rsp, -64
     fxsave64 [rsp]\n",
    "fxrstor64 [rsp]\n"
);
