//# native: -rdynamic -Wl,--unresolved-symbols=ignore-all
//# jit: -rdynamic
//# shared: libplugin.so = plugin.cpp
//# link: main.o
//# modes: few
// A plugin, opened and closed at run time, that needs the program's functions, data and classes.
#include <cstdio>
#include <dlfcn.h>
#include <stdexcept>
#include "host.h"
int host_value = 4;
int host_function(int x) { return x * host_value; }
const char* Host::name() { return "the host"; }
Host::~Host() {}
int main() {
    for (int i = 0; i < 2; i++) {
        void* plugin = dlopen("./libplugin.so", RTLD_NOW);
        if (!plugin) {
            std::puts(dlerror());
            return 1;
        }
        auto run = reinterpret_cast<int (*)(Host*)>(dlsym(plugin, "plugin_run"));
        Host host;
        std::printf("%d\n", run(&host));
        try {
            run(nullptr);
        } catch (const std::invalid_argument& error) {
            std::printf("%s\n", error.what());
        }
        dlclose(plugin);
    }
    std::puts("end");
}
//--- host.h
#pragma once
extern int host_value;
int host_function(int);
struct Host {
    virtual ~Host();
    virtual const char* name();
};
//--- plugin.cpp
#include <cstdio>
#include <stdexcept>
#include "host.h"
struct Announce {
    Announce() { std::puts("plugin loaded"); }
    ~Announce() { std::puts("plugin unloaded"); }
} announce;
struct Special : Host {
    const char* name() override { return "special"; }
};
extern "C" int plugin_run(Host* host) {
    if (!host) throw std::invalid_argument("no host");
    Special special;
    std::printf("%s and %s\n", host->name(), special.name());
    return host_function(++host_value);
}
