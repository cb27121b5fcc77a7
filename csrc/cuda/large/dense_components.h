// SPDX-License-Identifier: MIT
// Sums over all points of a chunk for the components, by tiles of components by coordinates, half
// as many as components: sum_n g z, sum_n g z^2 and sum_n g.
//
// Differences are squared, but of a mixture whose components are all near its centre, where
// sum_n g x and sum_n g x^2 about the centre, two matrix products, say the same to the last digits
// that the contract asks for.
#pragma once

#include "cuda/large/chunk.h"

namespace pyvae {
namespace {

template <class T>
struct alignas(16) TermStage {
  static constexpr int kCoordinates = kWide<T> / 2;
  T term[kDepth][kWide<T>], point[kDepth][kCoordinates];
};

enum class SummedAs { kDifferences, kCentred, kProducts };

// Sums of every thread's own numbers over the stretches of its points.
template <class T>
struct DenseMemory {
  static constexpr int kC = kEach<T>, kQ = kWidth<T>;
  TermStage<T> stage[2];
  T z[kC][kQ][kThreads], squares[kC][kQ][kThreads], coefficient[kC][kThreads];
};

// A thread has kEach components by kWidth coordinates.
template <class T>
class DenseComponents {
 public:
  static constexpr int kC = kEach<T>, kQ = kWidth<T>;
  // So many points are summed by themselves, then the stretches of a chunk, and the chunks in
  // double.
  static constexpr int64_t kStretch = 64;

  __device__ DenseComponents(DenseMemory<T>& memory, const Problem& problem,
                             const Panels<T>& panels, const Chunk<T>& chunk, PointOperands operands,
                             int64_t column, int64_t first_d)
      : memory_(memory),
        panels_(panels),
        chunk_(chunk),
        points_(problem, operands.point, 0),
        log_prob_(problem, operands.log_prob, 0),
        n_(problem.n),
        d_(problem.d),
        column_(column),
        first_d_(first_d) {}

  // The sums of the points of a range, whose bounds are whole stages.
  template <SummedAs kAs>
  __device__ void add(Range range, const WideSums& sums, int64_t part, bool moments) {
    constexpr bool kCentred = kAs != SummedAs::kDifferences;
    T scale[kC][kQ], shift[kC][kQ];
    if constexpr (kAs != SummedAs::kProducts) load_components<kCentred>(scale, shift, moments);
    const bool half = panels_.half_a_tile(column_);
    if (range.begin < range.end) fetch<kCentred>(range.begin);
    for (int64_t first = range.begin; first < range.end || first == range.begin;
         first += kStretch) {
      T z_sum[kC][kQ] = {}, square_sum[kC][kQ] = {}, sum[kC] = {};
      const int64_t end = smaller(first + kStretch, range.end);
      for (int64_t n = first; n < end; n += kDepth) {
        put();
        __syncthreads();
        if (n + kDepth < range.end) fetch<kCentred>(n + kDepth);
        const TermStage<T>& stage = memory_.stage[put_ ^ 1];
        half ? add_stage<kAs, 1>(stage, scale, shift, z_sum, square_sum, sum)
             : add_stage<kAs, 2>(stage, scale, shift, z_sum, square_sum, sum);
      }
      join(first == range.begin, z_sum, square_sum, sum);
    }
    write<kAs>(sums, part);
  }

 private:
  __device__ int64_t component(int i) const { return column_ + place<T>(row_of_thread(), i); }
  __device__ int64_t coordinate(int q) const { return first_d_ + column_of_thread() * kQ + q; }

  template <bool kCentred>
  __device__ void load_components(T (&scale)[kC][kQ], T (&shift)[kC][kQ], bool moments) const {
    PYVAE_UNROLL for (int i = 0; i < kC; ++i) {
      PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
        const int64_t d = coordinate(q), at = component(i) * panels_.padded_d + d;
        const bool inside = d < panels_.padded_d;
        scale[i][q] = inside ? panels_.row_scale[at] : T(0);
        shift[i][q] = inside ? finite_shift(panels_.row_mean[at]) : T(0);
        if (kCentred && inside) shift[i][q] = (shift[i][q] - panels_.centre[d]) * scale[i][q];
        if (!kCentred && moments) scale[i][q] = moment_scale(scale[i][q]);
      }
    }
  }

