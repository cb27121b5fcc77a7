// SPDX-License-Identifier: MIT
// The backward pass of everything that has scores. An op says what the coefficient of a score is;
// the rest is here. One launch: some blocks own a tile of points and stream over the components,
// the others own a tile of components and stream over a part of the points. Where the points are in
// several parts, a second launch adds these up in their order.
#pragma once

#include "cuda/coefficients.h"
#include "cuda/gradients.h"
#include "cuda/tuning.h"

namespace pyvae {
namespace {

struct Nothing {};

template <class Op, class Shape>
struct BackwardMemory {
  static constexpr bool kSpread = Op::kSpread >= 0;
  union {
    ScoreChunk<Shape, kSpread> chunk;
    ScoreChunk<Shape, false> sample_chunk;
    ComponentRows<Shape> component_rows;
    PointRows<Shape, kSpread> point_rows;
    PointRows<Shape, false> sample_rows;
  };
  Constants<Shape> constants;
  CoefficientTile<Shape> by_score;
  std::conditional_t<(Op::kSample >= 0), CoefficientTile<Shape>, Nothing> by_logit;
  std::conditional_t<Op::kOwnWeights, CoefficientTile<Shape>, Nothing> by_log_weight;
  typename Op::State state[Shape::kPoints];
  bool skip[Shape::kPoints], skip_sample[Shape::kPoints];
};

// One tile of points against tiles of components.
template <class Op, class Shape>
struct BackwardTile {
  using T = typename Shape::T;
  using View = ComponentView<T>;
  using Memory = BackwardMemory<Op, Shape>;
  static constexpr bool kSpread = Op::kSpread >= 0;
  static constexpr int kP = Shape::kPointsEach, kC = Shape::kColumnsEach;

  const Problem& problem;
  Memory& memory;
  const View& components;
  int64_t entry;
  Points<T> points, spreads, samples;

  __device__ BackwardTile(const Problem& problem_, Memory& memory_, const View& components_,
                          int64_t entry_, int64_t first)
      : problem(problem_),
        memory(memory_),
        components(components_),
        entry(entry_),
        points(problem, Op::kPoint, entry, first, Shape::kPoints, memory.skip),
        spreads(problem, kSpread ? Op::kSpread : Op::kPoint, entry, first, Shape::kPoints,
                memory.skip),
        samples(problem, Op::kSample >= 0 ? Op::kSample : Op::kPoint, entry, first, Shape::kPoints,
                memory.skip_sample) {
    for (int n = row_of_thread(); n < Shape::kPoints; n += kSide) {
      const int64_t last = problem.n - 1;  // rows past it repeat it: all lanes must come
      const typename Op::State state(problem, entry, smaller(first + n, last));
      if (column_of_thread() != 0) continue;
      memory.state[n] = state;
      memory.skip[n] = state.skips();
      memory.skip_sample[n] = state.skips_sample();
    }
    __syncthreads();
  }

  // Fills the coefficients of the components from `first_column`, a row a component or a point.
  // Barriers before and behind.
  template <bool kByComponent>
  __device__ void fill(int64_t first_column) {
    T score[kP][kC] = {}, logit[Op::kSample >= 0 ? kP : 1][kC] = {};
    memory.constants.load(components, first_column);
    if constexpr (Op::kScores)
      score_tile(memory.chunk, memory.constants, components, first_column, points, &spreads, score);
    else
      __syncthreads();
    if constexpr (Op::kSample >= 0)
      score_tile(memory.sample_chunk, memory.constants, components, first_column, samples, nullptr,
                 logit);
    // The scores wait in the places of their coefficients, which leaves one piece of code for all.
    const int row = row_of_thread() * kP, column = column_of_thread() * kC;
    PYVAE_UNROLL for (int i = 0; i < kP; ++i) {
      PYVAE_UNROLL for (int j = 0; j < kC; ++j) {
        if constexpr (Op::kScores)
          at<kByComponent>(memory.by_score, row + i, column + j) = score[i][j];
        if constexpr (Op::kSample >= 0)
          at<kByComponent>(memory.by_logit, row + i, column + j) = logit[i][j];
      }
    }
    PYVAE_UNROLL_TWICE for (int i = 0; i < kP * kC; ++i)
        replace<kByComponent>(row + i / kC, column + i % kC, first_column);
    __syncthreads();
  }

