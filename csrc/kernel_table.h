// SPDX-License-Identifier: MIT
// The kernels of one instruction set, or of a GPU.
#pragma once

#include "problem.h"

namespace pyvae {

enum class MathFunction {
  kExp,
  kExpm1,
  kExpMinusTangent,
  kExpOfGap,
  kExpWithoutSubnormals,
  kLog,
  kScaleKlOfQ,
  kScaleKlOfP
};
// Their names, in that order. The last two are a function of one scale, the other being 1.
inline constexpr const char* kMathFunctions[] = {"exp",
                                                 "expm1",
                                                 "exp_minus_tangent",
                                                 "exp_of_gap",
                                                 "exp_without_subnormals",
                                                 "log",
                                                 "gaussian_scale_kl_of_q",
                                                 "gaussian_scale_kl_of_p"};

struct KernelTable {
  const KernelPair* const* ops;  // in the order of the op table
  // The math primitives one number at a time, for the tests of their error bounds. Not on a GPU.
  void (*evaluate[2])(MathFunction, const void* from, void* to, int64_t count);
};

}  // namespace pyvae