  // A stage of terms, and of points, about the centre; zero where there is nothing to read.
  template <bool kCentred>
  __device__ void fetch(int64_t first) {
    terms_ = load_piece(chunk_.row(first + own_.depth) + column_ + own_.column);
    const int64_t n = first + int(threadIdx.x) / kLanes;
    const bool use = n < n_ && log_prob_.at(n) != -kInfinity<T>;
    PYVAE_UNROLL for (int i = 0; i < kNumbers; ++i) {
      const int64_t d = first_d_ + int(threadIdx.x) % kLanes + i * kLanes;
      x_[i] = 0;
      if (use && d < d_) x_[i] = points_.at(n, d) - (kCentred ? panels_.centre[d] : T(0));
    }
  }

  __device__ void put() {
    TermStage<T>& stage = memory_.stage[put_];
    store_piece(&stage.term[own_.depth][own_.column], terms_);
    PYVAE_UNROLL for (int i = 0; i < kNumbers; ++i) {
      stage.point[int(threadIdx.x) / kLanes][int(threadIdx.x) % kLanes + i * kLanes] = x_[i];
    }
    put_ ^= 1;
  }

  // By so many of a thread's two pieces of components. As products, sums of z are those of x.
  template <SummedAs kAs, int kPieces>
  __device__ static void add_stage(const TermStage<T>& stage, const T (&scale)[kC][kQ],
                                   const T (&shift)[kC][kQ], T (&z_sum)[kC][kQ],
                                   T (&square_sum)[kC][kQ], T (&sum)[kC]) {
    // What is in registers at a time, of products as much as lets a multiprocessor hold two blocks.
    constexpr int kUnrolled = kAs == SummedAs::kProducts ? 2 : kDepth;
    PYVAE_ROLLED for (int first = 0; first < kDepth; first += kUnrolled) {
      PYVAE_UNROLL for (int n = first; n < first + kUnrolled; ++n) {
        constexpr int kRows = kPieces * kWidth<T>;
        T term[kRows], square[kQ];
        load_own(term, stage.term[n], row_of_thread());
        const Piece<T> x = load_piece(stage.point[n] + column_of_thread() * kQ);
        PYVAE_UNROLL for (int q = 0; q < kQ; ++q) square[q] = x.value[q] * x.value[q];
        PYVAE_UNROLL for (int i = 0; i < kRows; ++i) {
          sum[i] += term[i];
          PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
            if constexpr (kAs == SummedAs::kProducts) {
              z_sum[i][q] += term[i] * x.value[q];
              square_sum[i][q] += term[i] * square[q];
            } else {
              const T z =
                  standardise<kAs == SummedAs::kCentred>(x.value[q], scale[i][q], shift[i][q]);
              const T weighted = term[i] * z;
              z_sum[i][q] += weighted;
              square_sum[i][q] += weighted * z;
            }
          }
        }
      }
    }
  }

