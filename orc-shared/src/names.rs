//! Names of the symbols through which controller, executor and runtime find each other.
//!
//! They are LLVM 22's, so that each part can be swapped for LLVM's; what is ours alone has the
//! prefix `__orc_rt_ext_` and is looked up weakly. Names are as in ELF objects: Mach-O adds an
//! underscore in front.

/// What the controller (or the executor for it) defines before the runtime is linked.
pub mod dispatch {
    /// `fn(ctx, tag, data, size) -> wrapper result`: calls the controller.
    pub const FUNCTION: &str = "__orc_rt_jit_dispatch";
    /// The first argument of [`FUNCTION`]. The symbol's *address* is the context.
    pub const CONTEXT: &str = "__orc_rt_jit_dispatch_ctx";
}

/// Symbols of the runtime that any format's platform uses.
pub mod rt {
    /// Wrapper `i64(String dylib, String entry, Seq<String> args)`.
    pub const RUN_PROGRAM_WRAPPER: &str = "__orc_rt_run_program_wrapper";
    /// Wrapper `Addr handle(String name, i32 mode)`.
    pub const DLOPEN_WRAPPER: &str = "__orc_rt_jit_dlopen_wrapper";
    /// Wrapper `i32(Addr handle)`.
    pub const DLCLOSE_WRAPPER: &str = "__orc_rt_jit_dlclose_wrapper";
    /// Wrapper `i32(Addr handle)`.
    pub const DLUPDATE_WRAPPER: &str = "__orc_rt_jit_dlupdate_wrapper";
    /// Wrapper `String()`.
    pub const DLERROR_WRAPPER: &str = "__orc_rt_jit_dlerror_wrapper";
    /// C function `(const char *)`.
    pub const LOG_ERROR_TO_STDERR: &str = "__orc_rt_log_error_to_stderr";
    /// Where lazy trampolines lead.
    pub const SYSV_REENTER: &str = "__orc_rt_sysv_reenter";
    /// Tag: `Expected<(Addr, (u8, u8))>(Addr trampoline)`.
    pub const RESOLVE_TAG: &str = "__orc_rt_resolve_tag";
    /// C function `(u64 unit, u32 version)`.
    pub const REOPTIMIZE: &str = "__orc_rt_reoptimize";
    /// Tag: `void(u64 unit, u32 version)`.
    pub const REOPTIMIZE_TAG: &str = "__orc_rt_reoptimize_tag";
    /// C++ ABI: destructors of thread-locals. Defined by the runtime itself.
    pub const CXA_THREAD_ATEXIT: &str = "__cxa_thread_atexit";
}

/// Symbols of the runtime for the ELF platform.
pub mod elf {
    /// Wrapper `Error(Addr header)`: starts the runtime.
    pub const PLATFORM_BOOTSTRAP: &str = "__orc_rt_elfnix_platform_bootstrap";
    /// Wrapper `Error()`: stops it.
    pub const PLATFORM_SHUTDOWN: &str = "__orc_rt_elfnix_platform_shutdown";
    /// Wrapper `Error(String name, Addr header)`.
    pub const REGISTER_JITDYLIB: &str = "__orc_rt_elfnix_register_jitdylib";
    /// Wrapper `Error(Addr header)`.
    pub const DEREGISTER_JITDYLIB: &str = "__orc_rt_elfnix_deregister_jitdylib";
    /// Wrapper `Error(Addr header, Seq<Range>)`.
    pub const REGISTER_INIT_SECTIONS: &str = "__orc_rt_elfnix_register_init_sections";
    /// Wrapper `Error(Addr header, Seq<Range>)`.
    pub const DEREGISTER_INIT_SECTIONS: &str = "__orc_rt_elfnix_deregister_init_sections";
    /// Wrapper `Error((Range eh_frame, Range thread_data))`.
    pub const REGISTER_OBJECT_SECTIONS: &str = "__orc_rt_elfnix_register_object_sections";
    /// Wrapper `Error((Range eh_frame, Range thread_data))`.
    pub const DEREGISTER_OBJECT_SECTIONS: &str = "__orc_rt_elfnix_deregister_object_sections";
    /// Wrapper `Expected<u64>()`.
    pub const CREATE_PTHREAD_KEY: &str = "__orc_rt_elfnix_create_pthread_key";
    /// Tag: `Expected<Seq<(Addr header, Seq<Addr> deps)>>(Addr header)`.
    pub const PUSH_INITIALIZERS_TAG: &str = "__orc_rt_elfnix_push_initializers_tag";
    /// Tag: `Expected<Addr>(Addr header, String name)`.
    pub const SYMBOL_LOOKUP_TAG: &str = "__orc_rt_elfnix_symbol_lookup_tag";
    /// What `__tls_get_addr` of JIT'd code becomes where its thread-locals are the runtime's.
    pub const TLS_GET_ADDR: &str = "___orc_rt_elfnix_tls_get_addr";
    /// The same for TLS descriptors.
    pub const TLSDESC_RESOLVER: &str = "___orc_rt_elfnix_tlsdesc_resolver";

