// Drives the runtime as a controller does. Each mode checks one of its promises; what it prints is
// compared by runtime.rs.

#include "controller.hpp"

#include <atomic>
#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

char dispatchContext;
asm(".globl __orc_rt_jit_dispatch_ctx\n.set __orc_rt_jit_dispatch_ctx, dispatchContext");

extern "C" WrapperResult __orc_rt_jit_dispatch(void *context, const void *tag, const char *data,
                                               size_t size) {
  if (context != &dispatchContext)
    std::abort();
  WrapperResult result{};
  auto handler = handlers.find(tag);
  if (handler == handlers.end()) {
    result.pointer = strdup("no handler");
    return result;
  }
  Packer answer = handler->second(std::string(data, size));
  result.size = answer.bytes.size();
  char *to = result.bytes;
  if (result.size > 8)
    to = result.pointer = static_cast<char *>(malloc(result.size));
  memcpy(to, answer.bytes.data(), result.size);
  return result;
}

namespace {

using Function = void (*)();

Header platform;

void print(const char *text) {
  std::printf("%s\n", text);
  std::fflush(stdout);
}

void printArgument(void *text) { print(static_cast<const char *>(text)); }

void atExit(const char *text, Header &dylib) {
  __orc_rt_elfnix_cxa_atexit(printArgument, const_cast<char *>(text), &dylib);
}

void atThreadExit(const char *text, Header &dylib) {
  __cxa_thread_atexit(printArgument, const_cast<char *>(text), &dylib);
}

void addDylib(const char *name, Header &header) {
  mustSucceed(__orc_rt_elfnix_register_jitdylib, Packer().string(name).addr(&header));
}

template <size_t N> void addInits(Header &header, Function (&functions)[N]) {
  mustSucceed(__orc_rt_elfnix_register_init_sections,
              Packer().addr(&header).u64(1).range(functions, functions + N));
}

template <size_t N> void addFinis(Header &header, Function (&functions)[N]) {
  mustSucceed(__orc_rt_ext_elfnix_register_fini_sections,
              Packer().addr(&header).u64(1).range(functions, functions + N));
}

// ---- A program, run as the C library's start-up code would.

Header program;

void initWithArguments(int argc, char **argv, char **envp) {
  std::printf("init: %d %s %s, environment %s\n", argc, argv[0], argv[1],
              envp == environ ? "same" : "different");
  atExit("exit handler of an initializer", program);
}

Function programInits[] = {reinterpret_cast<Function>(initWithArguments),
                           reinterpret_cast<Function>(-1), nullptr,
                           [] { print("second init"); }};
Function programFinis[] = {[] { print("first fini runs last"); },
                           [] { print("last fini runs first"); }};

std::string programMode;

int programMain(int argc, char **argv, char **) {
  std::printf("main: %d %s\n", argc, argv[argc - 1]);
  atThreadExit("thread-local of main", program);
  atExit("exit handler of main", program);
  __orc_rt_elfnix_cxa_atexit(
      [](void *) {
        print("exit handler that registers another");
        atExit("the other", program);
      },
      nullptr, &program);
  if (programMode == "exit")
    std::exit(4);
  if (programMode == "exit-in-thread")
    std::thread([] {
      atThreadExit("thread-local of the exiting thread", program);
      std::exit(5);
    }).join();
  if (programMode == "fork") {
    std::fflush(stdout);
    pid_t child = fork();
    if (child == 0)
      return 6;
    int status = 0;
    waitpid(child, &status, 0);
    std::printf("child: %d\n", WEXITSTATUS(status));
  }
  if (programMode == "pthread-exit") {
    std::thread([] {
      usleep(50'000);
      print("the last thread");
    }).detach();
    pthread_exit(nullptr);
  }
  return 3;
}

int runProgram(const std::string &mode, bool thenExit) {
  programMode = mode;
  std::atexit([] { print("exit handler of the host"); });
  addDylib("program", program);
  addInits(program, programInits);
  addFinis(program, programFinis);
  std::string result = call(__orc_rt_ext_elfnix_run_main,
                            Packer()
                                .addr(&program)
                                .u64(0)
                                .addr(reinterpret_cast<void *>(programMain))
                                .strings({"./program", "argument"})
                                .u8(thenExit)
                                .u8(0));
  std::printf("returned %d\n", static_cast<int>(asU64(result, 1)));
  return 0;
}

// ---- Dylibs, opened and closed.

Header top, left, right, bottom;

Function topInits[] = {[] {
  print("+ top");
  atExit("- top's handler", top);
}};
Function leftInits[] = {[] { print("+ left"); }};
Function rightInits[] = {[] {
  print("+ right");
  // A constructor that opens a dylib itself.
  std::printf("nested open %s\n", __orc_rt_elfnix_jit_dlopen("bottom", 0) ? "works" : "fails");
}};
Function bottomInits[] = {[] { print("+ bottom"); }};
Function bottomUpdate[] = {[] { print("+ bottom's new initializer"); }};
Function topFinis[] = {[] { print("- top"); }};
Function leftFinis[] = {[] { print("- left"); }};
Function rightFinis[] = {[] { print("- right"); }};
Function bottomFinis[] = {[] { print("- bottom"); }};

void answerLookups() {
  handlers[&__orc_rt_elfnix_push_initializers_tag] = [](const std::string &arguments) {
    Packer answer;
    answer.u8(1);
    if (asU64(arguments) != reinterpret_cast<uint64_t>(&top))
      return answer.u64(1).u64(asU64(arguments)).u64(0);
    // A diamond, with a cycle from the bottom to the top.
    answer.u64(4);
    answer.addr(&top).u64(2).addr(&left).addr(&right);
    answer.addr(&left).u64(1).addr(&bottom);
    answer.addr(&right).u64(1).addr(&bottom);
    return answer.addr(&bottom).u64(0);
  };
  handlers[&__orc_rt_elfnix_symbol_lookup_tag] = [](const std::string &arguments) {
    std::string name = arguments.substr(16);
    if (name != "known")
      return Packer().u8(0).string("there is no " + name);
    return Packer().u8(1).addr(&dispatchContext);
  };
}

int openAndClose() {
  answerLookups();
  addDylib("top", top);
  addDylib("left", left);
  addDylib("right", right);
  addDylib("bottom", bottom);
  addInits(top, topInits);
  addInits(left, leftInits);
  addInits(right, rightInits);
  addInits(bottom, bottomInits);
  addFinis(top, topFinis);
  addFinis(left, leftFinis);
  addFinis(right, rightFinis);
  addFinis(bottom, bottomFinis);

  void *handle = __orc_rt_elfnix_jit_dlopen("top", RTLD_NOW);
  std::printf("handle is %s\n", handle == &top ? "the header" : "something else");
  std::printf("again: %d\n", __orc_rt_elfnix_jit_dlopen("top", RTLD_NOW) == handle);
  addInits(bottom, bottomUpdate);
  std::printf("update: %d\n", __orc_rt_elfnix_jit_dlupdate(&bottom));
  std::printf("known: %d\n", __orc_rt_elfnix_jit_dlsym(handle, "known") == &dispatchContext);
  std::printf("unknown: %p\n", __orc_rt_elfnix_jit_dlsym(handle, "unknown"));
  std::printf("dlerror: %s\n", __orc_rt_elfnix_jit_dlerror());
  std::printf("dlerror is cleared: %d\n", __orc_rt_elfnix_jit_dlerror() == nullptr);
  std::printf("no such dylib: %p\n", __orc_rt_elfnix_jit_dlopen("nowhere", 0));
  std::printf("dlerror: %s\n", __orc_rt_elfnix_jit_dlerror());
  std::string any = call(__orc_rt_jit_dlerror_wrapper);
  std::printf("wrapper's dlerror: %s\n", any.substr(8).c_str());
  std::printf("close: %d\n", __orc_rt_elfnix_jit_dlclose(handle));
  print("closing for good");
  std::printf("close: %d\n", __orc_rt_elfnix_jit_dlclose(handle));
  std::printf("the nested opening is left: %d\n", __orc_rt_elfnix_jit_dlclose(&bottom));
  std::printf("close once too often: %d\n", __orc_rt_elfnix_jit_dlclose(handle));
  std::printf("dlerror: %s\n", __orc_rt_elfnix_jit_dlerror());
  print("open anew");
  __orc_rt_elfnix_jit_dlopen("bottom", 0);
  print("leaving");
  return 0;
}

// ---- What is taken back when code goes away.

Header library;

int forget() {
  addDylib("library", library);
  atExit("must not run: the dylib is gone", library);
  atExit("must not run: the runtime is gone", platform);
  atThreadExit("must not run: the dylib is gone", library);
  atThreadExit("must not run: the runtime is gone", platform);
  mustSucceed(__orc_rt_elfnix_deregister_jitdylib, Packer().addr(&library));
  mustSucceed(__orc_rt_elfnix_platform_shutdown);
  print("leaving");
  return 0;
}

char removedObject[] = "handler in the removed range";
char keptObject[] = "handler outside of it";

int finalizeRange() {
  addDylib("library", library);
  mustSucceed(__orc_rt_ext_elfnix_initialize, Packer().u64(1).addr(&library));
  __orc_rt_elfnix_cxa_atexit(printArgument, removedObject, &library);
  __orc_rt_elfnix_cxa_atexit(printArgument, keptObject, &library);
  __cxa_thread_atexit(printArgument, removedObject, &library);
  Packer range;
  range.addr(&library).u64(1).range(removedObject, removedObject + sizeof removedObject);
  std::string answer = call(__orc_rt_ext_elfnix_finalize_ranges, range);
  std::printf("threads pending in range: %d\n", static_cast<int>(asU64(answer, 1)));
  print("closing");
  answer = call(__orc_rt_ext_elfnix_close, Packer().addr(&library));
  std::printf("threads pending: %d\n", static_cast<int>(asU64(answer, 1)));
  print("leaving");
  return 0;
}

// The compiler's own entry stands before the plain finalizers and after the prioritized ones.
int markedFinalizers() {
  static Function prioritized[] = {[] { print("prioritized finalizer"); }};
  static Function plain[] = {[] { print("plain finalizer"); }};
  addDylib("library", library);
  mustSucceed(__orc_rt_ext_elfnix_register_fini_sections,
              Packer()
                  .addr(&library)
                  .u64(3)
                  .range(prioritized, prioritized + 1)
                  .range(plain, plain)
                  .range(plain, plain + 1));
  mustSucceed(__orc_rt_ext_elfnix_initialize, Packer().u64(1).addr(&library));
  atExit("exit handler", library);
  call(__orc_rt_ext_elfnix_close, Packer().addr(&library));
  return 0;
}

// ---- Bad requests are answered, not obeyed.

int badRequests() {
  auto show = [](const char *what, const std::string &error) {
    std::printf("%s: %s\n", what, error.c_str());
  };
  addDylib("library", library);
  Packer again = Packer().string("other").addr(&library);
  std::string error = errorOf(call(__orc_rt_elfnix_register_jitdylib, again));
  show("same header", error.substr(0, error.find(" its header")));
  show("truncated", errorOf(call(__orc_rt_elfnix_register_jitdylib, Packer().u64(1000))));
  error = errorOf(call(__orc_rt_elfnix_deregister_jitdylib, Packer().addr(nullptr)));
  show("unknown header", error);
  Packer frame = Packer().range(&library, &library + 1).u64(0).u64(0);
  error = errorOf(call(__orc_rt_elfnix_deregister_object_sections, frame));
  show("unknown frames", error.substr(0, error.find(" at ")));
  show("plain wrapper", call(__orc_rt_run_program_wrapper, Packer().u8(1)));
  Packer absent = Packer().string("absent").string("main").u64(0);
  std::printf("absent program: %d\n",
              static_cast<int>(asU64(call(__orc_rt_run_program_wrapper, absent))));
  return 0;
}

// ---- Forking while other threads hold the runtime's lock.

int forkUnderLoad() {
  addDylib("library", library);
  mustSucceed(__orc_rt_ext_elfnix_initialize, Packer().u64(1).addr(&library));
  std::atomic<bool> stop{false};
  // Takes the lock all the time. It registers nothing: the C library's own list of handlers is not
  // protected against forks.
  auto load = [&] {
    while (!stop)
      call(__orc_rt_jit_dlerror_wrapper);
  };
  std::thread first(load), second(load);
  int good = 0;
  for (int i = 0; i < 200; ++i) {
    pid_t child = fork();
    if (child == 0) {
      alarm(10);
      _exit(__orc_rt_elfnix_cxa_atexit([](void *) {}, nullptr, &library));
    }
    int status = 1;
    waitpid(child, &status, 0);
    good += status == 0;
  }
  stop = true;
  first.join();
  second.join();
  std::printf("%d children ended\n", good);
  return 0;
}

// ---- Thread-locals that the runtime hands out.

alignas(64) uint64_t threadData[8] = {0, 1, 2, 3, 4, 5, 6, 7};

struct TlsIndex {
  uint64_t key;
  void *address;
};

int threadLocals() {
  Packer sections = Packer().u64(0).u64(0).range(threadData, threadData + 8);
  mustSucceed(__orc_rt_elfnix_register_object_sections, sections);
  TlsIndex index{1, &threadData[3]};
  auto get = [&] { return static_cast<uint64_t *>(___orc_rt_elfnix_tls_get_addr(&index)); };
  *get() = 30;
  std::thread([&] {
    std::printf("thread: %d\n", static_cast<int>(*get()));
    *get() = 31;
  }).join();
  std::printf("main: %d, template: %d, aligned: %d\n", static_cast<int>(*get()),
              static_cast<int>(threadData[3]), reinterpret_cast<uint64_t>(get() - 3) % 64 == 0);
  mustSucceed(__orc_rt_elfnix_deregister_object_sections, sections);
  // The same addresses again: a new template with new copies.
  mustSucceed(__orc_rt_elfnix_register_object_sections, sections);
  std::printf("new: %d\n", static_cast<int>(*get()));
  mustSucceed(__orc_rt_elfnix_platform_shutdown);
  return 0;
}

// ---- Entry points that preserve registers.

struct alignas(64) Registers {
  uint64_t rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11;
  alignas(64) unsigned char vectors[16][64];
};

extern "C" Registers registersBefore, registersAfter;
Registers registersBefore, registersAfter;
extern "C" uint64_t callUnderTest, haveAvx512, stackMisaligned;
uint64_t callUnderTest, haveAvx512, stackMisaligned;

// Loads all registers, calls, stores all registers. A lazy call goes on at `landing`, which is where
// its registers are stored, so both ends use the same code.
asm(R"(
.text
.globl withRegisters
withRegisters:
  push %rbp
  push %rbx
  push %r12
  lea registersBefore(%rip), %rbx
  cmpq $0, haveAvx512(%rip)
  je 1f
  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    vmovdqa64 128+64*\n(%rbx), %zmm\n
  .endr
  jmp 2f
1:
  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    vmovdqa 128+64*\n(%rbx), %ymm\n
  .endr
2:
  mov 0(%rbx), %rax
  mov 8(%rbx), %rcx
  mov 16(%rbx), %rdx
  mov 24(%rbx), %rsi
  mov 32(%rbx), %rdi
  mov 40(%rbx), %r8
  mov 48(%rbx), %r9
  mov 56(%rbx), %r10
  mov 64(%rbx), %r11
  call *callUnderTest(%rip)
  call landing
  pop %r12
  pop %rbx
  pop %rbp
  ret

.globl landing
landing:
  push %rbx
  lea registersAfter(%rip), %rbx
  mov %rax, 0(%rbx)
  mov %rcx, 8(%rbx)
  mov %rdx, 16(%rbx)
  mov %rsi, 24(%rbx)
  mov %rdi, 32(%rbx)
  mov %r8, 40(%rbx)
  mov %r9, 48(%rbx)
  mov %r10, 56(%rbx)
  mov %r11, 64(%rbx)
  mov %rsp, %rbx
  and $15, %rbx
  mov %rbx, stackMisaligned(%rip)
  lea registersAfter(%rip), %rbx
  cmpq $0, haveAvx512(%rip)
  je 1f
  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    vmovdqa64 %zmm\n, 128+64*\n(%rbx)
  .endr
  jmp 2f
1:
  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    vmovdqa %ymm\n, 128+64*\n(%rbx)
  .endr
2:
  pop %rbx
  ret

# A lazy call's trampoline.
.globl trampoline
trampoline:
  call __orc_rt_sysv_reenter
)");
extern "C" void withRegisters(), landing(), trampoline();

// What a C library does to vector registers at any time.
void spoilVectors() {
  asm volatile("vzeroall" ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
               "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

void checkRegisters(const char *what, bool returnsInRax) {
  size_t width = haveAvx512 ? 64 : 32;
  bool same = memcmp(&registersBefore.rcx, &registersAfter.rcx, 8 * 7) == 0;
  same &= returnsInRax || registersBefore.rax == registersAfter.rax;
  for (size_t i = 0; i < 16; ++i)
    same &= memcmp(registersBefore.vectors[i], registersAfter.vectors[i], width) == 0;
  std::printf("%s: registers %s\n", what, same ? "kept" : "CHANGED");
}

int registers() {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx")) {
    print("lazy call: registers kept\nstack at the target: as after a call\n"
          "reoptimize: registers kept\ndescriptor: registers kept\noffset: right");
    return 0;
  }
  haveAvx512 = __builtin_cpu_supports("avx512f") != 0;
  auto *byte = reinterpret_cast<unsigned char *>(&registersBefore);
  for (size_t i = 0; i < sizeof registersBefore; ++i)
    byte[i] = static_cast<unsigned char>(i * 7 + 3);

  handlers[&__orc_rt_resolve_tag] = [](const std::string &arguments) {
    spoilVectors();
    if (asU64(arguments) != reinterpret_cast<uint64_t>(trampoline))
      std::abort();
    return Packer().u8(1).addr(reinterpret_cast<void *>(landing)).u8(0).u8(0);
  };
  callUnderTest = reinterpret_cast<uint64_t>(trampoline);
  // `landing` is reached twice: by the lazy call, and after it. Only the first matters for rax…r11,
  // which it changes no more than the second.
  withRegisters();
  checkRegisters("lazy call", false);
  std::printf("stack at the target: %s\n", stackMisaligned == 0 ? "as after a call" : "misaligned");

  handlers[&__orc_rt_reoptimize_tag] = [](const std::string &arguments) {
    spoilVectors();
    if (asU64(arguments) != registersBefore.rdi || arguments.size() != 12)
      std::abort();
    return Packer();
  };
  callUnderTest = reinterpret_cast<uint64_t>(__orc_rt_reoptimize);
  memset(&registersAfter, 0, sizeof registersAfter);
  withRegisters();
  checkRegisters("reoptimize", false);

  Packer sections = Packer().u64(0).u64(0).range(threadData, threadData + 8);
  mustSucceed(__orc_rt_elfnix_register_object_sections, sections);
  TlsIndex index{1, &threadData[2]};
  void *descriptor[2] = {reinterpret_cast<void *>(___orc_rt_elfnix_tlsdesc_resolver), &index};
  registersBefore.rax = reinterpret_cast<uint64_t>(descriptor);
  callUnderTest = reinterpret_cast<uint64_t>(descriptor[0]);
  memset(&registersAfter, 0, sizeof registersAfter);
  withRegisters();
  checkRegisters("descriptor", true);
  uint64_t threadPointer;
  asm("mov %%fs:0, %0" : "=r"(threadPointer));
  auto expected = reinterpret_cast<uint64_t>(___orc_rt_elfnix_tls_get_addr(&index));
  std::printf("offset: %s\n", threadPointer + registersAfter.rax == expected ? "right" : "wrong");
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  mustSucceed(__orc_rt_elfnix_platform_bootstrap, Packer().addr(&platform));
  std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "return")
    return runProgram(mode, false);
  if (mode == "open-and-close")
    return openAndClose();
  if (mode == "forget")
    return forget();
  if (mode == "finalize-range")
    return finalizeRange();
  if (mode == "marked-finalizers")
    return markedFinalizers();
  if (mode == "bad-requests")
    return badRequests();
  if (mode == "fork-under-load")
    return forkUnderLoad();
  if (mode == "thread-locals")
    return threadLocals();
  if (mode == "registers")
    return registers();
  return runProgram(mode, true);
}
