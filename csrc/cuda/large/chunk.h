// SPDX-License-Identifier: MIT
// A chunk of the points of one batch entry against all components: the coefficient of every pair,
// and which of them survive. One kernel makes it, others sum it, and the next chunk takes its
// place.
//
// A problem that kernels are handed beside a chunk has only its points, and one entry.
#pragma once

#include "cuda/large/bounds.h"
#include "cuda/large/packed.h"
#include "cuda/tuning.h"

namespace pyvae {
namespace {

// Points of a word of survivors.
inline constexpr int kWordBits = 32;

// Which operands an op's backward pass reads and writes by points: the points, their log-densities,
// what their terms are weighed by, and their gradients (-1: it has none).
struct PointOperands {
  int point, log_prob, weight, by_point;
  uint32_t all;  // a bit each
};

template <class T>
struct Chunk {
  int64_t count = 0, capacity = 0, padded_k = 0;
  T* terms = nullptr;                // (capacity, padded_k); zero behind the last point
  unsigned* by_point = nullptr;      // (capacity, padded_k / 32)
  unsigned* by_component = nullptr;  // (padded_k, capacity / 32)
  int* survivors = nullptr;          // how many there are
  int64_t most = -1;                 // up to so many pairs are visited one by one; -1: never
  bool first = true;                 // of the entry: nothing has been summed before
  Screen screen;                     // of the chunk's points

  __device__ bool sparse() const { return screen.chosen() || (most >= 0 && *survivors <= most); }
  __device__ T* row(int64_t n) const { return terms + n * padded_k; }
  __device__ unsigned* components_of(int64_t n) const {
    return by_point + n * (padded_k / kWordBits);
  }
  __device__ unsigned* points_of(int64_t k) const {
    return by_component + k * (capacity / kWordBits);
  }
};

// Of so many points against k components.
PYVAE_HD inline int64_t most_survivors(int64_t points, int64_t k, int64_t share) {
  return points * k * share / 1024;
}

template <class T>
int64_t chunk_capacity(const Problem& problem, const Panels<T>& panels) {
  const int64_t row = panels.padded_k * int64_t(sizeof(T));
  const int64_t tiles = larger<int64_t>(1, pyvae_cuda_tuning.chunk_bytes / (row * kWide<T>));
  return smaller(tiles, divide_up(problem.n, kWide<T>)) * kWide<T>;
}

// Memory for one chunk at a time, and a count of survivors for each.
template <class T>
Chunk<T> take_chunk(Carver& memory, const Problem& problem, const Panels<T>& panels,
                    bool terms_only) {
  Chunk<T> chunk;
  chunk.capacity = chunk_capacity(problem, panels), chunk.padded_k = panels.padded_k;
  const int64_t pairs = chunk.capacity * chunk.padded_k;
  chunk.terms = memory.take<T>(pairs);
  chunk.by_point = memory.take<unsigned>(terms_only ? 0 : pairs / kWordBits);
  chunk.by_component = memory.take<unsigned>(terms_only ? 0 : pairs / kWordBits);
  chunk.survivors = memory.take<int>(divide_up(problem.n, chunk.capacity));
  return chunk;
}

// The problem of `count` points from `first`, of one entry; only operands by points are right in
// it.
template <class T>
Problem points_of(const Problem& problem, int64_t entry, uint32_t operands, int64_t first,
                  int64_t count) {
  Problem of = problem;
  of.n = count, of.batch = 1, of.batch_rank = 0;
  for (int i = 0; i < kMaxOperands; ++i) {
    Operand& operand = of.operand[i];
    if (!(operands >> i & 1) || !operand.data) continue;
    operand.data = data_of<T>(problem, i, entry) + first * operand.stride[0];
  }
  return of;
}

// Sums over points for every component: of one entry, in parts that are added in their order. A
// component has sum_n g z, sum_n g z^2 and sum_n g.
struct WideSums {
  double* memory;
  int64_t parts, padded_k, padded_d;

  PYVAE_HD static int64_t row(int64_t padded_d) { return 2 * padded_d + 1; }
  PYVAE_HD double* of(int64_t part, int64_t k) const {
    return memory + (part * padded_k + k) * row(padded_d);
  }
  PYVAE_HD double* z(int64_t part, int64_t k) const { return of(part, k); }
  PYVAE_HD double* squares(int64_t part, int64_t k) const { return of(part, k) + padded_d; }
  PYVAE_HD double* coefficient(int64_t part, int64_t k) const { return of(part, k) + 2 * padded_d; }
};

}  // namespace
}  // namespace pyvae
