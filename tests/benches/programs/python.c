// Runs a few lines of Python.
#include <Python.h>

int main(void) {
    Py_Initialize();
    int failed = PyRun_SimpleString("import math\nprint(math.comb(10, 3))\n");
    return Py_FinalizeEx() || failed;
}
