// SPDX-License-Identifier: MIT
// The widest vectors of the instruction set that a file is compiled for.
#pragma once

#include "math/numbers.h"

namespace pyvae {
namespace {

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif
using Float = Vector<float, kVectorBytes>;
using Double = Vector<double, kVectorBytes>;

}  // namespace
}  // namespace pyvae
