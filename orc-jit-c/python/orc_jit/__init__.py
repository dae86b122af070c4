"""Link object files and static archives into this process, and call what is in them.

    >>> import orc_jit
    >>> jit = orc_jit.Jit()
    >>> jit.add_c("int f(int x) { return x * 2; }").f(21)
    42

Functions are those of `ctypes`: they take and return `int` unless `argtypes` and `restype` say otherwise.
"""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile

__all__ = ["Jit", "Dylib", "Part", "Executor", "Symbol", "Error", "CompileError", "load"]


class Error(Exception):
    """What could not be done, and why."""


class CompileError(Error):
    """The compiler's messages."""


def _library_path():
    """The library: `ORC_JIT_LIBRARY`, the one in this package, or the system's."""
    asked = os.environ.get("ORC_JIT_LIBRARY")
    if asked:
        return asked
    own = os.path.join(os.path.dirname(os.path.abspath(__file__)), "liborcjit.so")
    return own if os.path.exists(own) else "liborcjit.so"


_HANDLE = ctypes.c_void_p
_TEXT = ctypes.c_char_p
_OUT = ctypes.POINTER(ctypes.c_void_p)

# By name: the types of the parameters. All of these return an error.
_FALLIBLE = {
    "orc_jit_executor_spawn": [_OUT],
    "orc_jit_executor_connect": [_TEXT, _OUT],
    "orc_jit_executor_end": [_HANDLE],
    "orc_jit_new": [_OUT],
    "orc_jit_new_in": [_HANDLE, _OUT],
    "orc_jit_dylib_new": [_HANDLE, _TEXT, _OUT],
    "orc_jit_dylib_link_with": [_HANDLE, _HANDLE],
    "orc_jit_dylib_initialize": [_HANDLE],
    "orc_jit_dylib_run_main": [
        _HANDLE,
        ctypes.c_int,
        ctypes.POINTER(_TEXT),
        ctypes.POINTER(ctypes.c_int),
    ],
    "orc_jit_dylib_close": [_HANDLE],
    "orc_jit_tracker_new": [_HANDLE, _OUT],
    "orc_jit_tracker_remove": [_HANDLE],
    "orc_jit_dylib_add_object_file": [_HANDLE, _HANDLE, _TEXT],
    "orc_jit_dylib_add_object": [_HANDLE, _HANDLE, _TEXT, ctypes.c_char_p, ctypes.c_size_t],
    "orc_jit_dylib_add_archive": [_HANDLE, _HANDLE, _TEXT],
    "orc_jit_dylib_add_whole_archive": [_HANDLE, _HANDLE, _TEXT],
    "orc_jit_dylib_add_library": [_HANDLE, _HANDLE, _TEXT],
    "orc_jit_dylib_add_shared_library": [_HANDLE, _HANDLE, _TEXT],
    "orc_jit_dylib_define": [_HANDLE, _HANDLE, _TEXT, ctypes.c_void_p],
    "orc_jit_dylib_lookup": [_HANDLE, _TEXT, _OUT],
}

_FREE = [
    "orc_jit_executor_free",
    "orc_jit_free",
    "orc_jit_dylib_free",
    "orc_jit_tracker_free",
    "orc_jit_symbol_free",
    "orc_jit_error_free",
]


class _Library:
    """The C interface of one copy of the library."""

    def __init__(self, path):
        self.c = ctypes.CDLL(path)
        for name, parameters in _FALLIBLE.items():
            function = getattr(self.c, name)
            function.argtypes, function.restype = parameters, _HANDLE
        for name in _FREE:
            function = getattr(self.c, name)
            function.argtypes, function.restype = [_HANDLE], None
        self.c.orc_jit_error_message.argtypes = [_HANDLE]
        self.c.orc_jit_error_message.restype = _TEXT
        self.c.orc_jit_version.restype = _TEXT
        for name, result in [("pointer", _HANDLE), ("address", ctypes.c_uint64)]:
            function = getattr(self.c, "orc_jit_symbol_" + name)
            function.argtypes, function.restype = [_HANDLE], result

    def call(self, name, *arguments):
        """Calls a function that may fail."""
        error = getattr(self.c, name)(*arguments)
        if error:
            message = self.c.orc_jit_error_message(error).decode("utf-8", "replace")
            self.c.orc_jit_error_free(error)
            raise Error(message)

    def make(self, name, *arguments):
        """Calls a function that makes something."""
        made = ctypes.c_void_p()
        self.call(name, *arguments, ctypes.byref(made))
        return made.value


