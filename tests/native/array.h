// SPDX-License-Identifier: MIT
// A tensor as a kernel sees it: a block of memory of exactly its size, in one of several layouts.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "problem.h"

namespace pyvae::native {

// Every word of fresh memory, a NaN as a float and, twice, as a double. It is no number that a
// kernel computes: where it is found, nothing was written, or something was read that is not there.
inline constexpr uint32_t kUnwritten = 0x7fffabcd;

// AddressSanitizer watches both ends of a block; without it a guard zone does.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr int64_t kGuard = 0;
#else
inline constexpr int64_t kGuard = 64;
#endif

using Shape = std::vector<int64_t>;

// What the elements are. All of them are told of in double.
enum class Kind { kFloat, kDouble, kInt64 };

inline int64_t count_of(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return count;
}

enum class Layout {
  kContiguous,
  kUnaligned,   // one element past what the allocator aligned
  kStrided,     // every second element of the last dimension, gaps in the others
  kTransposed,  // column-major in the last two dimensions
  kRepeated,    // stride 0 in one dimension, whose first slice stands for all
};

class Array {
 public:
  Array(const Shape& shape, Kind kind, Layout layout = Layout::kContiguous, int repeated = -1);

  void fill(const std::vector<double>& values);  // row-major
  std::vector<double> values() const;
  Operand operand(size_t batch_rank) const;

  bool has_unwritten() const;  // some element holds kUnwritten still
  bool was_overrun() const;    // a gap or a guard zone holds something else

 private:
  void lay_out(Layout layout, int repeated);
  template <class Body>
  void for_each_element(const Body& body) const;
  uint32_t* word(int64_t element) const { return words_.get() + kGuard + element * width_; }

  Shape shape_, stride_;
  Kind kind_;
  int64_t first_ = 0, elements_ = 0, width_;  // width: words an element
  std::unique_ptr<uint32_t[]> words_;
};

}  // namespace pyvae::native
