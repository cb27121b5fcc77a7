// SPDX-License-Identifier: MIT
// The kernels and the math primitives of one instruction set.
#include "common/primitives.h"
#include "common/vectors.h"
#include "kernels.h"
#include "math/simd.h"

namespace pyvae {
namespace {

template <class V>
void evaluate(MathFunction function, const void* from, void* to, int64_t count) {
  using T = ScalarOf<V>;
  for (int64_t i = 0; i < count; ++i) {
    T lanes[kLanesOf<V>];  // copied: arithmetic would turn a signalling NaN into a quiet one
    for (T& lane : lanes) lane = static_cast<const T*>(from)[i];
    const V x = evaluate(function, load<V>(lanes));
    static_cast<T*>(to)[i] = x[0];
  }
}

}  // namespace

constinit const KernelTable PYVAE_DEVICE::table = {kKernels, {evaluate<Float>, evaluate<Double>}};

}  // namespace pyvae
