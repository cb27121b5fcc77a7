// SPDX-License-Identifier: MIT
// Sums over points for a few components, which a block of threads owns. A thread has one point of a
// group while scores become coefficients g; then rows of threads share the points and columns the
// coordinates. A warp sums its points by itself, and what the warps have is added in double, in
// their order. Differences are squared, never expanded.
#pragma once

#include "cuda/coefficients.h"
#include "cuda/small/gradients.h"

namespace pyvae {
namespace {

inline constexpr int kOwnComponents = 4;
// Points at a time: fewer in double, for GPUs that have 99 KiB of shared memory a block.
template <class T>
inline constexpr int kGroup = kThreads * int(sizeof(float)) / int(sizeof(T));

// In device memory: (kOwnComponents, d) of each, and (kOwnComponents).
struct OwnSums {
  double *z, *squares;                 // sum_n g z, sum_n g (z^2 + (s/sigma)^2)
  double *coefficients, *log_weights;  // sum_n g, and of what log_weights get

  PYVAE_HD static int64_t footprint(int64_t d) { return 2 * kOwnComponents * (d + 1); }
  __device__ OwnSums(double* memory, int64_t d)
      : z(memory),
        squares(z + kOwnComponents * d),
        coefficients(squares + kOwnComponents * d),
        log_weights(coefficients + kOwnComponents) {}
};

// A number for each of the components, read as one.
template <class T>
struct alignas(16) OfOwn {
  T of[kOwnComponents];
};

// kSide coordinates of a group of points; an odd row keeps both readers off each other's banks.
template <class T>
struct GroupRows {
  T of[kGroup<T>][kSide + 1];
};

template <class Op>
struct SumMemory {
  using T = typename Op::Number;
  GroupRows<T> points;
  std::conditional_t<(Op::kSpread >= 0), GroupRows<T>, Nothing> spreads;
  std::conditional_t<(Op::kSample >= 0), GroupRows<T>, Nothing> samples;
  OfOwn<T> by_score[kGroup<T>];
  std::conditional_t<(Op::kSample >= 0), OfOwn<T>, Nothing> by_logit[kGroup<T>];
  OfOwn<T> scale[kSide], shift[kSide];
  T constant[kOwnComponents], log_weight[kOwnComponents];
  T sums[kWarps][2][kOwnComponents][kSide], totals[kWarps][2][kOwnComponents];
};

template <class Op>
class ComponentSums {
 public:
  using T = typename Op::Number;
  using State = typename Op::State;
  using Memory = SumMemory<Op>;

  __device__ ComponentSums(const Problem& problem, Memory& memory,
                           const ComponentView<T>& components, int64_t entry, int64_t column,
                           OwnSums to)
      : problem_(problem),
        memory_(memory),
        components_(components),
        points_(problem, Op::kPoint, entry),
        spreads_(problem, kSpread ? Op::kSpread : Op::kPoint, entry),
        samples_(problem, kSample ? Op::kSample : Op::kPoint, entry),
        entry_(entry),
        column_(column),
        to_(to) {}

  // Of the points of a range; all threads of the block come. The next call needs a barrier.
  __device__ void run(Range range) {
    if (range.begin == range.end) clear();
    for (int64_t first = range.begin; first < range.end; first += kGroup<T>) {
      first_ = first, count_ = int(smaller<int64_t>(kGroup<T>, range.end - first));
      add_group(first == range.begin);
    }
  }

 private:
  static constexpr bool kSpread = Op::kSpread >= 0, kSample = Op::kSample >= 0;
  static constexpr int kEach = kGroup<T> / kSide;

  // Calls body(to, from) for the number that a thread has of a chunk of coordinates.
  template <class Body>
  __device__ void for_own(int64_t first_d, const Body& body) const {
    const int which = int(threadIdx.x) / (kSide * kOwnComponents);
    const int c = row_of_thread() % kOwnComponents;
    const int64_t d = first_d + column_of_thread();
    if (which < 2 && d < problem_.d)
      body((which == 0 ? to_.z : to_.squares)[c * problem_.d + d], which, c);
  }

  __device__ void clear() const {
    for (int64_t d = 0; d < problem_.d; d += kSide)
      for_own(d, [](double& to, int, int) { to = 0; });
    if (int(threadIdx.x) < kOwnComponents)
      to_.coefficients[threadIdx.x] = to_.log_weights[threadIdx.x] = 0;
  }

