// SPDX-License-Identifier: MIT
// exp, expm1, e^x - 1 - x and log over a scalar or a vector of float or double.
//
// x = n ln 2 + r with |r| <= ln 2 / 2, and e^r - 1 = r + r^2 q(r), q a minimax polynomial (its
// error on that interval is 7.2e-8 in float and 1.7e-18 in double, before the factor r^2). kTangent
// is that of (e^x - 1 - x) / x^2 for |x| < 1.25, relative error 2.5e-8 and 3.3e-19.
#pragma once

#include "math/numbers.h"

namespace pyvae {
namespace {

// Polynomials by Horner's rule, the highest coefficient first. An index known to the compiler keeps
// the coefficients out of memory, and lets CUDA code read a table of the host.
template <const auto& kCoefficients, int kIndex>
struct Coefficient {
  static constexpr auto kValue = kCoefficients[kIndex];
};
template <const auto& kCoefficients, class V, int... kIndices>
PYVAE_HD inline V horner(V x, std::integer_sequence<int, kIndices...>) {
  V value = Coefficient<kCoefficients, 0>::kValue - V{};
  ((value = value * x + Coefficient<kCoefficients, kIndices + 1>::kValue), ...);
  return value;
}
template <const auto& kCoefficients, class V>
PYVAE_HD inline V polynomial(V x) {
  constexpr int kCount = sizeof(kCoefficients) / sizeof(kCoefficients[0]);
  return horner<kCoefficients>(x, std::make_integer_sequence<int, kCount - 1>());
}

template <class T>
struct ExpTable;
template <>
struct ExpTable<float> {
  // Adding it leaves the nearest integer in the low bits, with the bias of an exponent.
  static constexpr float kRound = 0x1.8p23f + 127;
  static constexpr float kLog2e = 0x1.715476p0f, kLn2High = 0x1.62e4p-1f, kLn2Low = 0x1.7f7d1cp-20f;
  static constexpr int kMantissa = 23, kBias = 127;
  static constexpr float kLowest = -105.0f, kHighest = 89.0f;
  static constexpr float kSmallestNormal = -86.6f;  // its exponential, with room for rounding
  static constexpr float kLargestNormal = 88.7228f;
  static constexpr float kPositive = -103.972f;  // from here up the exponential is above zero
  static constexpr float kMinusOne = -20.0f;     // expm1 is -1 to the last bit from here down
  static constexpr float kTail[] = {1.3927684e-3f, 8.3643807e-3f, 4.1666545e-2f, 1.66665696e-1f,
                                    0.5f};
  static constexpr float kTangent[] = {2.78144483e-6f, 2.56678167e-5f, 1.98480509e-4f, 1.388051e-3f,
                                       8.33324516e-3f, 4.16669233e-2f, 1.66666687e-1f, 0.5f};
};
template <>
struct ExpTable<double> {
  static constexpr double kRound = 0x1.8p52 + 1023;
  static constexpr double kLog2e = 0x1.71547652b82fep0, kLn2High = 0x1.62e42fefap-1,
                          kLn2Low = 0x1.cf79abc9e3b39p-40;
  static constexpr int kMantissa = 52, kBias = 1023;
  static constexpr double kLowest = -746.0, kHighest = 710.0;
  static constexpr double kSmallestNormal = -707.7, kLargestNormal = 709.782712893384,
                          kPositive = -745.133;
  static constexpr double kMinusOne = -40.0;
  static constexpr double kTail[] = {2.0916212837493853e-9,
                                     2.5107353767261877e-8,
                                     2.7557269903215793e-7,
                                     2.7557250163029180e-6,
                                     2.4801587328555859e-5,
                                     1.9841269879033044e-4,
                                     1.3888888888882870e-3,
                                     8.3333333333249057e-3,
                                     4.1666666666666670e-2,
                                     1.6666666666666672e-1,
                                     0.5};
  static constexpr double kTangent[] = {2.828533926636839032e-15, 4.877470323501200277e-14,
                                        7.647873636017153124e-13, 1.146826658683710836e-11,
                                        1.605901392306142171e-10, 2.087678955219692361e-9,
                                        2.505210882037273135e-8,  2.755731898752145957e-7,
                                        2.755731922091654581e-6,  2.480158730251760672e-5,
                                        1.984126984128051028e-4,  1.388888888888709657e-3,
                                        8.33333333333331734e-3,   4.166666666666667977e-2,
                                        1.666666666666666674e-1,  0.5};
};

// The reduced argument: x = n ln 2 + r, and tail = e^r - 1 - r.
template <class V>
struct Reduced {
  V shifted, r, tail;