    /// Names that JIT'd code uses, and the runtime symbols that stand in for them.
    pub const ALIASES: &[(&str, &str)] = &[
        ("__cxa_atexit", "__orc_rt_elfnix_cxa_atexit"),
        ("atexit", "__orc_rt_elfnix_atexit"),
        ("__orc_rt_run_program", "__orc_rt_elfnix_run_program"),
        ("__orc_rt_jit_dlerror", "__orc_rt_elfnix_jit_dlerror"),
        ("__orc_rt_jit_dlopen", "__orc_rt_elfnix_jit_dlopen"),
        ("__orc_rt_jit_dlupdate", "__orc_rt_elfnix_jit_dlupdate"),
        ("__orc_rt_jit_dlclose", "__orc_rt_elfnix_jit_dlclose"),
        ("__orc_rt_jit_dlsym", "__orc_rt_elfnix_jit_dlsym"),
        ("__orc_rt_log_error", "__orc_rt_log_error_to_stderr"),
        ("__orc_rt_reenter", "__orc_rt_sysv_reenter"),
    ];
}

/// What only our runtime has, for the ELF platform. All are wrappers, but for the last two.
pub mod ext_elf {
    /// `Error(Addr header, Seq<Range>)`: where a dylib has data, which has its first values now: it has them again
    /// when linked code closes the dylib and opens it again.
    pub const REGISTER_DATA: &str = "__orc_rt_ext_elfnix_register_data";
    /// `Error(Addr header, Seq<Range>)`: its undo.
    pub const DEREGISTER_DATA: &str = "__orc_rt_ext_elfnix_deregister_data";
    /// `Error(Addr header, Seq<Range>)`: `.fini_array` pieces in memory order. An empty range marks
    /// the place of the compiler's own entry, which runs the dylib's `__cxa_atexit` handlers.
    pub const REGISTER_FINI_SECTIONS: &str = "__orc_rt_ext_elfnix_register_fini_sections";
    /// `Error(Addr header, Seq<Range>)`: its undo.
    pub const DEREGISTER_FINI_SECTIONS: &str = "__orc_rt_ext_elfnix_deregister_fini_sections";
    /// `Error(Seq<Addr header>)`: opens dylibs in this order and runs their new initializers.
    pub const INITIALIZE: &str = "__orc_rt_ext_elfnix_initialize";
    /// `Error(Addr)`: gives the runtime functions of the process that outlive it, its
    /// [`ExitServices`](crate::ExitServices).
    pub const SET_EXIT_SERVICES: &str = "__orc_rt_ext_elfnix_set_exit_services";
    /// `Expected<u64>(Addr header)`: runs the calling thread's destructors, handlers and
    /// `.fini_array`; returns the number of thread-local destructors of the dylib that other threads
    /// still have to run.
    pub const CLOSE: &str = "__orc_rt_ext_elfnix_close";
    /// `Expected<u64>(Addr header, Seq<Range>)`: [`FINALIZE_RANGES`], and the calling thread's
    /// destructors of thread-locals before it.
    pub const REMOVE_RANGES: &str = "__orc_rt_ext_elfnix_remove_ranges";
    /// `Expected<u64>(Addr header, Seq<Range>)`: runs and forgets the finalizers and exit handlers that
    /// lead into the ranges, which are about to be freed; returns the number of thread-local
    /// destructors that threads still have to run there.
    pub const FINALIZE_RANGES: &str = "__orc_rt_ext_elfnix_finalize_ranges";
    /// `Error(Seq<String>)`: the arguments that initializers of libraries get.
    pub const SET_ARGUMENTS: &str = "__orc_rt_ext_elfnix_set_arguments";
    /// `Expected<i64>(Addr header, Seq<Addr> libraries, Addr entry, Seq<String> argv, bool exit, bool
    /// bare)`: runs a program as the C library's start-up code does. With `exit`, it ends the process
    /// with `exit(main(…))` and does not return. With `bare`, the entry is called instead of that code.
    pub const RUN_MAIN: &str = "__orc_rt_ext_elfnix_run_main";
    /// `int(main, int argc, char **argv, …)`: the C library's `__libc_start_main` for such an entry.
    pub const LIBC_START_MAIN: &str = "__orc_rt_elfnix_libc_start_main";