  // What a thread reads of kSide coordinates of the group; zero where there is nothing.
  __device__ void fetch(const Column<const T>& from, int64_t d, T (&found)[kEach]) const {
    const int64_t own = (first_ + row_of_thread()) * from.stride[0] + d * from.stride[1];
    const int there = d < problem_.d ? count_ - row_of_thread() : 0;
    PYVAE_UNROLL for (int i = 0; i < kEach; ++i) found[i] =
        i * kSide < there ? from.data[own + i * kSide * from.stride[0]] : T(0);
  }
  __device__ static void keep(GroupRows<T>& rows, const T (&found)[kEach]) {
    PYVAE_UNROLL for (int i = 0; i < kEach; ++i)
        rows.of[i * kSide + row_of_thread()][column_of_thread()] = found[i];
  }
  __device__ static void clear_own(GroupRows<T>& rows) {
    PYVAE_UNROLL for (T& number : rows.of[threadIdx.x]) number = 0;
  }

  __device__ void load_constants() const {
    const int own = row_of_thread();
    if (own >= kOwnComponents) return;
    const T constant = components_.constant(column_ + own);
    if (column_of_thread() != 0) return;
    memory_.constant[own] = constant;
    memory_.log_weight[own] = components_.log_weight(column_ + own);
  }

  // All loads are under way before the first number is used. Barriers before and behind; then
  // every thread clears the row of its own point where that must not meet the components' numbers:
  // 0 * inf is NaN.
  __device__ void load(int64_t first_d, bool begin, bool skip, bool skip_sample) const {
    const int64_t d = first_d + column_of_thread();
    T point[kEach], spread[kEach], sample[kEach];
    fetch(points_, d, point);
    if constexpr (kSpread) fetch(spreads_, d, spread);
    if constexpr (kSample) fetch(samples_, d, sample);
    const int own = row_of_thread() % kOwnComponents;
    const T scale = components_.scale(column_ + own, d),
            shift = components_.shift(column_ + own, d);
    if (begin) load_constants();
    __syncthreads();
    keep(memory_.points, point);
    if constexpr (kSpread) {
      PYVAE_UNROLL for (T& logvar : spread) logvar = d < problem_.d ? exp(T(0.5) * logvar) : T(0);
      keep(memory_.spreads, spread);
    }
    if constexpr (kSample) keep(memory_.samples, sample);
    if (row_of_thread() < kOwnComponents) {
      memory_.scale[column_of_thread()].of[own] = scale;
      memory_.shift[column_of_thread()].of[own] = shift;
    }
    __syncthreads();
    if (skip) {
      clear_own(memory_.points);
      if constexpr (kSpread) clear_own(memory_.spreads);
    }
    if constexpr (kSample)
      if (skip_sample) clear_own(memory_.samples);
  }

  // In the order of scores.h, which leaves the bits of the forward pass.
  template <bool kWithSpread>
  __device__ void add_squares(const GroupRows<T>& rows, T (&sum)[kOwnComponents]) const {
    PYVAE_UNROLL_FOUR for (int d = 0; d < kSide; ++d) {
      const T x = rows.of[threadIdx.x][d];
      const OfOwn<T> scale = memory_.scale[d], shift = memory_.shift[d];
      PYVAE_UNROLL for (int c = 0; c < kOwnComponents; ++c) {
        const T z = standardise<false>(x, scale.of[c], shift.of[c]);
        sum[c] += z * z;
        if constexpr (kWithSpread) {
          const T u = memory_.spreads.of[threadIdx.x][d] * scale.of[c];
          sum[c] += u * u;
        }
      }
    }
  }

  __device__ T score(T squares, int c) const {
    const T constant = memory_.constant[c];
    return constant == -kInfinity<T> ? constant : constant - T(0.5) * squares;
  }

  // From the scores of the own point to its coefficients, and their sums over the warp.
  __device__ void weigh(const State& state, const T (&squares)[kOwnComponents],
                        const T (&sample_squares)[kOwnComponents]) const {
    const int n = int(threadIdx.x), warp = n / kWarp;
    T total[kOwnComponents], weights[kOwnComponents];
    PYVAE_UNROLL for (int c = 0; c < kOwnComponents; ++c) {
      const int64_t k = column_ + c;
      Coefficients<T> found;
      if (n < count_ && k < problem_.k) {
        const T by = Op::kScores ? score(squares[c], c) : T(0);
        T l = by;
        if constexpr (kSample) l = score(sample_squares[c], c);
        if constexpr (Op::kLogits >= 0)
          l = Column<const T>(problem_, Op::kLogits, entry_).at(first_ + n, k);
        found = state.coefficients(problem_, entry_, first_ + n, k, l, by, memory_.log_weight[c],
                                   memory_.constant[c]);
      }
      total[c] = kSample ? found.by_score + found.by_logit : found.by_score;
      weights[c] = Op::kOwnWeights ? found.by_log_weight : total[c];
      if (n >= kGroup<T>) continue;
      memory_.by_score[n].of[c] = found.by_score;
      if constexpr (kSample) memory_.by_logit[n].of[c] = found.by_logit;
    }
    PYVAE_UNROLL for (int c = 0; c < kOwnComponents; ++c) {
      total[c] = sum_over_lanes(total[c], kWarp);
      weights[c] = Op::kOwnWeights ? sum_over_lanes(weights[c], kWarp) : total[c];
    }
    if (n % kWarp != 0) return;
    PYVAE_UNROLL for (int c = 0; c < kOwnComponents; ++c) {
      memory_.totals[warp][0][c] = total[c], memory_.totals[warp][1][c] = weights[c];
    }
  }

