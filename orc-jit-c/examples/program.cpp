// Runs object files as a program, in this process or (with --spawn) in another one.
//
//     c++ -c program.cpp && c++ example.cpp $(pkg-config --cflags --libs orcjit) && ./a.out program.o
#include <orc_jit.h>

#include <cstring>
#include <iostream>
#include <memory>
#include <stdexcept>

template <auto free> struct Free {
    template <class T> void operator()(T *it) const { free(it); }
};
using Executor = std::unique_ptr<OrcJitExecutor, Free<orc_jit_executor_free>>;
using Jit = std::unique_ptr<OrcJit, Free<orc_jit_free>>;
using Dylib = std::unique_ptr<OrcJitDylib, Free<orc_jit_dylib_free>>;

static void check(OrcJitError *error) {
    if (error) {
        std::unique_ptr<OrcJitError, Free<orc_jit_error_free>> owned(error);
        throw std::runtime_error(orc_jit_error_message(error));
    }
}

// What `make` stores at its last argument.
template <class Owned, class Make, class... Arguments>
static Owned made(Make make, Arguments... arguments) {
    typename Owned::pointer it;
    check(make(arguments..., &it));
    return Owned(it);
}

int main(int argc, char **argv) try {
    bool spawn = argc > 1 && std::strcmp(argv[1], "--spawn") == 0;
    Executor executor;
    Jit jit;
    if (spawn) {
        executor = made<Executor>(orc_jit_executor_spawn);
        jit = made<Jit>(orc_jit_new_in, executor.get());
    } else {
        jit = made<Jit>(orc_jit_new);
    }
    auto dylib = made<Dylib>(orc_jit_dylib_new, jit.get(), "program");
    check(orc_jit_dylib_add_library(dylib.get(), nullptr, "stdc++"));
    for (int i = spawn ? 2 : 1; i < argc; i++)
        check(orc_jit_dylib_add_object_file(dylib.get(), nullptr, argv[i]));
    const char *arguments[] = {"program", "an argument"};
    int status;
    check(orc_jit_dylib_run_main(dylib.get(), 2, arguments, &status));
    std::cout << "main returned " << status << std::endl;
    if (spawn) check(orc_jit_executor_end(executor.get()));
} catch (const std::exception &error) {
    std::cerr << error.what() << std::endl;
    return 1;
}