_loaded = {}


def load(path=None):
    """Loads a copy of the library; the usual one without a path. Each copy is loaded once."""
    path = os.fspath(path) if path is not None else _library_path()
    if path not in _loaded:
        _loaded[path] = _Library(path)
    return _loaded[path]


class _Owned:
    """Something that the library has made, and that is freed with the object."""

    _free = ""

    def __init__(self, library, handle):
        self._library = library
        self._handle = handle

    def __del__(self):
        handle, self._handle = getattr(self, "_handle", None), None
        # Nothing is freed while the interpreter ends: linked code may be in use to the end.
        if handle and not sys.is_finalizing():
            getattr(self._library.c, self._free)(handle)


class Executor(_Owned):
    """Another process in which linked code runs."""

    _free = "orc_jit_executor_free"

    @classmethod
    def spawn(cls, library=None):
        """A process that is started for it."""
        library = load(library)
        return cls(library, library.make("orc_jit_executor_spawn"))

    @classmethod
    def connect(cls, place, library=None):
        """One that is there: "unix:PATH", "tcp:HOST:PORT", "ssh:HOST"."""
        library = load(library)
        return cls(library, library.make("orc_jit_executor_connect", place.encode()))

    def end(self):
        """Ends the process, and waits for it."""
        self._library.call("orc_jit_executor_end", self._handle)


class Dylib(_Owned):
    """What is added to it can see each other, then the process's libraries."""

    _free = "orc_jit_dylib_free"

    def part(self):
        """A part that can be removed as one."""
        return Part(self)

    def link_with(self, other):
        """Lets this dylib see another one's definitions, after its own."""
        self._library.call("orc_jit_dylib_link_with", self._handle, other._handle)

    def add_object(self, object, name="object"):
        """Adds an object: a path, or its bytes."""
        return self.part().add_object(object, name)

    def add_archive(self, path, whole=False):
        """Adds a static archive, whose members are linked by need; all of them if `whole`."""
        return self.part().add_archive(path, whole)

    def add_library(self, name):
        """Adds a library, as `-lNAME` does."""
        return self.part().add_library(name)

    def add_c(self, source, flags=(), compiler=None):
        """Compiles C, and adds it."""
        return self.part().add_source(source, ".c", flags, compiler or os.environ.get("CC", "cc"))

    def add_cpp(self, source, flags=(), compiler=None):
        """Compiles C++, and adds it with the C++ library."""
        compiler = compiler or os.environ.get("CXX", "c++")
        part = self.part().add_library("stdc++")
        return part.add_source(source, ".cpp", flags, compiler)

    def define(self, name, value):
        """Defines a name that linked code refers to: an address, or a `ctypes` function or variable."""
        return self.part().define(name, value)

    def initialize(self):
        """Runs initializers that have not run. A lookup does that, too."""
        self._library.call("orc_jit_dylib_initialize", self._handle)

    def run_main(self, *arguments):
        """Runs it as a program. Returns what `main` returns."""
        texts = [os.fsencode(it) for it in arguments]
        vector = (ctypes.c_char_p * len(texts))(*texts)
        status = ctypes.c_int()
        self._library.call(
            "orc_jit_dylib_run_main", self._handle, len(texts), vector, ctypes.byref(status)
        )
        return status.value

    def close(self):
        """Runs its destructors. Nothing can be added or found any more."""
        self._library.call("orc_jit_dylib_close", self._handle)

    def symbol(self, name):
        """The symbol of this name; what it needs is linked."""
        handle = self._library.make("orc_jit_dylib_lookup", self._handle, name.encode())
        return Symbol(self._library, handle)

    def function(self, name, result=ctypes.c_int, *parameters):
        """A function, for `ctypes`. It keeps its code."""
        symbol = self.symbol(name)
        address = symbol.pointer()
        if not address:
            raise Error(f"{name} is in another process and cannot be called from this one")
        function = ctypes.CFUNCTYPE(result, *parameters)(address) if parameters else None
        if function is None:
            # Any arguments, as `ctypes` takes those of a library's function.
            function = ctypes.CFUNCTYPE(result)(address)
            function.argtypes = None
        function.symbol = symbol
        return function

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        found = self._functions()
        if name not in found:
            try:
                found[name] = self.function(name)
            except Error as error:
                raise AttributeError(str(error)) from None
        return found[name]

    def _functions(self):
        """Functions that were asked for as attributes, until a part is removed that may have had them."""
        return self.__dict__.setdefault("_found", {})