  // Of the coordinates that are in shared memory.
  template <bool kWithSpread>
  __device__ void add_terms(const GroupRows<T>& rows, const OfOwn<T>* coefficients,
                            T (&z_sum)[kOwnComponents], T (&square_sum)[kOwnComponents]) const {
    const int q = column_of_thread();
    OfOwn<T> scale = memory_.scale[q], shift = memory_.shift[q];
    PYVAE_UNROLL for (int c = 0; c < kOwnComponents; ++c) {
      if constexpr (Op::kMoments) scale.of[c] = moment_scale(scale.of[c]);
      shift.of[c] = finite_shift(shift.of[c]);
    }
    PYVAE_UNROLL_FOUR for (int n = row_of_thread(); n < count_; n += kSide) {
      const T x = rows.of[n][q];
      const OfOwn<T> g = coefficients[n];
      PYVAE_UNROLL for (int c = 0; c < kOwnComponents; ++c) {
        const T z = standardise<false>(x, scale.of[c], shift.of[c]), weighted = g.of[c] * z;
        z_sum[c] += weighted;
        square_sum[c] += weighted * z;
        if constexpr (kWithSpread) {
          const T u = memory_.spreads.of[n][q] * scale.of[c];
          square_sum[c] += g.of[c] * u * u;
        }
      }
    }
  }

  // Barrier inside.
  __device__ void add_chunk(int64_t first_d, bool begin) const {
    T z_sum[kOwnComponents] = {}, square_sum[kOwnComponents] = {};
    add_terms<kSpread>(memory_.points, memory_.by_score, z_sum, square_sum);
    if constexpr (kSample) add_terms<false>(memory_.samples, memory_.by_logit, z_sum, square_sum);
    auto& own = memory_.sums[threadIdx.x / kWarp];
    PYVAE_UNROLL for (int c = 0; c < kOwnComponents; ++c) {
      z_sum[c] += __shfl_xor_sync(kAllLanes, z_sum[c], kSide);
      square_sum[c] += __shfl_xor_sync(kAllLanes, square_sum[c], kSide);
      if (int(threadIdx.x) % kWarp >= kSide) continue;
      own[0][c][column_of_thread()] = z_sum[c], own[1][c][column_of_thread()] = square_sum[c];
    }
    __syncthreads();
    for_own(first_d, [&](double& to, int which, int c) {
      double total = begin ? 0 : to;
      PYVAE_UNROLL for (int warp = 0; warp < kWarps; ++warp) total +=
          double(memory_.sums[warp][which][c][column_of_thread()]);
      to = total;
    });
  }

  __device__ void add_totals(bool begin) const {
    const int which = int(threadIdx.x) / kOwnComponents, c = int(threadIdx.x) % kOwnComponents;
    if (which >= 2) return;
    double& to = (which == 0 ? to_.coefficients : to_.log_weights)[c];
    double total = begin ? 0 : to;
    PYVAE_UNROLL for (int warp = 0; warp < kWarps; ++warp) total +=
        double(memory_.totals[warp][which][c]);
    to = total;
  }

  // The last coordinates stay in shared memory between the scores and the sums.
  __device__ void add_group(bool begin) const {
    const int n = int(threadIdx.x);
    const State state(problem_, entry_, first_ + smaller(n, count_ - 1), 1);
    const bool skip = n < count_ && state.skips(), skip_sample = n < count_ && state.skips_sample();
    T squares[kOwnComponents] = {}, sample_squares[kOwnComponents] = {};
    const int64_t last = larger<int64_t>(divide_up(problem_.d, kSide) - 1, 0) * kSide;
    const int64_t first_d = Op::kScores ? 0 : last;
    for (int64_t d = first_d; d <= last; d += kSide) {
      load(d, begin && d == first_d, skip, skip_sample);
      if (!Op::kScores || n >= kGroup<T>) continue;
      add_squares<kSpread>(memory_.points, squares);
      if constexpr (kSample) add_squares<false>(memory_.samples, sample_squares);
    }
    weigh(state, squares, sample_squares);
    for (int64_t d = last; d >= 0; d -= kSide) {
      if (d != last) load(d, false, skip, skip_sample);
      __syncthreads();
      if (d == last) add_totals(begin);
      add_chunk(d, begin);
    }
  }

  const Problem& problem_;
  Memory& memory_;
  const ComponentView<T>& components_;
  Column<const T> points_, spreads_, samples_;
  int64_t entry_, column_, first_ = 0;
  int count_ = 0;
  OwnSums to_;
};

}  // namespace
}  // namespace pyvae
