// _Unwind_ForcedUnwind and _Unwind_Backtrace see every frame.
#include <cstdio>
#include <unwind.h>
static int frames;
static _Unwind_Reason_Code count(_Unwind_Context* context, void*) {
    if (_Unwind_GetIP(context) != 0) frames++;
    return _URC_NO_REASON;
}
__attribute__((noinline)) static int recurse(int depth) {
    if (depth == 0) {
        frames = 0;
        _Unwind_Backtrace(count, nullptr);
        return frames;
    }
    int result = recurse(depth - 1);
    __asm__ volatile("");
    return result;
}
int main() {
    int shallow = recurse(2), deep = recurse(12);
    std::printf("%d\n", deep - shallow);
    void* here = _Unwind_FindEnclosingFunction(reinterpret_cast<void*>(reinterpret_cast<char*>(&recurse) + 4));
    std::printf("%d\n", here == reinterpret_cast<void*>(&recurse));
}
