#include <stdexcept>
#include <string>
inline int shared() { static int calls; return ++calls; }
int other() { return shared(); }
void fail(const std::string &why) { throw std::runtime_error(why); }