  // n and the bias in the low bits, and kRound's above them.
  PYVAE_HD IntegerOf<V> bits() const { return __builtin_bit_cast(IntegerOf<V>, shifted); }
  PYVAE_HD IntegerOf<V> n() const {
    const ScalarOf<V> round = ExpTable<ScalarOf<V>>::kRound;
    return bits() - __builtin_bit_cast(IntegerOf<ScalarOf<V>>, round);
  }
  // 2^n for -bias < n <= bias: the shift pushes kRound's bits out, and leaves n and the bias in the
  // exponent. Unsigned: out of range it wraps. Of NaN it may be any number, and must be multiplied
  // with one that is NaN: added to its bits it would carry NaN over into a number.
  PYVAE_HD V scale() const {
    using Bits = UnsignedOf<V>;
    return __builtin_bit_cast(V, __builtin_bit_cast(Bits, bits())
                                     << ExpTable<ScalarOf<V>>::kMantissa);
  }
};

// `round` may be less than kRound by a whole number, by which the exponent of scale() is less, too.
template <class V>
PYVAE_HD inline Reduced<V> reduce(V x, ScalarOf<V> round = ExpTable<ScalarOf<V>>::kRound) {
  using Table = ExpTable<ScalarOf<V>>;
  const V shifted = x * Table::kLog2e + round;
  const V whole = shifted - round;
  const V r = (x - whole * Table::kLn2High) - whole * Table::kLn2Low;
  return {shifted, r, r * r * polynomial<Table::kTail>(r)};
}

// 2^n for -bias < n <= bias.
template <class V>
PYVAE_HD inline V power_of_two(IntegerOf<V> n) {
  using Table = ExpTable<ScalarOf<V>>;
  return __builtin_bit_cast(V, (n + Table::kBias) << Table::kMantissa);
}

// Keeps NaN: both comparisons are false for it.
template <class V>
PYVAE_HD inline V clamp(V x, ScalarOf<V> low, ScalarOf<V> high) {
  x = x < low ? low - V{} : x;
  return x > high ? high - V{} : x;
}

// exp(x): float and double within 2 ulp; NaN -> NaN; under -104 (-746) -> 0; over 88.73 (709.79) ->
// inf. The scale is applied in two halves, so results below the normal range round to subnormals
// instead of to zero.
template <class V>
PYVAE_HD inline V exp(V x) {
  using Table = ExpTable<ScalarOf<V>>;
  const Reduced<V> reduced = reduce(clamp(x, Table::kLowest, Table::kHighest));
  const IntegerOf<V> n = reduced.n(), half = n >> 1;
  const V mantissa = (reduced.r + reduced.tail) + ScalarOf<V>(1);
  return mantissa * power_of_two<V>(half) * power_of_two<V>(n - half);
}

// exp(x) for x <= 0, as sums of exponentials need it: within 2 ulp down to the smallest normal
// number, and 0 below it; NaN -> NaN. Arguments up to 88 (709) are right too.
template <class V>
PYVAE_HD inline V exp_of_gap(V x) {
  const Reduced<V> reduced = reduce(x);
  const V scale = reduced.scale();
  const V scaled = scale * (reduced.r + reduced.tail) + scale;
  return x < ExpTable<ScalarOf<V>>::kSmallestNormal ? V{} : scaled;
}

// exp(x) where results below the smallest normal number do not matter: within 2 ulp, 0 below it;
// over 88.73 (709.79) -> inf; NaN -> NaN. Half the scale, for 2^n may be out of range where the
// result is not.
template <class V>
PYVAE_HD inline V exp_without_subnormals(V x) {
  using Table = ExpTable<ScalarOf<V>>;
  using T = ScalarOf<V>;
  const Reduced<V> reduced = reduce(x, Table::kRound - T(1));
  const V scaled = reduced.scale() * (T(2) * (reduced.r + reduced.tail) + T(2));
  const V finite = x < Table::kSmallestNormal ? V{} : scaled;
  return x > Table::kLargestNormal ? kInfinity<T> - V{} : finite;
}

// e^x - 1 from its reduced argument. Half the scale goes on at the end: 2^n can be out of range
// where the result is not.
template <class V>
PYVAE_HD inline V expm1_of(Reduced<V> reduced) {
  using T = ScalarOf<V>;
  const V half_scale = power_of_two<V>(reduced.n() - 1);
  return T(2) * (half_scale * (reduced.r + reduced.tail) + (half_scale - T(0.5)));
}

// expm1(x) = e^x - 1: within 4 ulp; NaN -> NaN; under -20 (-40) -> -1; over 88.73 (709.79) -> inf.
template <class V>
PYVAE_HD inline V expm1(V x) {
  using Table = ExpTable<ScalarOf<V>>;
  return expm1_of(reduce(clamp(x, Table::kMinusOne, Table::kHighest)));
}

// e^x - 1 - x: never negative, float and double within 4 ulp; NaN -> NaN; +-inf -> inf. Below 1.25
// in size expm1(x) - x would lose digits, and x^2 p(x) takes its place.
template <class V>
PYVAE_HD inline V exp_minus_tangent(V x) {
  using Table = ExpTable<ScalarOf<V>>;
  using T = ScalarOf<V>;
  const V highest = Table::kHighest - V{};
  const V below = x > Table::kHighest ? highest : x;  // inf - inf would be NaN
  const V far = expm1_of(reduce(clamp(x, Table::kMinusOne, Table::kHighest))) - below;
  return (x > T(-1.25)) & (x < T(1.25)) ? x * x * polynomial<Table::kTangent>(x) : far;
}

// log m for m = 1 + f in [sqrt(1/2), sqrt(2)): with s = f / (2 + f) it is 2 atanh(s) = 2 s + s^3
// p(s^2), p a minimax polynomial (its error there, relative to log m, is 8.1e-10 in float
// and 1.2e-18 in double).
template <class T>
struct LogTable;
template <>
struct LogTable<float> {
  static constexpr float kLn2High = 0x1.62e3p-1f, kLn2Low = 0x1.2fefa2p-17f;
  static constexpr float kSmallest = 0x1p-126f, kShift = 25;  // the smallest normal number
  static constexpr float kAtanh[] = {0.29871862f, 0.39977537f, 0.66666776f};
};
template <>
struct LogTable<double> {
  static constexpr double kLn2High = 0x1.62e42feep-1, kLn2Low = 0x1.a39ef35793c76p-33;
  static constexpr double kSmallest = 0x1p-1022, kShift = 54;
  static constexpr double kAtanh[] = {0.14796104129218133221, 0.15314035955641917389,
                                      0.18183564862500348024, 0.22222198563552553312,
                                      0.28571428742474395546, 0.39999999999414322197,
                                      0.66666666666667344604};
};

// A small integer as a number: added to the low bits of kRound, which is then taken off again.
template <class V>
PYVAE_HD inline V number_of(IntegerOf<V> n) {
  const ScalarOf<V> round = ExpTable<ScalarOf<V>>::kRound;
  return __builtin_bit_cast(V, n + __builtin_bit_cast(IntegerOf<ScalarOf<V>>, round)) - round;
}

// n ln 2 + log(1 + f) of a positive normal x = 2^n (1 + f). The order of the sum is fdlibm's (K. C.
// Ng, e_log.c, 1993): 2 s = f - s f = f - f^2 / 2 + s f^2 / 2, so that the rounding of s meets
// small numbers only.
template <class V>
PYVAE_HD inline V log_of_normal(V x, V shift) {
  using Table = LogTable<ScalarOf<V>>;
  using T = ScalarOf<V>;
  constexpr int kMantissa = ExpTable<T>::kMantissa;
  const T root_half = T(0.70710678118654752440);
  const IntegerOf<V> bits = __builtin_bit_cast(IntegerOf<V>, x);
  const IntegerOf<V> above = bits - __builtin_bit_cast(IntegerOf<T>, root_half);
  const IntegerOf<V> n = above >> kMantissa;
  const V f = __builtin_bit_cast(V, bits - (n << kMantissa)) - T(1);
  const V s = f / (T(2) + f), square = s * s, half = T(0.5) * f * f;
  const V p = polynomial<Table::kAtanh>(square);
  const V exponent = number_of<V>(n) - shift;
  return s * (half + square * p) + exponent * Table::kLn2Low - half + f +
         exponent * Table::kLn2High;
}

// log(x): float and double within 1 ulp, subnormals too; 0 and -0 -> -inf; x < 0 and NaN -> NaN;
// inf -> inf.
template <class V>
PYVAE_HD inline V log(V x) {
  using Table = LogTable<ScalarOf<V>>;
  using T = ScalarOf<V>;
  const V one = T(1) - V{}, none{};
  const V finite = (x > T(0)) & (x < kInfinity<T>) ? x : one;
  const auto subnormal = finite < Table::kSmallest;
  const V scaled = finite * power_of_two<V>(IntegerOf<V>{} + IntegerOf<T>(Table::kShift));
  const V value =
      log_of_normal<V>(subnormal ? scaled : finite, subnormal ? Table::kShift - none : none);
  const V infinite = x == T(0) ? none - kInfinity<T> : x;  // 0 -> -inf, inf and NaN stay
  const V outside = x < T(0) ? none + T(__builtin_nan("")) : infinite;
  return (x > T(0)) & (x < kInfinity<T>) ? value : outside;
}

}  // namespace
}  // namespace pyvae
