// SPDX-License-Identifier: MIT
#include "compare.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace pyvae::native {
namespace {

using Numbers = std::vector<std::vector<double>>;

[[noreturn]] void differ(const char* what, size_t which, size_t at, double got, double want) {
  throw std::runtime_error(std::string(what) + " " + std::to_string(which) + " at " +
                           std::to_string(at) + ": " + std::to_string(got) + ", expected " +
                           std::to_string(want) + ", which differs by " +
                           std::to_string(std::abs(got - want) / std::abs(want)) + " of it");
}

// Every pair of numbers that both calls computed.
template <class Body>
void for_each_pair(const Numbers& a, const Numbers& b, const Body& body) {
  for (size_t which = 0; which < a.size() && which < b.size(); ++which)
    for (size_t at = 0; at < std::min(a[which].size(), b[which].size()); ++at)
      body(which, at, a[which][at], b[which][at]);
}

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

double largest(const std::vector<double>& values) {
  double top = 1.0;
  for (const double value : values)
    if (std::isfinite(value)) top = std::max(top, std::abs(value));
  return top;
}

double largest(const Numbers& all) {
  double top = 1.0;
  for (const std::vector<double>& values : all) top = std::max(top, largest(values));
  return top;
}

void require_close(const char* what, const Numbers& got, const Numbers& want, double tolerance,
                   bool by_tensor) {
  std::vector<double> scale(want.size(), largest(want));
  for (size_t which = 0; by_tensor && which < want.size(); ++which)
    scale[which] = largest(want[which]);
  for_each_pair(got, want, [&](size_t which, size_t at, double a, double b) {
    if (same(a, b)) return;
    if (!(std::abs(a - b) <= tolerance * scale[which])) differ(what, which, at, a, b);
  });
}

void require_equal_but(double share, const Numbers& got, const Numbers& want) {
  int64_t count = 0, different = 0;
  for_each_pair(got, want,
                [&](size_t, size_t, double a, double b) { ++count, different += a != b; });
  if (double(different) > share * double(count))
    throw std::runtime_error(std::to_string(different) + " of " + std::to_string(count) +
                             " integers differ");
}

}  // namespace

void require_same_bits(const Outcome& a, const Outcome& b) {
  const auto require = [](const char* what) {
    return [=](size_t which, size_t at, double x, double y) {
      if (!same(x, y) || std::signbit(x) != std::signbit(y)) differ(what, which, at, x, y);
    };
  };
  for_each_pair(a.results, b.results, require("result"));
  for_each_pair(a.integers, b.integers, require("integer"));
  for_each_pair(a.gradients, b.gradients, require("gradient"));
}

void require_close(const Outcome& got, const Outcome& want, Kind kind, const Tolerance& allowed) {
  const double tolerance = kind == Kind::kDouble ? allowed.of_double : allowed.of_float;
  require_equal_but(allowed.of_integers, got.integers, want.integers);
  require_close("result", got.results, want.results, tolerance, false);
  // Responsibilities are exponentials of scores, whose rounding is their relative error; where
  // scores are huge they are 0 or 1 and round no more.
  const double scores = largest(want.results);
  require_close("gradient", got.gradients, want.gradients,
                tolerance * (scores < 1e4 ? scores : 1.0), true);
}

void require_no_nan(const Outcome& outcome) {
  for (const Numbers* numbers : {&outcome.results, &outcome.gradients})
    for (const std::vector<double>& values : *numbers)
      for (const double value : values)
        if (std::isnan(value)) throw std::runtime_error("finite arguments gave NaN");
}

}  // namespace pyvae::native
