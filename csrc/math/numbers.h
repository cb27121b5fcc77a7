// SPDX-License-Identifier: MIT
// One vocabulary for scalars and for vectors of lanes, so that a formula is written once for both,
// and for CUDA threads, which compute with scalars.
//
// A vector is a GCC/Clang vector extension type; arithmetic, comparison and `mask ? a : b` work on
// it as they do on a scalar. Everything here has internal linkage: each instruction set compiles a
// copy of its own, and none may leak into another (a weak AVX-512 symbol would be picked for the
// baseline too).
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "math/host_device.h"

namespace pyvae {
namespace {

template <class T, int kBytes>
struct VectorOf {
  typedef T type __attribute__((vector_size(kBytes)));
};
template <class T, int kBytes>
using Vector = typename VectorOf<T, kBytes>::type;

// Numbers<V>: the scalar of V, the integers of V's shape, and how many lanes it has.
template <class V>
struct Numbers {
  using Scalar = __typeof__(V{}[0] + 0);
  using Integer = __typeof__(V{} < V{});
  using Unsigned =
      Vector<std::conditional_t<sizeof(Scalar) == 8, uint64_t, uint32_t>, int(sizeof(V))>;
  static constexpr int kLanes = sizeof(V) / sizeof(Scalar);
};
template <>
struct Numbers<float> {
  using Scalar = float;
  using Integer = int32_t;
  using Unsigned = uint32_t;
  static constexpr int kLanes = 1;
};
template <>
struct Numbers<double> {
  using Scalar = double;
  using Integer = int64_t;
  using Unsigned = uint64_t;
  static constexpr int kLanes = 1;
};
template <class V>
using ScalarOf = typename Numbers<V>::Scalar;
template <class V>
using IntegerOf = typename Numbers<V>::Integer;
template <class V>
using UnsignedOf = typename Numbers<V>::Unsigned;
template <class V>
inline constexpr int kLanesOf = Numbers<V>::kLanes;

// A loop over lanes compiles to one insert a lane; subtracting a zero vector compiles to a
// broadcast.
template <class V>
PYVAE_HD inline V splat(ScalarOf<V> value) {
  return value - V{};
}

// Reductions, lane by lane; all but the sum pass NaN over.
struct Add {
  template <class V>
  PYVAE_HD V operator()(V a, V b) const {
    return a + b;
  }
};
struct Largest {
  template <class V>
  PYVAE_HD V operator()(V a, V b) const {
    return b > a ? b : a;
  }
};
struct Smallest {
  template <class V>
  PYVAE_HD V operator()(V a, V b) const {
    return b < a ? b : a;
  }
};
template <class V>
PYVAE_HD inline V size_of(V x) {
  return x < V{} ? -x : x;
}

template <class T>
inline constexpr T kInfinity = T(__builtin_inf());
template <class T>
inline constexpr T kLargestFinite =
    sizeof(T) == sizeof(float) ? T(0x1.fffffep127) : T(0x1.fffffffffffffp1023);

template <class T>
PYVAE_HD inline T larger(T a, T b) {
  return a < b ? b : a;
}
template <class T>
PYVAE_HD inline T smaller(T a, T b) {
  return b < a ? b : a;
}

}  // namespace
}  // namespace pyvae
