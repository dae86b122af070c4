// LLVM's controller with our runtime: a function that is called often asks for a better version of itself.
#include <cstdio>

#include <llvm/ExecutionEngine/Orc/JITLinkRedirectableSymbolManager.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h>
#include <llvm/ExecutionEngine/Orc/ReOptimizeLayer.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/TargetSelect.h>

using namespace llvm;
using namespace llvm::orc;

static ExitOnError check("reoptimize: ");

/// `int answer(void)`, which returns a number.
static ThreadSafeModule module(int number) {
    auto context = std::make_unique<LLVMContext>();
    auto made = std::make_unique<Module>("answer", *context);
    auto *type = FunctionType::get(Type::getInt32Ty(*context), false);
    auto *function = Function::Create(type, Function::ExternalLinkage, "answer", made.get());
    IRBuilder<> builder(BasicBlock::Create(*context, "", function));
    builder.CreateRet(builder.getInt32(number));
    return ThreadSafeModule(std::move(made), std::move(context));
}

/// Lets `answer` return another number.
static void change(Module &changed, int number) {
    for (Instruction &instruction : instructions(*changed.getFunction("answer")))
        if (auto *ret = dyn_cast<ReturnInst>(&instruction))
            ret->setOperand(0, ConstantInt::get(Type::getInt32Ty(changed.getContext()), number));
}

int main(int, char **argv) {
    InitializeNativeTarget();
    InitializeNativeTargetAsmPrinter();
    auto jit = check(LLJITBuilder()
                         .setObjectLinkingLayerCreator([](ExecutionSession &session) {
                             return std::make_unique<ObjectLinkingLayer>(session);
                         })
                         .setPlatformSetUp(ExecutorNativePlatform(argv[1]))
                         .create());
    auto &linking = static_cast<ObjectLinkingLayer &>(jit->getObjLinkingLayer());
    auto stubs = check(JITLinkRedirectableSymbolManager::Create(linking));
    DataLayout layout = jit->getDataLayout();
    ReOptimizeLayer layer(jit->getExecutionSession(), layout, jit->getIRTransformLayer(), *stubs);
    check(layer.registerRuntimeFunctions(*jit->getPlatformJITDylib()));
    int versions = 0;
    layer.setReoptimizeFunc([&](ReOptimizeLayer &, uint64_t, unsigned version, ResourceTrackerSP, ThreadSafeModule &better) {
        versions = version + 1;
        better.withModuleDo([&](Module &it) { change(it, 100 + versions); });
        return Error::success();
    });
    auto made = module(42);
    made.withModuleDo([&](Module &it) { it.setDataLayout(layout); });
    check(layer.add(jit->getMainJITDylib().createResourceTracker(), std::move(made)));
    auto answer = check(jit->lookup("answer")).toPtr<int (*)()>();
    int first = answer(), last = first;
    for (int call = 0; call < 40; call++)
        last = answer();
    std::printf("%d, then %d, of version %d\n", first, last, versions);
    return 0;
}
