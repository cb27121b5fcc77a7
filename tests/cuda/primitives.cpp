// SPDX-License-Identifier: MIT
// The primitives of math/ as the emulated device computes them.
#include "common/primitives.h"

#include <string>

#include "cuda/device.h"

namespace pyvae {
namespace {

template <class T>
void evaluate_all(MathFunction function, const void* from, void* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    static_cast<T*>(to)[i] = evaluate(function, static_cast<const T*>(from)[i]);
}

}  // namespace
}  // namespace pyvae

// Returns whether there is a function of that name.
extern "C" __attribute__((visibility("default"))) bool pyvae_emulated_evaluate(
    const char* name, bool is_double, const void* from, void* to, int64_t count) {
  using namespace pyvae;
  for (int i = 0; i < int(std::size(kMathFunctions)); ++i) {
    if (kMathFunctions[i] != std::string(name)) continue;
    (is_double ? evaluate_all<Double> : evaluate_all<Float>)(MathFunction(i), from, to, count);
    return true;
  }
  return false;
}