  // A score by its coefficient.
  template <bool kByComponent>
  __device__ void replace(int row, int column, int64_t first_column) {
    const int64_t n = points.first + row, k = first_column + column;
    const bool there = row < points.count && k < problem.k;
    T& by_score = at<kByComponent>(memory.by_score, row, column);
    Coefficients<T> found;
    if (there) {
      const T score = Op::kScores ? by_score : T(0);
      T l = score;
      if constexpr (Op::kSample >= 0) l = at<kByComponent>(memory.by_logit, row, column);
      if constexpr (Op::kLogits >= 0) l = Column<const T>(problem, Op::kLogits, entry).at(n, k);
      found = memory.state[row].coefficients(problem, entry, n, k, l, score,
                                             memory.constants.log_weight[column],
                                             memory.constants.constant[column]);
    }
    by_score = found.by_score;
    if constexpr (Op::kSample >= 0) at<kByComponent>(memory.by_logit, row, column) = found.by_logit;
    if constexpr (Op::kOwnWeights)
      at<kByComponent>(memory.by_log_weight, row, column) = found.by_log_weight;
    if constexpr (Op::kLogits >= 0 && kByComponent) {
      const Column<T> by_logits(problem, Op::kByLogits, entry);
      if (by_logits.data && there) by_logits.at(n, k) = found.by_logit;
    }
  }

  template <bool kByComponent>
  __device__ static T& at(CoefficientTile<Shape>& tile, int n, int c) {
    return kByComponent ? tile.of_component(c, n) : tile.of_point(n, c);
  }
};

template <class Op, class Shape, class View, class Memory>
__device__ void point_gradients(const Problem& problem, Memory& memory, const View& components,
                                int64_t entry, int64_t first) {
  using T = typename Shape::T;
  constexpr bool kSpread = Op::kSpread >= 0;
  BackwardTile<Op, Shape> tile(problem, memory, components, entry, first);
  const Column<T> by_point(problem, Op::kByPoint, entry),
      by_spread(problem, kSpread ? Op::kBySpread : Op::kByPoint, entry),
      by_sample(problem, Op::kSample >= 0 ? Op::kBySample : Op::kByPoint, entry);
  const PointSums<Shape> sums{by_point, by_spread, by_point.data != nullptr,
                              kSpread && by_spread.data};
  const PointSums<Shape> sample_sums{by_sample, by_sample, Op::kSample >= 0 && by_sample.data,
                                     false};
  sums.clear(tile.points, problem.d);
  sample_sums.clear(tile.points, problem.d);
  for (int64_t column = 0; column < problem.k; column += Shape::kColumns) {
    tile.template fill<true>(column);
    sums.template add<kSpread>(memory.component_rows, memory.by_score, components, column,
                               tile.points, &tile.spreads, T(Op::kSpreadOffset));
    if constexpr (Op::kSample >= 0)
      sample_sums.template add<false>(memory.component_rows, memory.by_logit, components, column,
                                      tile.samples, nullptr, T(0));
    __syncthreads();  // the coefficients have been read
  }
}

template <class Op, class Shape, class View, class Memory>
__device__ void component_sums(const Problem& problem, Memory& memory, const View& components,
                               int64_t entry, int64_t column, Range tiles,
                               ComponentSums<Shape> sums) {
  constexpr bool kSpread = Op::kSpread >= 0;
  sums.clear(problem.d);
  for (int64_t tile_index = tiles.begin; tile_index < tiles.end; ++tile_index) {
    BackwardTile<Op, Shape> tile(problem, memory, components, entry, tile_index * Shape::kPoints);
    tile.template fill<false>(column);
    sums.template add<kSpread, Op::kMoments>(memory.point_rows, memory.by_score, components, column,
                                             tile.points, &tile.spreads);
    if constexpr (Op::kSample >= 0)
      sums.template add<false, false>(memory.sample_rows, memory.by_logit, components, column,
                                      tile.samples, nullptr);
    if constexpr (Op::kOwnWeights)
      sums.add_column(sums.log_weights, memory.by_log_weight, tile.points.count);
    else
      sums.add_column(sums.log_weights, memory.by_score, tile.points.count);
    __syncthreads();
  }
}

// The sums of a tile of components over all parts, in their order.
template <class Shape>
struct TotalSums {
  const double* memory;  // of the first part
  int64_t parts, d;
  using Sums = ComponentSums<Shape>;

