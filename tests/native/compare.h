// SPDX-License-Identifier: MIT
// When two outcomes count as the same.
#pragma once

#include "call.h"

namespace pyvae::native {

// Two kernels may each be this far from the truth, and so twice as far from each other: relative
// to the largest result of the call for values, as tests/ops/checks.py has it, to the largest entry
// for gradients. Of integers a share may differ: which of two scores is larger is chance where
// they differ by their rounding, and of extreme values all may.
struct Tolerance {
  double of_float, of_double, of_integers;
};
inline constexpr Tolerance kOrdinary = {2 * 2e-6, 2 * 1e-13, 0.1};
inline constexpr Tolerance kExtreme = {2 * 1e-5, 2 * 1e-13, 1.0};  // 80 rounded and exponentiated

// Each throws std::runtime_error that says which number differs.
void require_same_bits(const Outcome& a, const Outcome& b);
void require_close(const Outcome& got, const Outcome& want, Kind kind, const Tolerance& tolerance);
void require_no_nan(const Outcome& outcome);

}  // namespace pyvae::native
