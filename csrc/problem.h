// SPDX-License-Identifier: MIT
// What a kernel is handed: plain pointers, sizes and strides, and two services of its caller. No
// torch types.
#pragma once

#include <cstddef>
#include <cstdint>

#include "math/host_device.h"

namespace pyvae {

inline constexpr int kMaxBatchRank = 8;
inline constexpr int kMaxCoreRank = 3;
inline constexpr int kMaxOperands = 20;

// Lists of the components that count for a point: how many each has room for, a whole number of
// vectors of any width; and in the place of a component what ends a list, and what says in its
// first place that there is none.
inline constexpr int kListed = 16;
inline constexpr int kEnd = -1, kNoList = -2;

// A tensor whose last one to three dimensions belong to the op and whose leading ones are the
// batch. Strides count elements; a broadcast dimension has stride 0. `data` is null where a
// gradient is not wanted.
struct Operand {
  void* data = nullptr;
  int64_t size[kMaxCoreRank] = {1, 1, 1};
  int64_t stride[kMaxCoreRank] = {0, 0, 0};
  int64_t batch_stride[kMaxBatchRank] = {};
};

// One call of an op. Operands stand in the order of the op's schema, the results behind the
// arguments. The batch is the same for all of them, with adjacent dimensions merged where every
// operand allows it.
struct Problem {
  int64_t n = 1, k = 1, d = 1;
  int64_t batch = 1;
  int batch_rank = 0;
  int64_t batch_size[kMaxBatchRank] = {};
  Operand operand[kMaxOperands];
};

namespace {

// Where entry `entry` of the batch starts in an operand. Internal: each instruction set keeps a
// copy of its own.
PYVAE_HD inline int64_t batch_offset(const Problem& problem, const Operand& of, int64_t entry) {
  if (problem.batch_rank <= 1) return entry * of.batch_stride[0];
  int64_t total = 0;
  PYVAE_SELDOM for (int dim = problem.batch_rank - 1; dim >= 0; --dim) {
    total += entry % problem.batch_size[dim] * of.batch_stride[dim];
    entry /= problem.batch_size[dim];
  }
  return total;
}

// The numbers of one batch entry of an operand; null where the operand is not there.
template <class T>
PYVAE_HD inline T* data_of(const Problem& problem, int operand, int64_t entry) {
  const Operand& of = problem.operand[operand];
  return of.data ? static_cast<T*>(of.data) + batch_offset(problem, of, entry) : nullptr;
}

}  // namespace

// Services of the caller. `run` calls task(argument, i) for i in [0, tasks), each exactly once, on
// up to `threads` threads. `allocate` gives memory aligned to 64 bytes that lives until the call
// ends; only the calling thread asks. Kernels on a GPU are handed its memory and a stream instead
// of threads.
struct Runtime {
  int threads = 1;
  void* context = nullptr;
  void (*run)(int64_t tasks, void (*task)(void*, int64_t), void* argument) = nullptr;
  void* (*allocate)(void* context, size_t bytes) = nullptr;
  void* stream = nullptr;
};

using Kernel = void (*)(const Problem&, const Runtime&);

// One op on one instruction set or GPU, for float and for double. Ops without a gradient have no
// backward.
struct KernelPair {
  Kernel forward[2], backward[2];
};

}  // namespace pyvae