  __device__ double total(int64_t at) const {
    double sum = 0;
    for (int64_t part = 0; part < parts; ++part) sum += memory[part * Sums::footprint(d) + at];
    return sum;
  }
  __device__ double z(int c, int64_t i) const { return total(c * d + i); }
  __device__ double square(int c, int64_t i) const { return total((Shape::kColumns + c) * d + i); }
  __device__ double coefficient(int c) const { return total(2 * Shape::kColumns * d + c); }
  __device__ double log_weight(int c) const {
    return total(2 * Shape::kColumns * d + Shape::kColumns + c);
  }
};

// Writes the gradients by log_weights (where there are any), means and logvars into the operands
// from kFirst.
template <int kFirst, bool kWeighted>
struct WriteGradients {
  template <class Shape, class View>
  __device__ static void write(const Problem& problem, const View& components, int64_t entry,
                               int64_t column, const TotalSums<Shape>& sums) {
    using T = typename Shape::T;
    constexpr int kMean = kFirst + kWeighted, kLogvar = kMean + 1;
    const Column<T> by_weight(problem, kFirst, entry), by_mean(problem, kMean, entry),
        by_logvar(problem, kLogvar, entry);
    const bool isotropic = problem.operand[kLogvar].size[1] == 1;
    for (int c = row_of_thread(); c < Shape::kColumns; c += kSide) {
      const int64_t k = column + c;
      const bool there = k < problem.k;
      const bool alive = components.constant(k) != -kInfinity<T>;
      const double coefficient = sums.coefficient(c);
      if (kWeighted && by_weight.data && there && column_of_thread() == 0)
        by_weight.at(k) = alive ? T(sums.log_weight(c)) : T(0);
      double total = 0;
      for (int64_t d = column_of_thread(); there && d < problem.d; d += kSide) {
        if (by_mean.data)
          by_mean.at(k, d) = alive ? T(components.scale(k, d) * sums.z(c, d)) : T(0);
        if (!by_logvar.data) continue;
        const double here = alive ? 0.5 * (sums.square(c, d) - coefficient) : 0;
        total += here;
        if (!isotropic) by_logvar.at(k, d) = T(here);
      }
      total = sum_over_lanes(total);
      if (by_logvar.data && isotropic && there && column_of_thread() == 0)
        by_logvar.at(k, 0) = T(total);
    }
  }
};

// How the blocks of a launch are dealt out.
struct BackwardPlan {
  int64_t point_blocks = 0, component_tiles = 0, tiles = 0, parts = 1, sum_blocks = 0;

