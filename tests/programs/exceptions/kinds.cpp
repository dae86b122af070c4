//# modes: all large
//# linux: the messages are of libstdc++
// Values, pointers, classes with several bases, and what catches them.
#include <cstdio>
#include <new>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <vector>
struct Base { virtual ~Base() = default; int b = 1; };
struct Other { virtual ~Other() = default; int o = 2; };
struct Derived : Base, virtual Other { int d = 3; };
struct Private : private Base {};
template <class T> static void attempt(const char* name, T thrower) {
    std::printf("%s: ", name);
    try {
        thrower();
        std::puts("nothing");
    } catch (int value) {
        std::printf("int %d\n", value);
    } catch (const char* text) {
        std::printf("text %s\n", text);
    } catch (std::string& text) {
        std::printf("string %s\n", text.c_str());
    } catch (Other& other) {
        std::printf("other %d %s\n", other.o, typeid(other).name());
    } catch (Base* base) {
        std::printf("base pointer %d\n", base->b);
    } catch (std::logic_error& error) {
        std::printf("logic %s\n", error.what());
    } catch (std::exception& error) {
        std::printf("exception %s\n", typeid(error).name());
    } catch (...) {
        std::puts("something");
    }
}
int main() {
    static Derived derived;
    attempt("int", [] { throw 5; });
    attempt("text", [] { throw "text"; });
    attempt("string", [] { throw std::string("a string that is long enough for the heap"); });
    attempt("derived", [] { throw Derived(); });
    attempt("pointer", [] { throw static_cast<Base*>(&derived); });
    attempt("derived pointer", [] { throw &derived; });
    attempt("private", [] { throw Private(); });
    attempt("null", [] { throw nullptr; });
    attempt("long", [] { throw 5L; });
    attempt("at", [] { std::vector<int>().at(3); });
    attempt("bad_alloc", [] { volatile std::size_t huge = std::size_t(-1) / 2; delete[] new char[huge]; });
    attempt("bad_cast", [] { Base base; (void)dynamic_cast<Derived&>(base); });
    attempt("stoi", [] { (void)std::stoi("x"); });
    attempt("none", [] {});
}
