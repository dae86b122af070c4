# Defines no symbol of that name: its own name is its signature.
        .section .gnu.linkonce.t.shared,"ax",@progbits
        .globl  other
other:  mov     $55, %eax
        ret
        .text
        .globl  user
user:   jmp     other
        .section .note.GNU-stack,"",@progbits
