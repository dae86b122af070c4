// Builds a function, optimizes it, and compiles it to an object in memory.
#include <llvm-c/Core.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdio.h>

int main(void) {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMContextRef context = LLVMContextCreate();
    LLVMModuleRef module = LLVMModuleCreateWithNameInContext("sums", context);
    LLVMTypeRef number = LLVMInt64TypeInContext(context);
    LLVMTypeRef numbers[] = {number, number};
    LLVMValueRef function =
        LLVMAddFunction(module, "weighted", LLVMFunctionType(number, numbers, 2, 0));
    LLVMBuilderRef builder = LLVMCreateBuilderInContext(context);
    LLVMPositionBuilderAtEnd(builder, LLVMAppendBasicBlockInContext(context, function, "entry"));
    LLVMValueRef sum = LLVMBuildAdd(
        builder, LLVMBuildMul(builder, LLVMGetParam(function, 0), LLVMConstInt(number, 3, 0), ""),
        LLVMGetParam(function, 1), "");
    LLVMBuildRet(builder, sum);

    char *message = NULL;
    LLVMTargetRef target;
    const char *triple = "x86_64-unknown-linux-gnu";
    if (LLVMGetTargetFromTriple(triple, &target, &message)) return 1;
    LLVMTargetMachineRef machine =
        LLVMCreateTargetMachine(target, triple, "x86-64", "", LLVMCodeGenLevelDefault,
                                LLVMRelocPIC, LLVMCodeModelDefault);
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    if (LLVMRunPasses(module, "default<O2>", machine, options)) return 2;
    LLVMMemoryBufferRef object;
    if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, LLVMObjectFile, &message, &object))
        return 3;
    printf("%zu bytes\n", LLVMGetBufferSize(object));
    LLVMDisposeMemoryBuffer(object);
    LLVMDisposePassBuilderOptions(options);
    LLVMDisposeTargetMachine(machine);
    LLVMDisposeBuilder(builder);
    LLVMDisposeModule(module);
    LLVMContextDispose(context);
    return 0;
}
