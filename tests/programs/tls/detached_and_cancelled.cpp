//# linux: macOS has another PTHREAD_CANCELED
// pthread_exit and cancellation destroy thread-locals as returning does.
#include <pthread.h>
#include <semaphore.h>
#include <cstdio>
#include <unistd.h>

struct Noisy {
    explicit Noisy(const char* name) : name(name) {}
    ~Noisy() { std::printf("-%s\n", name); }
    const char* name;
    int used = 0;
};
static thread_local Noisy mine("thread-local");
static sem_t ready;

static void* exits(void*) {
    Noisy local("local of the thread that exits");
    mine.used++;
    pthread_exit(reinterpret_cast<void*>(5));
}
static void* waits(void*) {
    Noisy local("local of the cancelled thread");
    mine.used++;
    sem_post(&ready);
    for (;;) pause();
}

int main() {
    sem_init(&ready, 0, 0);
    pthread_t thread;
    void* result;
    pthread_create(&thread, nullptr, exits, nullptr);
    pthread_join(thread, &result);
    std::printf("exited with %ld\n", reinterpret_cast<long>(result));
    pthread_create(&thread, nullptr, waits, nullptr);
    sem_wait(&ready);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    std::printf("cancelled: %d\n", result == PTHREAD_CANCELED);
}
