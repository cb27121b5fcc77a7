// SPDX-License-Identifier: MIT
// The kernels and the math primitives of one instruction set.
#include "common/vectors.h"
#include "kernels.h"
#include "math/elementary.h"
#include "math/simd.h"

namespace pyvae {
namespace {

template <class V>
void evaluate(MathFunction function, const void* from, void* to, int64_t count) {
  using T = ScalarOf<V>;
  for (int64_t i = 0; i < count; ++i) {
    V x = splat<V>(static_cast<const T*>(from)[i]);
    switch (function) {
      case MathFunction::kExp:
        x = exp(x);
        break;
      case MathFunction::kExpm1:
        x = expm1(x);
        break;
      case MathFunction::kExpMinusTangent:
        x = exp_minus_tangent(x);
        break;
      case MathFunction::kExpOfGap:
        x = exp_of_gap(x);
        break;
      case MathFunction::kLog:
        x = log(x);
        break;
    }
    static_cast<T*>(to)[i] = x[0];
  }
}

}  // namespace

constinit const KernelTable PYVAE_DEVICE::table = {kKernels, {evaluate<Float>, evaluate<Double>}};

}  // namespace pyvae