  // A part of the points is a whole number of tiles.
  template <class Shape>
  static BackwardPlan of(const Problem& problem, bool by_points, bool by_components) {
    BackwardPlan plan;
    plan.point_blocks = by_points ? PointTile<Shape>::count(problem) : 0;
    plan.component_tiles = divide_up(problem.k, Shape::kColumns);
    plan.tiles = by_components ? problem.batch * plan.component_tiles : 0;
    const int64_t bytes = ComponentSums<Shape>::footprint(problem.d) * int64_t(sizeof(double));
    const int64_t blocks = smaller(kFullGrid, kPartialSumBytes / bytes);
    const int64_t most = blocks / larger<int64_t>(plan.tiles, 1);
    if (problem.n > pyvae_cuda_tuning.one_part_points)
      plan.parts = larger<int64_t>(1, smaller(most, divide_up(problem.n, Shape::kPoints)));
    return plan;
  }
};

template <class Op, class Shape, class T = typename Shape::T>
__global__ void __launch_bounds__(kThreads, 1)
    backward_kernel(const __grid_constant__ Problem problem, BackwardPlan plan, bool finish,
                    double* partial) {
  auto& memory = shared_memory<BackwardMemory<Op, Shape>>();
  const int64_t block = blockIdx.x;
  if (block < plan.point_blocks) {
    const PointTile<Shape> tile(problem, block);
    const ComponentView<T> components(problem, Op::kParameters, Op::kWeighted, tile.entry);
    point_gradients<Op, Shape>(problem, memory, components, tile.entry, tile.first);
    return;
  }
  const int64_t sum_block = block - plan.point_blocks;
  for (int64_t task = sum_block; task < plan.tiles * plan.parts; task += plan.sum_blocks) {
    const int64_t part = task % plan.parts, tile = task / plan.parts % plan.component_tiles;
    const int64_t entry = task / plan.parts / plan.component_tiles, column = tile * Shape::kColumns;
    const ComponentView<T> components(problem, Op::kParameters, Op::kWeighted, entry);
    double* const own =
        partial + (finish ? sum_block : task) * ComponentSums<Shape>::footprint(problem.d);
    component_sums<Op, Shape>(problem, memory, components, entry, column,
                              share(divide_up(problem.n, Shape::kPoints), part, plan.parts),
                              ComponentSums<Shape>(own, problem.d));
    if (!finish) continue;
    __syncthreads();
    WriteGradients<Op::kByParameters, Op::kWeighted>::write(problem, components, entry, column,
                                                            TotalSums<Shape>{own, 1, problem.d});
    __syncthreads();  // the next task's sums take their place
  }
}

// What `Finish` makes of the sums of all parts. Operands of the components start at `first`.
template <class Finish, class Shape, class T = typename Shape::T>
__global__ void __launch_bounds__(kThreads, 1)
    finish_kernel(const __grid_constant__ Problem problem, int first, bool weighted,
                  BackwardPlan plan, const double* partial) {
  const int64_t tile = blockIdx.x % plan.component_tiles, entry = blockIdx.x / plan.component_tiles;
  const ComponentView<T> components(problem, first, weighted, entry);
  const double* const sums =
      partial + blockIdx.x * plan.parts * ComponentSums<Shape>::footprint(problem.d);
  Finish::write(problem, components, entry, tile * Shape::kColumns,
                TotalSums<Shape>{sums, plan.parts, problem.d});
}

// The sums of every tile and part, and the gradients by points where they are wanted; with `finish`
// also those by components, where there is one part.
template <class Op, class Shape, class T = typename Shape::T>
double* run_sums(const Problem& problem, const Runtime& runtime, BackwardPlan plan, bool finish) {
  // Sums that are finished at once need no more memory than there are blocks at work.
  plan.sum_blocks = plan.tiles * plan.parts;
  if (finish) plan.sum_blocks = smaller(plan.sum_blocks, pyvae_cuda_tuning.sum_blocks);
  double* const partial =
      take<double>(runtime, plan.sum_blocks * ComponentSums<Shape>::footprint(problem.d));
  launch(backward_kernel<Op, Shape>, plan.point_blocks + plan.sum_blocks, kThreads,
         sizeof(BackwardMemory<Op, Shape>), runtime.stream, problem, plan, finish, partial);
  return partial;
}

template <class Op, class Shape, class T = typename Shape::T>
void run_backward(const Problem& problem, const Runtime& runtime) {
  const auto wanted = [&](int operand) { return operand >= 0 && problem.operand[operand].data; };
  const bool by_points = wanted(Op::kByPoint) || wanted(Op::kBySpread) || wanted(Op::kBySample) ||
                         wanted(Op::kByLogits);
  bool by_components = false;
  for (int i = 0; i < 2 + Op::kWeighted; ++i) by_components |= wanted(Op::kByParameters + i);
  const auto plan = BackwardPlan::of<Shape>(problem, by_points, by_components);
  const bool one_launch = plan.parts == 1;
  double* const sums = run_sums<Op, Shape>(problem, runtime, plan, one_launch);
  if (!one_launch)
    launch(finish_kernel<WriteGradients<Op::kByParameters, Op::kWeighted>, Shape>, plan.tiles,
           kThreads, 0, runtime.stream, problem, Op::kParameters, Op::kWeighted, plan, sums);
}

}  // namespace
}  // namespace pyvae
