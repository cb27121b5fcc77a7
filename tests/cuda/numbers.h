// SPDX-License-Identifier: MIT
// Numbers as a GPU computes them: whatever NaN goes into an operation, the same one comes out, with
// all bits of its mantissa set. A host's arithmetic hands a NaN's bits on, and so hides from a
// formula that looks at bits what it would meet on a GPU. NVIDIA's GPUs do so in float; double has
// it here alike, which no NaN is harder than. With PYVAE_HOST_NUMBERS they are the host's after
// all: the sanitizers look at memory and order, and are slow enough.
#pragma once

#include <cstdint>
#include <type_traits>

#include "math/elementary.h"

namespace pyvae::emulation {

template <class T>
concept Builtin = std::is_arithmetic_v<T>;

template <class Stored>
class Number {
 public:
  Number() = default;
  template <Builtin T>
  constexpr Number(T value) : value_(seen(Stored(value))) {}
  template <class T>
  constexpr explicit Number(Number<T> value) : Number(T(value)) {}

  // Sums in double take doubles in without being asked.
  constexpr explicit(!std::is_same_v<Stored, double>) operator double() const { return value_; }
  constexpr explicit operator float() const { return float(value_); }

  friend constexpr Number operator-(Number a) { return Number(-a.value_); }
  Number& operator+=(Number other) { return *this = *this + other; }
  Number& operator-=(Number other) { return *this = *this - other; }
  Number& operator*=(Number other) { return *this = *this * other; }

#define PYVAE_ARITHMETIC(op)                                                                       \
  friend constexpr Number operator op(Number a, Number b) { return Number(a.value_ op b.value_); } \
  template <Builtin T>                                                                             \
  friend constexpr auto operator op(Number a, T b) {                                               \
    return Number<decltype(Stored() op T())>(a.value_ op b);                                       \
  }                                                                                                \
  template <Builtin T>                                                                             \
  friend constexpr auto operator op(T a, Number b) {                                               \
    return Number<decltype(T() op Stored())>(a op b.value_);                                       \
  }
  PYVAE_ARITHMETIC(+)
  PYVAE_ARITHMETIC(-)
  PYVAE_ARITHMETIC(*)
  PYVAE_ARITHMETIC(/)
#undef PYVAE_ARITHMETIC

#define PYVAE_COMPARISON(op)                                                             \
  friend constexpr bool operator op(Number a, Number b) { return a.value_ op b.value_; } \
  template <Builtin T>                                                                   \
  friend constexpr bool operator op(Number a, T b) {                                     \
    return a.value_ op b;                                                                \
  }
  PYVAE_COMPARISON(==)
  PYVAE_COMPARISON(<)
  PYVAE_COMPARISON(>)
  PYVAE_COMPARISON(<=)
  PYVAE_COMPARISON(>=)
#undef PYVAE_COMPARISON

 private:
  static constexpr Stored seen(Stored value) {
    using Bits = std::conditional_t<sizeof(Stored) == 8, uint64_t, uint32_t>;
    return value == value ? value : __builtin_bit_cast(Stored, Bits(-1) >> 1);
  }

  Stored value_;
};

}  // namespace pyvae::emulation

namespace pyvae {
namespace {

#ifdef PYVAE_HOST_NUMBERS
using Float = float;
using Double = double;
#else
using Float = emulation::Number<float>;
using Double = emulation::Number<double>;

template <>
struct Numbers<Float> : Numbers<float> {
  using Scalar = Float;
};
template <>
struct Numbers<Double> : Numbers<double> {
  using Scalar = Double;
};
template <>
struct ExpTable<Float> : ExpTable<float> {};
template <>
struct ExpTable<Double> : ExpTable<double> {};
template <>
struct LogTable<Float> : LogTable<float> {};
template <>
struct LogTable<Double> : LogTable<double> {};
#endif

}  // namespace
}  // namespace pyvae
