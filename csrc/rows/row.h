// SPDX-License-Identifier: MIT
// What the ops that reduce one row share: reading a strided row by vectors, writing results, rows
// over threads.
#pragma once

#include "common/parallel.h"
#include "math/simd.h"

namespace pyvae {
namespace {

enum class Stride { kOne, kZero, kAny };

// One row of an argument. Contiguous and broadcast rows are read by vectors, others element by
// element; where the stride is known beforehand, nothing asks for it in the loop.
template <class V, Stride kStride = Stride::kAny>
class Row {
  using T = ScalarOf<V>;

 public:
  Row(const T* data, int64_t stride) : data_(data), stride_(stride) {}
  Row(const Problem& problem, int operand, int64_t entry)
      : Row(data_of<const T>(problem, operand, entry), problem.operand[operand].stride[0]) {}

  // The `count` elements from d; further lanes hold zeros (a broadcast row: its one value).
  V at(int64_t d, int64_t count) const {
    const int64_t stride = kStride == Stride::kOne ? 1 : kStride == Stride::kZero ? 0 : stride_;
    if (stride == 0) return splat<V>(*data_);
    if (stride == 1 && count == kLanesOf<V>) return load<V>(data_ + d);
    T lanes[kLanesOf<V>] = {};
    for (int64_t lane = 0; lane < count; ++lane) lanes[lane] = data_[(d + lane) * stride];
    return load<V>(lanes);
  }

 private:
  const T* data_;
  int64_t stride_;
};

template <class V>
inline void store_first(ScalarOf<V>* to, V value, int64_t count) {
  if (count == kLanesOf<V>)
    store<V>(to, value);
  else {
    ScalarOf<V> lanes[kLanesOf<V>];
    store<V>(lanes, value);
    for (int64_t lane = 0; lane < count; ++lane) to[lane] = lanes[lane];
  }
}

template <class V, class Body>
inline void for_each_vector(int64_t d, const Body& body) {
  int64_t at = 0;
  for (; at + kLanesOf<V> <= d; at += kLanesOf<V>) body(at, int64_t(kLanesOf<V>));
  if (at < d) body(at, d - at);
}

template <class Body>
inline void for_each_row(const Problem& problem, const Runtime& runtime, const Body& body) {
  constexpr int64_t kWorkPerElement = 16;  // an exp and an expm1 each
  const int64_t tasks =
      tasks_for(runtime, problem.batch * problem.d * kWorkPerElement, problem.batch);
  parallel(runtime, tasks, [&](int64_t task) {
    const Range rows = share(problem.batch, task, tasks);
    for (int64_t entry = rows.begin; entry < rows.end; ++entry) body(entry);
  });
}

}  // namespace
}  // namespace pyvae