    /// Functions of `<dlfcn.h>`, and the runtime's that know JIT'd dylibs besides libraries. `dlupdate` links what was
    /// added to an open dylib.
    pub const DLFCN: &[(&str, &str)] = &[
        ("dlopen", "__orc_rt_ext_dlopen"),
        ("dlsym", "__orc_rt_ext_dlsym"),
        ("dlvsym", "__orc_rt_ext_dlvsym"),
        ("dlclose", "__orc_rt_ext_dlclose"),
        ("dlinfo", "__orc_rt_ext_dlinfo"),
        ("dlerror", "__orc_rt_ext_dlerror"),
        ("dlupdate", "__orc_rt_ext_dlupdate"),
    ];
}

/// Functions of macOS's C library that the runtime has for objects that were made for it.
pub mod darwin {
    /// What the runtime's names start with.
    pub const PREFIX: &str = "__orc_rt_ext_darwin_";

    macro_rules! adapted {
        ($(#[$doc:meta])* $list:ident: $($name:literal => $own:literal,)*) => {
            $(#[$doc])*
            pub const $list: &[(&str, &str)] = &[$(($name, concat!("__orc_rt_ext_darwin_", $own)),)*];
        };
    }

    adapted! {
        /// The function's name, as C has it, and the runtime's. Sorted.
        ADAPTED:
        "_DefaultRuneLocale" => "default_rune_locale",
        "_NSGetEnviron" => "nsgetenviron",
        "___mb_cur_max_l" => "mb_cur_max_l",
        "___tolower_l" => "tolower_l",
        "___toupper_l" => "toupper_l",
        "__assert_rtn" => "assert_rtn",
        "__fpclassifyd" => "fpclassifyd",
        "__fpclassifyf" => "fpclassifyf",
        "__maskrune" => "maskrune",
        "__maskrune_l" => "maskrune_l",
        "__stack_chk_guard" => "stack_chk_guard",
        "__strlcat_chk" => "strlcat_chk",
        "__strlcpy_chk" => "strlcpy_chk",
        "__tolower" => "tolower",
        "__toupper" => "toupper",
        "__ulock_wait" => "ulock_wait",
        "__ulock_wake" => "ulock_wake",
        "asprintf_l" => "asprintf_l",
        "btowc_l" => "btowc_l",
        "clock_getres" => "clock_getres",
        "clock_gettime" => "clock_gettime",
        "clock_gettime_nsec_np" => "clock_gettime_nsec_np",
        "closedir" => "closedir",
        "confstr" => "confstr",
        "copyfile_state_alloc" => "copyfile_state_alloc",
        "copyfile_state_free" => "copyfile_state_free",
        "dirfd" => "dirfd",
        "dprintf_l" => "dprintf_l",
        "fchmodat" => "fchmodat",
        "fcntl" => "fcntl",
        "fcopyfile" => "fcopyfile",
        "fdopendir" => "fdopendir",
        "fprintf_l" => "fprintf_l",
        "freelocale" => "freelocale",
        "fscanf_l" => "fscanf_l",
        "fsctl" => "fsctl",
        "fstat" => "fstat",
        "fstatfs" => "fstatfs",
        "futimes" => "futimes",
        "fwprintf_l" => "fwprintf_l",
        "fwscanf_l" => "fwscanf_l",
        "gethostuuid" => "gethostuuid",
        "getprogname" => "getprogname",
        "kill" => "kill",
        "localeconv_l" => "localeconv_l",
        "lstat" => "lstat",
        "mach_absolute_time" => "mach_absolute_time",
        "mach_timebase_info" => "mach_timebase_info",
        "malloc_create_zone" => "malloc_create_zone",
        "malloc_default_zone" => "malloc_default_zone",
        "malloc_destroy_zone" => "malloc_destroy_zone",
        "malloc_good_size" => "malloc_good_size",
        "malloc_set_zone_name" => "malloc_set_zone_name",
        "malloc_zone_calloc" => "malloc_zone_calloc",
        "malloc_zone_free" => "malloc_zone_free",
        "malloc_zone_malloc" => "malloc_zone_malloc",
        "malloc_zone_memalign" => "malloc_zone_memalign",
        "malloc_zone_realloc" => "malloc_zone_realloc",
        "malloc_zone_valloc" => "malloc_zone_valloc",
        "mbrlen_l" => "mbrlen_l",
        "mbrtowc_l" => "mbrtowc_l",
        "mbsnrtowcs_l" => "mbsnrtowcs_l",
        "mbsrtowcs_l" => "mbsrtowcs_l",
        "mbtowc_l" => "mbtowc_l",
        "memset_pattern16" => "memset_pattern16",
        "memset_pattern4" => "memset_pattern4",
        "memset_pattern8" => "memset_pattern8",
        "mmap" => "mmap",
        "newlocale" => "newlocale",
        "open" => "open",
        "openat" => "openat",
        "opendir" => "opendir",
        "printf_l" => "printf_l",
        "pthread_attr_setdetachstate" => "pthread_attr_setdetachstate",
        "pthread_cond_broadcast" => "pthread_cond_broadcast",
        "pthread_cond_destroy" => "pthread_cond_destroy",
        "pthread_cond_signal" => "pthread_cond_signal",
        "pthread_cond_timedwait" => "pthread_cond_timedwait",
        "pthread_cond_wait" => "pthread_cond_wait",
        "pthread_mach_thread_np" => "pthread_mach_thread_np",
        "pthread_main_np" => "pthread_main_np",
        "pthread_mutex_destroy" => "pthread_mutex_destroy",
        "pthread_mutex_lock" => "pthread_mutex_lock",
        "pthread_mutex_trylock" => "pthread_mutex_trylock",
        "pthread_mutex_unlock" => "pthread_mutex_unlock",
        "pthread_mutexattr_settype" => "pthread_mutexattr_settype",
        "pthread_once" => "pthread_once",
        "pthread_rwlock_destroy" => "pthread_rwlock_destroy",
        "pthread_rwlock_rdlock" => "pthread_rwlock_rdlock",
        "pthread_rwlock_tryrdlock" => "pthread_rwlock_tryrdlock",
        "pthread_rwlock_trywrlock" => "pthread_rwlock_trywrlock",
        "pthread_rwlock_unlock" => "pthread_rwlock_unlock",
        "pthread_rwlock_wrlock" => "pthread_rwlock_wrlock",
        "pthread_setname_np" => "pthread_setname_np",
        "qsort_r" => "qsort_r",
        "raise" => "raise",
        "readdir" => "readdir",
        "rewinddir" => "rewinddir",
        "scanf_l" => "scanf_l",
        "seekdir" => "seekdir",
        "sem_open" => "sem_open",
        "setlocale" => "setlocale",
        "shm_open" => "shm_open",
        "signal" => "signal",
        "snprintf_l" => "snprintf_l",
        "sprintf_l" => "sprintf_l",
        "srandomdev" => "srandomdev",
        "sscanf_l" => "sscanf_l",
        "stat" => "stat",
        "statfs" => "statfs",
        "statvfs" => "statvfs",
        "strcoll_l" => "strcoll_l",
        "strftime_l" => "strftime_l",
        "strlcat" => "strlcat",
        "strlcpy" => "strlcpy",
        "strtod_l" => "strtod_l",
        "strtof_l" => "strtof_l",
        "strtold_l" => "strtold_l",
        "strxfrm_l" => "strxfrm_l",
        "swprintf_l" => "swprintf_l",
        "swscanf_l" => "swscanf_l",
        "sysconf" => "sysconf",
        "sysctl" => "sysctl",
        "sysctlbyname" => "sysctlbyname",
        "telldir" => "telldir",
        "unlinkat" => "unlinkat",
        "utimensat" => "utimensat",
        "utimes" => "utimes",
        "vasprintf_l" => "vasprintf_l",
        "vdprintf_l" => "vdprintf_l",
        "vfprintf_l" => "vfprintf_l",
        "vfscanf_l" => "vfscanf_l",
        "vfwprintf_l" => "vfwprintf_l",
        "vfwscanf_l" => "vfwscanf_l",
        "vprintf_l" => "vprintf_l",
        "vscanf_l" => "vscanf_l",
        "vsnprintf_l" => "vsnprintf_l",
        "vsprintf_l" => "vsprintf_l",
        "vsscanf_l" => "vsscanf_l",
        "vswprintf_l" => "vswprintf_l",
        "vswscanf_l" => "vswscanf_l",
        "vwprintf_l" => "vwprintf_l",
        "vwscanf_l" => "vwscanf_l",
        "wcrtomb_l" => "wcrtomb_l",
        "wcscoll_l" => "wcscoll_l",
        "wcsnrtombs_l" => "wcsnrtombs_l",
        "wcsxfrm_l" => "wcsxfrm_l",
        "wctob_l" => "wctob_l",
        "wprintf_l" => "wprintf_l",
        "wscanf_l" => "wscanf_l",
    }

    adapted! {
        /// The same of functions that are called or compute otherwise on AArch64 alone.
        ADAPTED_ON_AARCH64:
        "__snprintf_chk" => "snprintf_chk",
        "__sprintf_chk" => "sprintf_chk",
        "__vsnprintf_chk" => "vsnprintf_chk",
        "__vsprintf_chk" => "vsprintf_chk",
        "asprintf" => "asprintf",
        "dprintf" => "dprintf",
        "err" => "err",
        "errx" => "errx",
        "execl" => "execl",
        "execle" => "execle",
        "execlp" => "execlp",
        "fprintf" => "fprintf",
        "fscanf" => "fscanf",
        "fwprintf" => "fwprintf",
        "fwscanf" => "fwscanf",
        "ioctl" => "ioctl",
        "nexttowardf" => "nexttowardf",
        "printf" => "printf",
        "scanf" => "scanf",
        "snprintf" => "snprintf",
        "sprintf" => "sprintf",
        "sscanf" => "sscanf",
        "swprintf" => "swprintf",
        "swscanf" => "swscanf",
        "syslog" => "syslog",
        "vasprintf" => "vasprintf",
        "vdprintf" => "vdprintf",
        "verr" => "verr",
        "verrx" => "verrx",
        "vfprintf" => "vfprintf",
        "vfscanf" => "vfscanf",
        "vfwprintf" => "vfwprintf",
        "vfwscanf" => "vfwscanf",
        "vprintf" => "vprintf",
        "vscanf" => "vscanf",
        "vsnprintf" => "vsnprintf",
        "vsprintf" => "vsprintf",
        "vsscanf" => "vsscanf",
        "vswprintf" => "vswprintf",
        "vswscanf" => "vswscanf",
        "vsyslog" => "vsyslog",
        "vwarn" => "vwarn",
        "vwarnx" => "vwarnx",
        "vwprintf" => "vwprintf",
        "vwscanf" => "vwscanf",
        "warn" => "warn",
        "warnx" => "warnx",
        "wprintf" => "wprintf",
        "wscanf" => "wscanf",
    }
}
