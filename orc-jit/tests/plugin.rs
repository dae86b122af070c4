//! The library inside a library that a host opens: what linked code needs of the process is there.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Thread-locals on several threads, exceptions, destructors, and all of that in a forked child.
const CHECK: &str = r#"
    #include <pthread.h>
    #include <stdexcept>
    #include <string>
    #include <sys/wait.h>
    #include <unistd.h>

    static int destroyed;
    struct Counted {
        int value;
        explicit Counted(int value) : value(value) {}
        ~Counted() { __atomic_add_fetch(&destroyed, value, __ATOMIC_SEQ_CST); }
    };
    static Counted at_end(1000);
    static thread_local Counted mine(7);
    static thread_local int counter = 5;

    static int work(int x) {
        counter += x;
        mine.value += 0;
        try {
            throw std::runtime_error(std::to_string(counter));
        } catch (const std::exception &error) {
            return std::stoi(error.what());
        }
    }
    static void *thread(void *) { return (void *)(long)(work(1) == 6 && work(1) == 7); }

    extern "C" int check() {
        pthread_t threads[4];
        for (pthread_t &it : threads)
            if (pthread_create(&it, nullptr, thread, nullptr) != 0) return 1;
        for (pthread_t &it : threads) {
            void *good;
            if (pthread_join(it, &good) != 0 || !good) return 2;
        }
        if (destroyed != 4 * 7) return 3;
        if (work(10) != 15) return 4;
        pid_t child = fork();
        if (child == 0) {
            pthread_t it;
            void *good;
            bool all = work(1) == 16 && pthread_create(&it, nullptr, thread, nullptr) == 0
                && pthread_join(it, &good) == 0 && good;
            _exit(all ? 0 : 1);
        }
        int status;
        if (waitpid(child, &status, 0) != child || status != 0) return 5;
        return work(0) == 15 ? 42 : 6;
    }"#;

const HOST: &str = r#"
    #include <dlfcn.h>
    #include <stdio.h>

    int main(int argc, char **argv) {
        for (int round = 0; round < 2; round++) {
            void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
            if (!plugin) return puts(dlerror()), 1;
            int (*check)(const char *) = (int (*)(const char *))dlsym(plugin, "plugin_check");
            for (int i = 2; i < argc; i++) {
                int result = check(argv[i]);
                if (result != 42) return printf("%s: %d\n", argv[i], result), 2;
            }
            dlclose(plugin);
        }
        return puts("good"), 0;
    }"#;

const PYTHON: &str = "
import ctypes, sys
for round in range(2):
    plugin = ctypes.CDLL(sys.argv[1])
    for path in sys.argv[2:]:
        result = plugin.plugin_check(path.encode())
        assert result == 42, (path, result)
print('good')
";

/// The plugin, built as its user builds it: without the features of this package's tests.
fn plugin() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--package", "orc-jit"])
        .args(["--example", "plugin"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(cargo.status().expect("cargo runs").success());
    // This program is `target/PROFILE/deps/plugin-HASH`; without `--release`, the profile is `debug`.
    let own = std::env::current_exe().expect("it has a path");
    let target = own
        .ancestors()
        .nth(3)
        .expect("it is below the target directory");
    target.join("debug/examples/libplugin.so")
}

/// Objects as compilers make them by default, and as libraries have them.
fn objects(directory: &Path) -> Vec<PathBuf> {
    let source = directory.join("check.cpp");
    std::fs::write(&source, CHECK).expect("a writable directory");
    let compile = |(name, flag): (&str, &str)| {
        let object = directory.join(name);
        let mut compiler = Command::new("c++");
        compiler.args(["-w", "-O1", "-c", flag, "-o"]).arg(&object);
        assert!(compiler.arg(&source).status().expect("it runs").success());
        object
    };
    [("default.o", "-O1"), ("pic.o", "-fPIC")]
        .map(compile)
        .into()
}

/// Runs a host with the plugin and the objects; it prints "good".
#[track_caller]
fn assert_good(mut host: Command, plugin: &Path, objects: &[PathBuf]) {
    let output = host.arg(plugin).args(objects).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text == "good\n",
        "{}\n{text}{errors}",
        output.status
    );
}

#[test]
fn a_library_of_a_host_links_and_runs_code() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (plugin, objects) = (plugin(), objects(directory.path()));

    let (source, host) = (
        directory.path().join("host.c"),
        directory.path().join("host"),
    );
    std::fs::write(&source, HOST).expect("a writable directory");
    let mut compiler = Command::new("cc");
    compiler.arg(&source).arg("-o").arg(&host);
    assert!(compiler.status().expect("it runs").success());
    assert_good(Command::new(&host), &plugin, &objects);

    // Python is no part of what tests need; most systems have it.
    let mut python = Command::new("python3");
    python.args(["-c", PYTHON]);
    match Command::new("python3").arg("--version").output() {
        Ok(_) => assert_good(python, &plugin, &objects),
        Err(_) => println!("left out: Python as a host, for python3 is not installed"),
    }
}
