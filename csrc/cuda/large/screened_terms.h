// SPDX-License-Identifier: MIT
// The terms of points that have been screened, of the pairs that survive (terms.h), in a chunk and
// its words by components; and their gradients by points.
#pragma once

#include "common/negligible.h"
#include "cuda/large/chunk.h"
#include "cuda/large/screen.h"
#include "cuda/large/screened_point.h"

namespace pyvae {
namespace {

// From where on down a term counts for nothing: as in terms.h, but for each point by itself, and
// for all components as for the one that needs the most.
template <class T>
class PointCut {
 public:
  struct Memory {
    T of_warp[kWarps];
  };

  // All threads of the block come. `points` is how many the sums of a component have; with
  // `by_points` there are sums over the components, too.
  __device__ PointCut(Memory& memory, const Panels<T>& panels, int64_t points, bool by_points)
      : points_(points) {
    T constant = -kInfinity<T>, ratio = 1;
    for (int64_t k = threadIdx.x; k < panels.padded_k; k += kThreads)
      constant = Largest()(constant, panels.constant[k]);
    for (int64_t d = threadIdx.x; by_points && d < panels.padded_d; d += kThreads)
      ratio = Largest()(ratio, panels.ratio[d]);
    constant_ = largest_of_block(constant, memory.of_warp);
    negligible_ = log_negligible(largest_of_block(ratio, memory.of_warp));
  }

  __device__ T of(T log_prob) const {
    return smaller(negligible_, log_negligible_of_component(points_, constant_, log_prob, T(0)));
  }

 private:
  const int64_t points_;
  T constant_, negligible_;
};

// Writes the negative sum of all subgroups of a warp.
template <class T, class Shape>
__device__ inline void write_gradient(const Column<T>& by_point, int64_t n, int64_t d,
                                      const Piece<T> (&sum)[Shape::kPieces]) {
  PYVAE_UNROLL for (int p = 0; p < Shape::kPieces; ++p) {
    PYVAE_UNROLL for (int q = 0; q < kWidth<T>; ++q) {
      T total = sum[p].value[q];
      for (int gap = kWarp / 2; gap >= Shape::kLanes; gap /= 2)
        total += __shfl_xor_sync(kAllLanes, total, gap);
      const int at = Shape::template coordinate<T>(p) + q;
      if (Shape::lane() < Shape::kLanes && at < d) by_point.at(n, at) = T(0) - total;
    }
  }
}

// Operands by points as `operands` says.
template <class T, class Shape>
__global__ void __launch_bounds__(kThreads, Shape::kPieces == 1 ? 3 : 2)
    screened_terms_kernel(const __grid_constant__ Problem problem,
                          const __grid_constant__ Panels<T> panels,
                          const __grid_constant__ Chunk<T> chunk, PointOperands operands,
                          int64_t points, bool by_points, bool none_of_zero) {
  const Screen& screen = chunk.screen;
  if (!screen.chosen()) return;
  const PointCut<T> cuts(shared_memory<typename PointCut<T>::Memory>(), panels, points, by_points);
  const Column<const T> weights(problem, operands.weight, 0),
      log_probs(problem, operands.log_prob, 0), x(problem, operands.point, 0);
  const GroupReader<T, Shape> groups(panels);
  const bool whole = in_pieces(x, problem.d);
  const bool wanted = operands.by_point >= 0 && problem.operand[operands.by_point].data;
  const int lane = Shape::lane();
  for_each_turn(problem.n, [&](int64_t first, int turn) {
    const int64_t own = first + smaller(lane, turn - 1);
    const T own_weight = weights.at(own), own_log_prob = log_probs.at(own);
    const bool own_unbounded = own_weight - own_weight != 0;
    const T own_cut = own_unbounded ? -kInfinity<T> : cuts.of(own_log_prob);
    for (int i = 0; i < turn; ++i) {
      const int64_t n = first + i;
      const T weight = __shfl_sync(kAllLanes, own_weight, i),
              log_prob = __shfl_sync(kAllLanes, own_log_prob, i),
              cut = __shfl_sync(kAllLanes, own_cut, i);
      const ScreenedPoint<T, Shape> point(x, n, problem.d, whole);
      Piece<T> sum[Shape::kPieces] = {};
      const auto add = [&](int of) {
        const Group<T, Shape> group = groups.read(of);
        const T score = point.score(group, panels.constant), gap = score - log_prob;
        const int64_t k = group.component();
        const bool survives = panels.constant[k] != -kInfinity<T> && !(gap < cut);
        const T term = survives ? weight * exp_of_gap(gap) : T(0);
        if (survives && lane < kBounded) {
          chunk.row(n)[k] = term;
          atomicOr(&chunk.points_of(k)[n / kWordBits], 1u << n % kWordBits);
        }
        if (wanted) point.add_gradient(group, term, sum);
      };
      if (log_prob != -kInfinity<T> && !(none_of_zero && weight == 0))
        for_each_kept(screen.bounds(n), int(screen.groups), float(log_prob + cut), add);
      if (wanted)
        write_gradient<T, Shape>(Column<T>(problem, operands.by_point, 0), n, problem.d, sum);
    }
  });
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    clear_words_kernel(const __grid_constant__ Chunk<T> chunk) {
  if (!chunk.screen.chosen()) return;
  const int64_t words = chunk.padded_k * (chunk.capacity / kWordBits);
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x; i < words;
       i += int64_t(gridDim.x) * kThreads)
    chunk.by_component[i] = 0;
}

// Of a chunk whose bounds have been found.
template <class T>
void make_screened_terms(const Problem& problem, const Runtime& runtime, const Panels<T>& panels,
                         const Chunk<T>& chunk, PointOperands operands, int64_t points,
                         bool by_points, bool none_of_zero) {
  launch(clear_words_kernel<T>, kSparseBlocks, kThreads, 0, runtime.stream, chunk);
  with_group_shape(panels.padded_d, [&](auto shape) {
    launch(screened_terms_kernel<T, decltype(shape)>, blocks_of_turns(problem.n), kThreads,
           sizeof(typename PointCut<T>::Memory), runtime.stream, problem, panels, chunk, operands,
           points, by_points, none_of_zero);
  });
}

}  // namespace
}  // namespace pyvae
