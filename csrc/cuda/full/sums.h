// SPDX-License-Identifier: MIT
// Sums over the pairs that survive, a tile of a component's points after the other. With g the
// coefficient of a score and y = W (x - mean): by components sum_n g, sum_n g y and sum_n g y y',
// and by points sum_k g W'y, whose terms wait in memory for the point's turn.
#pragma once

#include "cuda/full/pairs.h"

namespace pyvae {
namespace {

// Sums over points of one component, in double: of g, g y and g y y' (its lower triangle).
struct FullSums {
  double *coefficient, *rows, *outer;

  PYVAE_HD static int64_t footprint(int64_t d) { return 1 + d + d * d; }
  PYVAE_HD FullSums(double* memory, int64_t d)
      : coefficient(memory), rows(memory + 1), outer(memory + 1 + d) {}
};

// Which tiles of survivors one launch takes, and its terms by points: (tiles, kSlab, padded_d).
template <class T>
struct TileRange {
  int64_t begin, end;
  T* by_points;  // null where they are not wanted
};

// Shared memory of a block: its pairs by rows, one panel, and the pairs' coefficients. The gaps
// make room for g y.
template <class Number, int kOuter_>
struct PairTile {
  using T = Number;
  static constexpr int kPoints = kSlab<T>, kPitch = kPoints + kWidth<T>;
  static constexpr int kOuter = kOuter_, kBlock = kSide * kOuter;  // of the outer products
  T *gap, *weighted, *y, *panel, *term, *of_point;
  int* point;

  PYVAE_HD static size_t bytes(const Inverses<T>& of) {
    return size_t(2 * of.padded_d * kPitch + of.panel() + 2 * kPoints) * sizeof(T) +
           kPoints * sizeof(int);
  }
  __device__ PairTile(T* memory, const Inverses<T>& of)
      : gap(memory),
        weighted(gap),
        y(gap + of.padded_d * kPitch),
        panel(y + of.padded_d * kPitch),
        term(panel + of.panel()),
        of_point(term + kPoints),
        point(reinterpret_cast<int*>(of_point + kPoints)) {}
};

// The sums of one component; with kMoments y is x - mean.
template <class Tile, bool kMoments>
class ComponentPairs {
 public:
  using T = typename Tile::T;

  __device__ ComponentPairs(const Problem& problem, const Inverses<T>& inverses,
                            const Pairs<T>& pairs, int point_operand, int first_parameter,
                            int64_t component, const FullSums& sums)
      : tile_(&shared_memory<T>(), inverses),
        inverses_(inverses),
        pairs_(pairs),
        component_(component),
        entry_(component / problem.k),
        k_(component % problem.k),
        groups_(int(inverses.groups())),
        from_(problem, first_parameter, entry_),
        x_(problem, point_operand, entry_),
        sums_(sums) {}

  // Adds the pairs of a tile of the component; the terms by points go to `by_points`, if anywhere.
  __device__ void add(int64_t index, T* by_points) {
    load(index);
    if constexpr (!kMoments) multiply_lower();
    __syncthreads();
    add_rows();
    add_outer();
    if (by_points) write_by_points(by_points);
    __syncthreads();
  }

 private:
  static constexpr int kPitch = Tile::kPitch, kPoints = Tile::kPoints;
  __device__ static int own_points() { return int(threadIdx.x) % kWarp * kWidth<T>; }

  // The pairs' coefficients and gaps; zeros behind the last one. With kMoments they are y.
  __device__ void load(int64_t index) {
    const int64_t first = index * kPoints, row = component_ * pairs_.capacity;
    for (int p = int(threadIdx.x); p < kPoints; p += kThreads) {
      const bool there = first + p < pairs_.survived[component_];
      const int n = there ? pairs_.list[row + first + p] : 0;
      const unsigned word = pairs_.of_points[component_ * pairs_.words() + n / kWordBits];
      tile_.point[p] = there ? n : -1;
      tile_.term[p] = there ? pairs_.terms[row + n] : T(0);
      tile_.of_point[p] = there && word >> n % kWordBits & 1 ? tile_.term[p] : T(0);
    }
    if (!kMoments) copy_pieces(tile_.panel, lower(), inverses_.panel());
    __syncthreads();
    for (int p = row_of_thread(); p < kPoints; p += kSide)
      for (int64_t d = column_of_thread(); d < inverses_.padded_d; d += kSide) {
        const bool there = tile_.point[p] >= 0 && d < inverses_.d;
        const T gap = there ? x_.at(pairs_.first + tile_.point[p], d) - from_.mean(k_, d) : T(0);
        if constexpr (kMoments) {
          tile_.y[d * kPitch + p] = gap, tile_.weighted[d * kPitch + p] = tile_.term[p] * gap;
        } else {
          tile_.gap[d * kPitch + p] = gap;
        }
      }
    __syncthreads();
  }

