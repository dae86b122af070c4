#include <string>
#include <vector>
void through_library(void (*call)()) {
    std::vector<std::string> kept(3, std::string(100, 'x'));
    call();
}
