// SPDX-License-Identifier: MIT
// The kernels of one instruction set, or of a GPU.
#pragma once

#include "problem.h"

namespace pyvae {

enum class MathFunction { kExp, kExpm1, kExpMinusTangent, kExpOfGap, kLog };

struct KernelTable {
  const KernelPair* const* ops;  // in the order of the op table
  // The math primitives one number at a time, for the tests of their error bounds. Not on a GPU.
  void (*evaluate[2])(MathFunction, const void* from, void* to, int64_t count);
};

}  // namespace pyvae
