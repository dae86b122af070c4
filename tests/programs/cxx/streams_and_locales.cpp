//# flags: -std=c++17
//# modes: default nopie-O2
#include <fstream>
#include <iomanip>
#include <iostream>
#include <locale>
#include <sstream>
struct Grouped : std::numpunct<char> {
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
};
struct Upper : std::streambuf {
    int overflow(int c) override { return std::cout.rdbuf()->sputc(static_cast<char>(std::toupper(c))); }
};
int main() {
    std::ostringstream out;
    out.imbue(std::locale(std::locale::classic(), new Grouped));
    out << 1234567 << ' ' << std::put_money(1234);
    std::cout << out.str() << '\n';
    Upper upper;
    std::ostream shout(&upper);
    shout << "shouted " << 5 << std::endl;
    std::tm moment{};
    moment.tm_year = 120;
    moment.tm_mday = 3;
    std::cout << std::put_time(&moment, "%Y-%m-%d") << ' ' << std::quoted("a \"b\"") << '\n';
    std::istringstream in("12 0x1f 3.5e2 word");
    int a, b;
    double c;
    std::string d;
    in >> a >> std::hex >> b >> c >> d;
    std::cout << a << ' ' << b << ' ' << c << ' ' << d << '\n';
    std::ofstream("stream.txt") << "line one\nline two\n";
    std::ifstream file("stream.txt");
    for (std::string line; std::getline(file, line);) std::cout << line.size() << '\n';
    std::cout << std::use_facet<std::ctype<char>>(std::locale()).is(std::ctype_base::digit, '7') << '\n';
    std::wostringstream wide;
    wide << L"wide " << 1.25;
    std::cout << wide.str().size() << std::endl;
}