  __device__ const T* lower() const {
    return inverses_.lower + inverses_.factor_of(entry_, k_) * inverses_.panel();
  }
  __device__ const T* upper() const {
    return inverses_.upper + inverses_.factor_of(entry_, k_) * inverses_.panel();
  }

  // y = W gap, and g y.
  __device__ void multiply_lower() {
    const int own = own_points();
    for_each_group(groups_, 1, [&](int rank, int) {
      const int row = (groups_ - 1 - rank) * kGroup<T>;
      T sum[kWidth<T>][kGroup<T>] = {};
      multiply(tile_.panel + inverses_.lower_group(row), Rows<T>{tile_.gap + own, kPitch}, 0,
               row + kGroup<T>, sum);
      PYVAE_UNROLL for (int r = 0; r < kGroup<T>; ++r) {
        Piece<T> y;
        PYVAE_UNROLL for (int n = 0; n < kWidth<T>; ++n) y.value[n] = sum[n][r];
        store_piece(tile_.y + (row + r) * kPitch + own, y);
      }
    });
    __syncthreads();
    const Piece<T> term = load_piece(tile_.term + own);
    for (int row = int(threadIdx.x) / kWarp; row < inverses_.padded_d; row += kWarps) {
      Piece<T> piece = load_piece(tile_.y + row * kPitch + own);
      PYVAE_UNROLL for (int n = 0; n < kWidth<T>; ++n) piece.value[n] *= term.value[n];
      store_piece(tile_.weighted + row * kPitch + own, piece);
    }
  }

  // Sums of g and g y: a warp a row.
  __device__ void add_rows() {
    const int lane = int(threadIdx.x) % kWarp;
    for (int64_t d = int(threadIdx.x) / kWarp; d <= inverses_.d; d += kWarps) {
      const T* const row = d < inverses_.d ? tile_.weighted + d * kPitch : tile_.term;
      const Piece<T> piece = load_piece(row + own_points());
      T total = 0;
      PYVAE_UNROLL for (int n = 0; n < kWidth<T>; ++n) total += piece.value[n];
      total = sum_over_lanes(total, kWarp);
      if (lane == 0) (d < inverses_.d ? sums_.rows[d] : *sums_.coefficient) += double(total);
    }
  }

  // Sums of g y y', by blocks on and below the diagonal. A thread's rows are a side apart.
  __device__ void add_outer() {
    constexpr int kOuter = Tile::kOuter;
    const int d = int(inverses_.d), most = int(inverses_.padded_d) - 1;
    for (int i0 = row_of_thread(); i0 < d; i0 += Tile::kBlock)
      for (int j0 = column_of_thread(); j0 <= (i0 | (kSide - 1)); j0 += Tile::kBlock) {
        const T *left[kOuter], *right[kOuter];
        PYVAE_UNROLL for (int q = 0; q < kOuter; ++q) {
          left[q] = tile_.weighted + smaller(i0 + q * kSide, most) * kPitch;
          right[q] = tile_.y + smaller(j0 + q * kSide, most) * kPitch;
        }
        T sum[kOuter][kOuter] = {};
        for (int n = 0; n < kPoints; n += kWidth<T>) {
          Piece<T> a[kOuter], b[kOuter];
          PYVAE_UNROLL for (int q = 0; q < kOuter; ++q) a[q] = load_piece(left[q] + n),
                                                        b[q] = load_piece(right[q] + n);
          PYVAE_UNROLL for (int m = 0; m < kWidth<T>; ++m) {
            PYVAE_UNROLL for (int p = 0; p < kOuter; ++p) {
              PYVAE_UNROLL for (int q = 0; q < kOuter; ++q) sum[p][q] +=
                  a[p].value[m] * b[q].value[m];
            }
          }
        }
        PYVAE_UNROLL for (int p = 0; p < kOuter; ++p) {
          PYVAE_UNROLL for (int q = 0; q < kOuter; ++q) {
            const int i = i0 + p * kSide, j = j0 + q * kSide;
            if (i < d && j <= i) sums_.outer[i * d + j] += double(sum[p][q]);
          }
        }
      }
  }

  // g W'y of those pairs that count for their points.
  __device__ void write_by_points(T* to) {
    copy_pieces(tile_.panel, upper(), inverses_.panel());  // nobody reads the other panel now
    __syncthreads();
    const int own = own_points();
    const Piece<T> term = load_piece(tile_.of_point + own);
    for_each_group(groups_, 1, [&](int group, int) {
      const int column = group * kGroup<T>;
      T sum[kWidth<T>][kGroup<T>] = {};
      multiply(tile_.panel + inverses_.upper_group(column), Rows<T>{tile_.y + own, kPitch}, column,
               int(inverses_.padded_d) - column, sum);
      PYVAE_UNROLL for (int n = 0; n < kWidth<T>; ++n) {
        PYVAE_UNROLL for (int half = 0; half < 2; ++half) {
          Piece<T> piece;
          PYVAE_UNROLL for (int c = 0; c < kWidth<T>; ++c) piece.value[c] =
              term.value[n] == 0 ? T(0) : term.value[n] * sum[n][half * kWidth<T> + c];
          store_piece(to + (own + n) * inverses_.padded_d + column + half * kWidth<T>, piece);
        }
      }
    });
  }

