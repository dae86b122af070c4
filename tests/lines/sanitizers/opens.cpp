// Threads that look up and open libraries at one time.
#include <cstdio>
#include <dlfcn.h>
#include <thread>
#include <vector>
int main() {
    std::vector<std::thread> threads;
    int found[4] = {};
    for (int i = 0; i < 4; i++)
        threads.emplace_back([&found, i] {
            for (int j = 0; j < 20; j++) {
                void *library = dlopen("libm.so.6", RTLD_NOW);
                found[i] += dlsym(library, "cos") != nullptr;
                found[i] += dlsym(RTLD_DEFAULT, "printf") != nullptr;
                dlclose(library);
            }
        });
    int sum = 0;
    for (auto &thread : threads) thread.join();
    for (int each : found) sum += each;
    std::printf("%d\n", sum);
}
