// Functions that are first called when a thread or the program ends, after thread-locals are gone.
#include <pthread.h>
#include <cstdio>
#include <cstdlib>
void at_exit();
void at_thread_end(void *);
void destroyed();
struct Last { ~Last() { destroyed(); } } last;
int main() {
    std::atexit(at_exit);
    pthread_key_t key;
    pthread_key_create(&key, at_thread_end);
    pthread_t thread;
    pthread_create(&thread, nullptr, [](void *value) -> void * {
        pthread_setspecific(*static_cast<pthread_key_t *>(value), value);
        return nullptr;
    }, &key);
    pthread_join(thread, nullptr);
    std::puts("main");
}
//--- exit.cpp
#include <cstdio>
void at_exit() { std::puts("exit"); }
//--- thread.cpp
#include <cstdio>
#include <stdexcept>
void at_thread_end(void *) {
    thread_local int late = 1;
    try { throw std::runtime_error("thread"); } catch (const std::exception &e) { std::printf("%s %d\n", e.what(), late++); }
}
//--- destroyed.cpp
#include <cstdio>
void destroyed() { std::puts("destroyed"); }