class Jit(Dylib):
    """A JIT with a dylib of its own. `executor` is another process for its code; `library` another copy of the
    library."""

    def __init__(self, executor=None, library=None, name="python"):
        library = executor._library if executor else load(library)
        if executor:
            jit = library.make("orc_jit_new_in", executor._handle)
        else:
            jit = library.make("orc_jit_new")
        self._jit = _Jit(library, jit)
        super().__init__(library, library.make("orc_jit_dylib_new", jit, name.encode()))

    def dylib(self, name):
        """Another dylib."""
        made = self._library.make("orc_jit_dylib_new", self._jit._handle, name.encode())
        return Dylib(self._library, made)


class _Jit(_Owned):
    _free = "orc_jit_free"


class Symbol(_Owned):
    """A symbol, which keeps its code."""

    _free = "orc_jit_symbol_free"

    def pointer(self):
        """Its address in this process, or None."""
        return self._library.c.orc_jit_symbol_pointer(self._handle)

    def address(self):
        """Its address in the process where its code runs."""
        return self._library.c.orc_jit_symbol_address(self._handle)


class Part(_Owned):
    """A part of a dylib, which can be removed. Functions of the dylib are its attributes."""

    _free = "orc_jit_tracker_free"

    def __init__(self, dylib):
        super().__init__(
            dylib._library, dylib._library.make("orc_jit_tracker_new", dylib._handle)
        )
        self._dylib = dylib

    def _add(self, what, *arguments):
        name = "orc_jit_dylib_" + what
        self._library.call(name, self._dylib._handle, self._handle, *arguments)
        return self

    def add_object(self, object, name="object"):
        """Adds an object: a path, or its bytes."""
        if isinstance(object, (bytes, bytearray, memoryview)):
            content = bytes(object)
            return self._add("add_object", name.encode(), content, len(content))
        return self._add("add_object_file", os.fsencode(object))

    def add_archive(self, path, whole=False):
        """Adds a static archive, whose members are linked by need; all of them if `whole`."""
        return self._add("add_whole_archive" if whole else "add_archive", os.fsencode(path))

    def add_library(self, name):
        """Adds a library, as `-lNAME` does."""
        return self._add("add_library", name.encode())

    def add_source(self, source, suffix, flags, compiler):
        """Compiles a text, and adds it."""
        return self.add_object(_compiled(source, suffix, flags, compiler), "source" + suffix)

    def define(self, name, value):
        """Defines a name: as an address, or as a `ctypes` function or variable, which is kept."""
        if isinstance(value, int):
            address = value
        elif isinstance(value, ctypes._CFuncPtr):
            address = ctypes.cast(value, ctypes.c_void_p).value
        else:
            address = ctypes.addressof(value)
        self._kept = getattr(self, "_kept", []) + [value]
        return self._add("define", name.encode(), address)

    def remove(self):
        """Removes all that was added through it. Functions that are kept keep their code."""
        self._library.call("orc_jit_tracker_remove", self._handle)
        self._dylib._functions().clear()

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._dylib, name)


def _compiled(source, suffix, flags, compiler):
    """The object that a compiler makes of a text."""
    directory = tempfile.mkdtemp(prefix="orc-jit-")
    try:
        path = os.path.join(directory, "source" + suffix)
        with open(path, "w", encoding="utf-8") as file:
            file.write(source)
        object = path + ".o"
        command = [compiler, "-O2", *flags, "-c", path, "-o", object]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except OSError as error:
            raise CompileError(f"{compiler} cannot be started: {error.strerror}") from None
        if done.returncode:
            raise CompileError(done.stderr.strip())
        with open(object, "rb") as file:
            return file.read()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
