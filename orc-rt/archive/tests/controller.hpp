// A controller of a few lines: what the tests of the runtime are linked with, by the system's linker.
//
// It packs arguments as SPS, calls the runtime's wrapper functions, and answers the runtime's calls.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

struct WrapperResult {
  union {
    char *pointer;
    char bytes[8];
  };
  size_t size;
};

using Wrapper = WrapperResult (*)(const char *, size_t);

#define WRAPPER(name) extern "C" WrapperResult name(const char *, size_t)
WRAPPER(__orc_rt_elfnix_platform_bootstrap);
WRAPPER(__orc_rt_elfnix_platform_shutdown);
WRAPPER(__orc_rt_elfnix_register_jitdylib);
WRAPPER(__orc_rt_elfnix_deregister_jitdylib);
WRAPPER(__orc_rt_elfnix_register_init_sections);
WRAPPER(__orc_rt_elfnix_deregister_init_sections);
WRAPPER(__orc_rt_elfnix_register_object_sections);
WRAPPER(__orc_rt_elfnix_deregister_object_sections);
WRAPPER(__orc_rt_run_program_wrapper);
WRAPPER(__orc_rt_jit_dlopen_wrapper);
WRAPPER(__orc_rt_jit_dlclose_wrapper);
WRAPPER(__orc_rt_jit_dlerror_wrapper);
WRAPPER(__orc_rt_ext_elfnix_register_fini_sections);
WRAPPER(__orc_rt_ext_elfnix_initialize);
WRAPPER(__orc_rt_ext_elfnix_close);
WRAPPER(__orc_rt_ext_elfnix_finalize_ranges);
WRAPPER(__orc_rt_ext_elfnix_run_main);

extern "C" {
extern char __orc_rt_resolve_tag, __orc_rt_reoptimize_tag;
extern char __orc_rt_elfnix_push_initializers_tag, __orc_rt_elfnix_symbol_lookup_tag;
void __orc_rt_sysv_reenter();
void __orc_rt_reoptimize(uint64_t unit, uint32_t version);
void *___orc_rt_elfnix_tls_get_addr(void *index);
void ___orc_rt_elfnix_tlsdesc_resolver();
int __orc_rt_elfnix_cxa_atexit(void (*)(void *), void *, void *);
int __orc_rt_elfnix_atexit(void (*)());
int __cxa_thread_atexit(void (*)(void *), void *, void *) noexcept;
void *__orc_rt_elfnix_jit_dlopen(const char *, int);
int __orc_rt_elfnix_jit_dlclose(void *);
int __orc_rt_elfnix_jit_dlupdate(void *);
void *__orc_rt_elfnix_jit_dlsym(void *, const char *);
const char *__orc_rt_elfnix_jit_dlerror();
}

// Packs values one after the other.
struct Packer {
  std::string bytes;
  Packer &u64(uint64_t value) {
    bytes.append(reinterpret_cast<char *>(&value), 8);
    return *this;
  }
  Packer &u32(uint32_t value) {
    bytes.append(reinterpret_cast<char *>(&value), 4);
    return *this;
  }
  Packer &u8(uint8_t value) {
    bytes.push_back(static_cast<char>(value));
    return *this;
  }
  Packer &addr(const void *value) { return u64(reinterpret_cast<uint64_t>(value)); }
  Packer &string(const std::string &value) {
    u64(value.size());
    bytes += value;
    return *this;
  }
  Packer &strings(const std::vector<std::string> &values) {
    u64(values.size());
    for (const auto &value : values)
      string(value);
    return *this;
  }
  Packer &range(const void *start, const void *end) { return addr(start).addr(end); }
};

inline std::string call(Wrapper wrapper, const Packer &arguments = {}) {
  WrapperResult result = wrapper(arguments.bytes.data(), arguments.bytes.size());
  if (result.size == 0 && result.pointer) {
    std::string error = std::string("out of band: ") + result.pointer;
    free(result.pointer);
    return error;
  }
  if (result.size <= 8)
    return std::string(result.bytes, result.size);
  std::string bytes(result.pointer, result.size);
  free(result.pointer);
  return bytes;
}

inline uint64_t asU64(const std::string &bytes, size_t offset = 0) {
  uint64_t value = 0;
  if (bytes.size() >= offset + 8)
    memcpy(&value, bytes.data() + offset, 8);
  return value;
}

// The message of a packed Error; empty for success.
inline std::string errorOf(const std::string &bytes) {
  if (bytes.size() == 1 && bytes[0] == 0)
    return "";
  return bytes.size() > 9 ? bytes.substr(9) : "not an Error: " + bytes;
}

inline void mustSucceed(Wrapper wrapper, const Packer &arguments = {}) {
  std::string error = errorOf(call(wrapper, arguments));
  if (!error.empty()) {
    std::printf("failed: %s\n", error.c_str());
    std::exit(1);
  }
}

// What the runtime's calls are answered with, by tag.
inline std::map<const void *, std::function<Packer(const std::string &)>> handlers;

extern "C" WrapperResult __orc_rt_jit_dispatch(void *context, const void *tag, const char *data,
                                               size_t size);

// A dylib's header holds its own address.
struct Header {
  Header *self = this;
};
