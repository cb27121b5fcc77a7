// SPDX-License-Identifier: MIT
// The backward pass of large problems: a chunk of points after the other, its terms first, then the
// sums by points and by components. Which way these go, pair by pair or by tiles, kernels read on
// the device from how many pairs survive; the others leave at once. Every sum has a fixed order.
#pragma once

#include "cuda/large/dense_components.h"
#include "cuda/large/dense_points.h"
#include "cuda/large/settle.h"
#include "cuda/large/terms.h"
#include "cuda/statistics.h"

namespace pyvae {
namespace {

// Adds the parts of every sum up, in the first one.
__global__ void __launch_bounds__(kThreads) add_up_kernel(WideSums sums) {
  const int64_t count = sums.padded_k * WideSums::row(sums.padded_d);
  const int64_t at = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= count) return;
  double total = 0;
  PYVAE_UNROLL_EIGHT for (int64_t part = 0; part < sums.parts; ++part) total +=
      sums.memory[part * count + at];
  sums.memory[at] = total;
}

// A component a row of threads: what `Finish` makes of its sums.
template <class Finish, class T>
__global__ void __launch_bounds__(kThreads)
    wide_finish_kernel(const __grid_constant__ Problem problem,
                       const __grid_constant__ Panels<T> panels, int64_t entry, WideSums sums) {
  const int64_t k = int64_t(blockIdx.x) * kSide + row_of_thread();
  Finish::template write<T>(problem, panels, entry, k, sums);
}

// The gradients by log_weights, means and logvars, in the operands from kFirst.
template <int kFirst>
struct WideGradients {
  template <class T>
  __device__ static void write(const Problem& problem, const Panels<T>& panels, int64_t entry,
                               int64_t k, const WideSums& sums) {
    const Column<T> by_weight(problem, kFirst, entry), by_mean(problem, kFirst + 1, entry),
        by_logvar(problem, kFirst + 2, entry);
    const bool isotropic = problem.operand[kFirst + 2].size[1] == 1, there = k < problem.k;
    const bool alive = panels.constant[k] != -kInfinity<T>;
    const double coefficient = *sums.coefficient(0, k);
    if (by_weight.data && there && column_of_thread() == 0)
      by_weight.at(k) = alive ? T(coefficient) : T(0);
    double total = 0;
    for (int64_t d = column_of_thread(); there && d < problem.d; d += kSide) {
      if (by_mean.data)
        by_mean.at(k, d) =
            alive ? T(panels.row_scale[k * panels.padded_d + d] * sums.z(0, k)[d]) : T(0);
      if (!by_logvar.data) continue;
      const double here = alive ? 0.5 * (sums.squares(0, k)[d] - coefficient) : 0;
      total += here;
      if (!isotropic) by_logvar.at(k, d) = T(here);
    }
    total = sum_over_lanes(total);
    if (by_logvar.data && isotropic && there && column_of_thread() == 0)
      by_logvar.at(k, 0) = T(total);
  }
};

// What a backward pass of a large problem is made with; one entry at a time.
template <class T>
class WideBackward {
 public:
  WideBackward(const Problem& problem, const Runtime& runtime, const Panels<T>& panels,
               PointOperands operands, bool by_components, bool leaves_out, bool moments)
      : problem_(problem),
        runtime_(runtime),
        panels_(panels),
        operands_(operands),
        by_components_(by_components),
        moments_(moments),
        chunks_(divide_up(problem.n, chunk_capacity(problem, panels))),
        leaves_out_(leaves_out) {
    const int64_t tiles = panels.tiles() * divide_up(panels.padded_d, TermStage<T>::kCoordinates);
    const int64_t numbers = panels.padded_k * WideSums::row(panels.padded_d);
    const int64_t capacity = chunk_capacity(problem, panels);
    const int64_t room =
        kPartialSumBytes - (leaves_out ? bound_bytes(problem, panels, capacity) : 0);
    const int64_t most = smaller(kDenseBlocks / tiles, room / (numbers * int64_t(sizeof(double))));
    const int64_t words = divide_up(capacity, kWordBits);
    sums_.parts = larger<int64_t>(1, smaller(most, words / 2));
    sums_.padded_k = panels.padded_k, sums_.padded_d = panels.padded_d;
    Carver::carve(runtime, [&](Carver& memory) {
      chunk_ = take_chunk(memory, problem, panels, !leaves_out);
      sums_.memory = memory.take<double>(by_components ? sums_.parts * numbers : 0);
      unsettled_.largest = memory.take<T>(kWeightBlocks);
      unsettled_.count = memory.take<int>(1);
      unsettled_.component = memory.take<int>(panels.padded_k);
    });
    if (leaves_out)
      chunk_.screen = make_screen(problem, runtime, operands.point, panels, chunk_.capacity);
  }

  int64_t chunks() const { return chunks_; }