  const PairTile<T, Tile::kOuter> tile_;
  const Inverses<T>& inverses_;
  const Pairs<T>& pairs_;
  const int64_t component_, entry_, k_;
  const int groups_;
  const FullParameters<T> from_;
  const Column<const T> x_;
  const FullSums sums_;
};

// A component and a part of its tiles a block; `begins` where nothing has been summed before.
template <class Tile, bool kMoments, class T = typename Tile::T>
__global__ void __launch_bounds__(kThreads, sizeof(T) == sizeof(float) ? 2 : 1)
    full_sums_kernel(const __grid_constant__ Problem problem,
                     const __grid_constant__ Inverses<T> inverses,
                     const __grid_constant__ Pairs<T> pairs, TileRange<T> range, int point_operand,
                     int first_parameter, int64_t parts, bool begins, double* partial) {
  const int64_t component = blockIdx.x / parts, part = blockIdx.x % parts, d = problem.d;
  double* const own = partial + blockIdx.x * FullSums::footprint(d);
  if (begins)
    for (int64_t i = threadIdx.x; i < FullSums::footprint(d); i += kThreads) own[i] = 0;
  const int64_t first = pairs.first_tile[component];
  const Range mine = share(pairs.first_tile[component + 1] - first, part, parts);
  const int64_t begin = larger(mine.begin, range.begin - first),
                end = smaller(mine.end, range.end - first);
  if (begin >= end) return;
  __syncthreads();  // the zeros have been written
  ComponentPairs<Tile, kMoments> sums(problem, inverses, pairs, point_operand, first_parameter,
                                      component, FullSums(own, d));
  for (int64_t index = begin; index < end; ++index) {
    const int64_t at = (first + index - range.begin) * kSlab<T> * inverses.padded_d;
    sums.add(index, range.by_points ? range.by_points + at : nullptr);
  }
}

struct PointMemory {
  unsigned of_points[kThreads], survivors[kThreads];
  int64_t first[kThreads];
};

// d/dx = -sum_k g W'y, of the components whose tiles are in range, in their order. The points of a
// word a block, a warp a point.
template <class T>
__global__ void __launch_bounds__(kThreads)
    full_points_kernel(const __grid_constant__ Problem problem,
                       const __grid_constant__ Inverses<T> inverses,
                       const __grid_constant__ Pairs<T> pairs, TileRange<T> range, int by_point) {
  auto& memory = shared_memory<PointMemory>();
  if (range.begin > 0 && range.begin >= pairs.first_tile[pairs.components]) return;
  constexpr int kTurns = kWordBits / kWarps;
  const int64_t words = pairs.used_words(), entry = blockIdx.x / words, word = blockIdx.x % words;
  const Column<T> to(problem, by_point, entry);
  for (int64_t first_d = 0; first_d < problem.d; first_d += kWarp) {
    const int64_t d = first_d + int(threadIdx.x) % kWarp;
    T sum[kTurns] = {};
    for (int64_t first_k = 0; first_k < problem.k; first_k += kThreads) {
      __syncthreads();
      if (first_k + threadIdx.x < problem.k) {
        const int64_t component = entry * problem.k + first_k + threadIdx.x;
        const int64_t at = component * pairs.words() + word;
        memory.of_points[threadIdx.x] = pairs.of_points[at];
        memory.survivors[threadIdx.x] = pairs.survivors[at];
        memory.first[threadIdx.x] =
            (pairs.first_tile[component] - range.begin) * kSlab<T> + pairs.before[at];
      }
      __syncthreads();
      const int count = int(smaller<int64_t>(kThreads, problem.k - first_k));
      PYVAE_UNROLL for (int turn = 0; turn < kTurns; ++turn) {
        const int bit = turn * kWarps + int(threadIdx.x) / kWarp;
        for (int i = 0; i < count; ++i) {
          if (!(memory.of_points[i] >> bit & 1)) continue;
          const int64_t slot = memory.first[i] + __popc(memory.survivors[i] & ((1u << bit) - 1));
          const bool there = slot >= 0 && slot < (range.end - range.begin) * kSlab<T>;
          if (there && d < problem.d) sum[turn] += range.by_points[slot * inverses.padded_d + d];
        }
      }
    }
    PYVAE_UNROLL for (int turn = 0; turn < kTurns; ++turn) {
      const int64_t n = word * kWordBits + turn * kWarps + int(threadIdx.x) / kWarp;
      if (n >= pairs.count || d >= problem.d) continue;
      T& value = to.at(pairs.first + n, d);
      value = (range.begin == 0 ? T(0) : value) - sum[turn];
    }
  }
}

}  // namespace
}  // namespace pyvae
