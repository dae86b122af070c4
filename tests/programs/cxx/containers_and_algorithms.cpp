//# flags: -std=c++20
//# modes: default O2
#include <algorithm>
#include <any>
#include <array>
#include <charconv>
#include <chrono>
#include <deque>
#include <functional>
#include <iostream>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>
struct Node : std::enable_shared_from_this<Node> {
    std::vector<std::shared_ptr<Node>> children;
    std::weak_ptr<Node> parent;
    int depth() const { auto p = parent.lock(); return p ? p->depth() + 1 : 0; }
};
int main() {
    std::mt19937 random(42);
    std::vector<unsigned> numbers(1000);
    std::generate(numbers.begin(), numbers.end(), std::ref(random));
    std::sort(numbers.begin(), numbers.end());
    std::stable_partition(numbers.begin(), numbers.end(), [](unsigned n) { return n % 2; });
    std::cout << std::accumulate(numbers.begin(), numbers.end(), 0ul) << ' ' << numbers[10] << '\n';
    std::unordered_map<std::string, std::set<int>> index;
    for (int i = 0; i < 100; i++) index[std::to_string(i % 7)].insert(i);
    std::cout << index["3"].size() << ' ' << *index["6"].rbegin() << '\n';
    std::variant<int, std::string, double> variant = std::string("variant");
    std::visit([](const auto& value) { std::cout << value << '\n'; }, variant);
    try {
        (void)std::get<int>(variant);
    } catch (const std::bad_variant_access&) {
        std::cout << "bad variant access\n";
    }
    std::any any = std::map<int, int>{{1, 2}};
    std::cout << std::any_cast<std::map<int, int>&>(any)[1] << '\n';
    auto root = std::make_shared<Node>();
    auto child = std::make_shared<Node>();
    root->children.push_back(child);
    child->parent = root;
    std::cout << child->depth() << ' ' << root.use_count() << '\n';
    std::function<int(int)> factorial = [&](int n) { return n < 2 ? 1 : n * factorial(n - 1); };
    std::cout << factorial(10) << '\n';
    std::array<char, 20> buffer;
    auto [end, error] = std::to_chars(buffer.begin(), buffer.end(), 2.5);
    std::cout << std::string_view(buffer.data(), end - buffer.data()) << '\n';
    using namespace std::chrono_literals;
    std::cout << std::chrono::duration_cast<std::chrono::seconds>(2h + 3min).count() << '\n';
}