  // make(points, panels, chunk, index) launches what fills the terms of a chunk; `index` counts the
  // chunks of all entries.
  template <class Finish, class Make>
  void run(const Make& make) {
    for (int64_t entry = 0; entry < problem_.batch; ++entry) {
      const Panels<T> panels = panels_.of_entry(entry);
      const Problem points = points_of<T>(problem_, entry, operands_.all, 0, problem_.n);
      if (leaves_out_)
        launch(begin_kernel<T>, kWeightBlocks, kThreads, kWarps * sizeof(T), runtime_.stream,
               points, operands_, unsettled_, chunk_.survivors, chunks_);
      for (int64_t i = 0; i < chunks_; ++i) add_chunk(i, entry * chunks_ + i, points, panels, make);
      if (!by_components_) continue;
      if (leaves_out_) settle(points, panels);
      const int64_t numbers = sums_.padded_k * WideSums::row(sums_.padded_d);
      launch(add_up_kernel, divide_up(numbers, kThreads), kThreads, 0, runtime_.stream, sums_);
      launch(wide_finish_kernel<Finish, T>, panels.padded_k / kSide, kThreads, 0, runtime_.stream,
             problem_, panels, entry, sums_);
    }
  }

 private:
  template <class Make>
  void add_chunk(int64_t index, int64_t of_all, const Problem& points, const Panels<T>& panels,
                 const Make& make) {
    const int64_t first = index * chunk_.capacity;
    Chunk<T> chunk = chunk_;
    chunk.count = smaller(chunk.capacity, points.n - first);
    chunk.survivors += index, chunk.first = index == 0;
    if (leaves_out_)
      chunk.most = most_survivors(chunk.count, problem_.k, pyvae_cuda_tuning.sparse_share);
    const Problem of = points_of<T>(points, 0, operands_.all, first, chunk.count);
    make(of, panels, chunk, of_all);
    if (operands_.by_point >= 0 && of.operand[operands_.by_point].data)
      sum_by_points(of, panels, chunk);
    if (by_components_) sum_by_components(of, panels, chunk);
  }

  void sum_by_points(const Problem& of, const Panels<T>& panels, const Chunk<T>& chunk) const {
    if (leaves_out_)
      launch(sparse_points_kernel<T>, blocks_of_warps(chunk.count), kThreads, sizeof(SurvivorLists),
             runtime_.stream, of, panels, chunk, operands_);
    const bool few = of.d <= kWide<T> / 2;
    launch(few ? dense_points_kernel<T, 1> : dense_points_kernel<T, 2>,
           divide_up(chunk.count, kWide<T>) * divide_up(of.d, kWide<T>), kThreads,
           2 * sizeof(Stage<T>), runtime_.stream, of, panels, chunk, operands_);
  }

  void sum_by_components(const Problem& of, const Panels<T>& panels, const Chunk<T>& chunk) const {
    const int64_t shares = smaller(sums_.parts, divide_up(kSparseBlocks, of.k));
    const auto run_sparse = [&](auto kernel, size_t bytes) {
      launch(kernel, of.k * shares, kThreads, bytes, runtime_.stream, of, panels, chunk, operands_,
             sums_, shares, moments_);
    };
    if (leaves_out_ && of.d <= kWarpCoordinates / 2)
      run_sparse(sparse_components_kernel<T, kLaneCoordinates / 2>,
                 sizeof(SparseMemory<kLaneCoordinates / 2>));
    else if (leaves_out_)
      run_sparse(sparse_components_kernel<T, kLaneCoordinates>,
                 sizeof(SparseMemory<kLaneCoordinates>));
    const int64_t columns = divide_up(panels.padded_d, TermStage<T>::kCoordinates);
    for (const auto kernel : {dense_components_kernel<T, true>, dense_components_kernel<T, false>})
      launch(kernel, sums_.parts * panels.tiles() * columns, kThreads, sizeof(DenseMemory<T>),
             runtime_.stream, of, panels, chunk, operands_, sums_, moments_);
  }

  void settle(const Problem& points, const Panels<T>& panels) const {
    launch(settle_kernel<T>, divide_up(panels.padded_k, kWarps), kThreads, 0, runtime_.stream,
           points, panels, chunk_, pyvae_cuda_tuning.sparse_share, sums_, unsettled_);
    launch(anew_kernel<T>, kAnewBlocks, kThreads, kThreads * sizeof(WarpSums<>), runtime_.stream,
           points, panels, operands_, sums_, unsettled_, moments_);
  }

  const Problem& problem_;
  const Runtime& runtime_;
  const Panels<T> panels_;
  const PointOperands operands_;
  const bool by_components_, moments_;
  const int64_t chunks_;
  const bool leaves_out_;
  Chunk<T> chunk_;
  WideSums sums_;
  Unsettled<T> unsettled_;
};

}  // namespace
}  // namespace pyvae
