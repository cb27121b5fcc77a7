// SPDX-License-Identifier: MIT
// The primitives of math/ as functions of one number, for the tests of what they promise.
#pragma once

#include "kernel_table.h"
#include "math/elementary.h"
#include "math/scales.h"

namespace pyvae {
namespace {

template <class V>
V evaluate(MathFunction function, V x) {
  const V one = splat<V>(1);
  switch (function) {
    case MathFunction::kExp:
      return exp(x);
    case MathFunction::kExpm1:
      return expm1(x);
    case MathFunction::kExpMinusTangent:
      return exp_minus_tangent(x);
    case MathFunction::kExpOfGap:
      return exp_of_gap(x);
    case MathFunction::kExpWithoutSubnormals:
      return exp_without_subnormals(x);
    case MathFunction::kLog:
      return log(x);
    case MathFunction::kScaleKlOfQ:
      return gaussian_scale_kl(x, one);
    case MathFunction::kScaleKlOfP:
      return gaussian_scale_kl(one, x);
  }
  return x;
}

}  // namespace
}  // namespace pyvae
