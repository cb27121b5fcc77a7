// SPDX-License-Identifier: MIT
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "cpu/table.h"

namespace pyvae {

namespace baseline {
extern const KernelTable table;
}
#ifdef PYVAE_HAVE_AVX2
namespace avx2 {
extern const KernelTable table;
}
#endif
#ifdef PYVAE_HAVE_AVX512
namespace avx512 {
extern const KernelTable table;
}
#endif

namespace {

const Variant kVariants[] = {
    {"baseline", &baseline::table, [] { return true; }},
#ifdef PYVAE_HAVE_AVX2
    {"avx2", &avx2::table,
     [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }},
#endif
#ifdef PYVAE_HAVE_AVX512
    {"avx512", &avx512::table,
     [] {
       return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("fma");
     }},
#endif
};

const Variant* named(const std::string& name) {
  std::string runnable;
  for (const Variant& variant : kVariants) {
    if (!variant.supported()) continue;
    if (name == variant.name) return &variant;
    runnable += (runnable.empty() ? "" : ", ") + std::string(variant.name);
  }
  throw std::runtime_error(
      "PYVAE_CPU_ISA: expected an instruction set that this processor runs and this build holds (" +
      runnable + "), got '" + name + "'; name one of these or unset the variable");
}

const Variant* first_choice() {
  if (const char* name = std::getenv("PYVAE_CPU_ISA"); name && *name) return named(name);
  const Variant* best = kVariants;
  for (const Variant& variant : kVariants)
    if (variant.supported()) best = &variant;
  return best;
}

const Variant*& current() {
  static const Variant* variant = first_choice();
  return variant;
}

}  // namespace

const Variant* variants(int* count) {
  *count = sizeof(kVariants) / sizeof(kVariants[0]);
  return kVariants;
}

const Variant& chosen() { return *current(); }

void choose(const char* name) { current() = named(name); }

}  // namespace pyvae
