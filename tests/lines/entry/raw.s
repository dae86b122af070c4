# Writes its arguments but its name, one environment variable and a value of the auxiliary vector, from the stack that
# a process starts with.
.globl _start
.text
_start:
    mov (%rsp), %r12            # argc
    lea 8(%rsp), %r13           # argv
    mov %rsp, %rax
    and $15, %rax
    jnz bad                     # the stack is aligned
    test %rdx, %rdx
    mov %r12, %r14
    add $8, %r13                # its name differs from run to run
    dec %r14
1:  test %r14, %r14
    jz 2f
    mov (%r13), %rsi
    call write_line
    add $8, %r13
    dec %r14
    jmp 1b
2:  cmpq $0, (%r13)             # a null pointer ends the arguments
    jne bad
    add $8, %r13
3:  mov (%r13), %rsi            # the environment
    add $8, %r13
    test %rsi, %rsi
    jz 4f
    cmpl $0x59414c50, (%rsi)    # "PLAY"
    jne 3b
    call write_line
    jmp 3b
4:  mov (%r13), %rax            # the auxiliary vector
    mov 8(%r13), %rdx
    add $16, %r13
    test %rax, %rax
    jz bad
    cmp $6, %rax                # AT_PAGESZ
    jne 4b
    cmp $4096, %rdx
    jne bad
    mov $231, %eax               # exit_group(argc + 40)
    lea 40(%r12), %rdi
    syscall
bad:
    mov $231, %eax
    mov $99, %edi
    syscall
write_line:
    xor %edx, %edx
5:  cmpb $0, (%rsi,%rdx)
    je 6f
    inc %rdx
    jmp 5b
6:  mov $1, %eax
    mov $1, %edi
    syscall
    lea newline(%rip), %rsi
    mov $1, %edx
    mov $1, %eax
    mov $1, %edi
    syscall
    ret
.section .rodata
newline: .ascii "\n"
.section .note.GNU-stack,"",@progbits