  __device__ void join(bool begin, const T (&z_sum)[kC][kQ], const T (&square_sum)[kC][kQ],
                       const T (&sum)[kC]) {
    const int thread = int(threadIdx.x);
    PYVAE_UNROLL for (int i = 0; i < kC; ++i) {
      PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
        T &z = memory_.z[i][q][thread], &squares = memory_.squares[i][q][thread];
        z = begin ? z_sum[i][q] : z + z_sum[i][q];
        squares = begin ? square_sum[i][q] : squares + square_sum[i][q];
      }
      T& coefficient = memory_.coefficient[i][thread];
      coefficient = begin ? sum[i] : coefficient + sum[i];
    }
  }

  // What this thread has found for component i, in the units of z. Sums of g x and g x^2 become
  // those of g z and g z^2.
  template <SummedAs kAs>
  __device__ void own_sums(int i, double (&z)[kQ], double (&squares)[kQ]) const {
    const int thread = int(threadIdx.x);
    const double coefficient = double(memory_.coefficient[i][thread]);
    PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
      z[q] = double(memory_.z[i][q][thread]), squares[q] = double(memory_.squares[i][q][thread]);
      if constexpr (kAs == SummedAs::kProducts) {
        const int64_t d = coordinate(q), at = component(i) * panels_.padded_d + d;
        const T of = panels_.row_scale[at];
        const double scale = double(of), x_sum = scale * z[q],
                     shift = double((finite_shift(panels_.row_mean[at]) - panels_.centre[d]) * of);
        z[q] = x_sum - shift * coefficient;
        squares[q] = scale * scale * squares[q] - shift * (2 * x_sum - shift * coefficient);
      }
    }
  }

  // All of a component's numbers are loaded before one is stored.
  template <SummedAs kAs>
  __device__ void write(const WideSums& sums, int64_t part) const {
    const int thread = int(threadIdx.x);
    const bool begin = chunk_.first, inside = coordinate(0) < panels_.padded_d;
    for (int i = 0; inside && i < kC; ++i) {
      const int64_t k = component(i);
      double* const z = sums.z(part, k) + coordinate(0);
      double* const squares = sums.squares(part, k) + coordinate(0);
      double before[2][kQ];
      PYVAE_UNROLL for (int q = 0; q < kQ; ++q) before[0][q] = begin ? 0 : z[q],
                                                before[1][q] = begin ? 0 : squares[q];
      double own_z[kQ], own_squares[kQ];
      own_sums<kAs>(i, own_z, own_squares);
      PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
        z[q] = before[0][q] + own_z[q], squares[q] = before[1][q] + own_squares[q];
      }
      if (coordinate(0) != 0) continue;
      double& coefficient = *sums.coefficient(part, k);
      coefficient = (begin ? 0 : coefficient) + double(memory_.coefficient[i][thread]);
    }
  }

  // Threads that bring a point's coordinates, and how many each of them.
  static constexpr int kLanes = kThreads / kDepth, kNumbers = TermStage<T>::kCoordinates / kLanes;
  const OwnPiece<T> own_;
  DenseMemory<T>& memory_;
  const Panels<T>& panels_;
  const Chunk<T>& chunk_;
  const Column<const T> points_, log_prob_;
  const int64_t n_, d_, column_, first_d_;
  Piece<T> terms_;
  T x_[kNumbers];
  int put_ = 0;
};

// Either of two kernels, by how far components are from the centre; the other one leaves at once.
template <class T, bool kNear>
__global__ void __launch_bounds__(kThreads, kNear && sizeof(T) == sizeof(float) ? 2 : 1)
    dense_components_kernel(const __grid_constant__ Problem problem,
                            const __grid_constant__ Panels<T> panels, Chunk<T> chunk,
                            PointOperands operands, WideSums sums, bool moments) {
  if (chunk.sparse() || (*panels.exact == 0 && *panels.far == 0) != kNear) return;
  auto& memory = shared_memory<DenseMemory<T>>();
  const int64_t columns = divide_up(panels.padded_d, TermStage<T>::kCoordinates),
                tiles = panels.padded_k / kWide<T>;
  const int64_t first_d = blockIdx.x % columns * TermStage<T>::kCoordinates,
                column = blockIdx.x / columns % tiles * kWide<T>,
                part = blockIdx.x / columns / tiles;
  const Range words = share(divide_up(chunk.count, kWordBits), part, sums.parts);
  const Range range = {words.begin * kWordBits, words.end * kWordBits};
  DenseComponents<T> dense(memory, problem, panels, chunk, operands, column, first_d);
  if constexpr (kNear)
    dense.template add<SummedAs::kProducts>(range, sums, part, moments);
  else
    *panels.exact == 0 ? dense.template add<SummedAs::kCentred>(range, sums, part, moments)
                       : dense.template add<SummedAs::kDifferences>(range, sums, part, moments);
}

}  // namespace
}  // namespace pyvae
