// SPDX-License-Identifier: MIT
// The backward pass of everything that has scores. An op says what the coefficient of a score is;
// the rest is here. One launch: some blocks own a few components and stream over a part of the
// points, the others own a tile of points and stream over the components. Where the points are in
// several parts, two more launches add these up in their order and finish them.
#pragma once

#include "cuda/small/component_sums.h"
#include "cuda/small/gradients.h"
#include "cuda/tuning.h"

namespace pyvae {
namespace {

template <class Op, class Shape>
struct PointMemory {
  static constexpr bool kSpread = Op::kSpread >= 0;
  union {
    ScoreChunk<Shape, kSpread> chunk;
    ScoreChunk<Shape, false> sample_chunk;
    ComponentRows<Shape> component_rows;
  };
  Constants<Shape> constants;
  CoefficientTile<Shape> by_score;
  std::conditional_t<(Op::kSample >= 0), CoefficientTile<Shape>, Nothing> by_logit;
  typename Op::State state[Shape::kPoints];
  bool skip[Shape::kPoints], skip_sample[Shape::kPoints];
};

template <class Op, class Shape>
union BackwardMemory {
  PointMemory<Op, Shape> points;
  SumMemory<Op> sums;
};

// One tile of points against tiles of components.
template <class Op, class Shape>
struct BackwardTile {
  using T = typename Shape::T;
  using View = ComponentView<T>;
  using Memory = PointMemory<Op, Shape>;
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

  // Fills the coefficients of the components from `first_column`. Barriers before and behind.
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
        if constexpr (Op::kScores) memory.by_score.of[column + j][row + i] = score[i][j];
        if constexpr (Op::kSample >= 0) memory.by_logit.of[column + j][row + i] = logit[i][j];
      }
    }
    PYVAE_UNROLL_TWICE for (int i = 0; i < kP * kC; ++i)
        replace(row + i / kC, column + i % kC, first_column);
    __syncthreads();
  }

  // A score by its coefficient.
  __device__ void replace(int row, int column, int64_t first_column) {
    const int64_t n = points.first + row, k = first_column + column;
    const bool there = row < points.count && k < problem.k;
    T& by_score = memory.by_score.of[column][row];
    Coefficients<T> found;
    if (there) {
      const T score = Op::kScores ? by_score : T(0);
      T l = score;
      if constexpr (Op::kSample >= 0) l = memory.by_logit.of[column][row];
      if constexpr (Op::kLogits >= 0) l = Column<const T>(problem, Op::kLogits, entry).at(n, k);
      found = memory.state[row].coefficients(problem, entry, n, k, l, score,
                                             memory.constants.log_weight[column],
                                             memory.constants.constant[column]);
    }
    by_score = found.by_score;
    if constexpr (Op::kSample >= 0) memory.by_logit.of[column][row] = found.by_logit;
    if constexpr (Op::kLogits >= 0) {
      const Column<T> by_logits(problem, Op::kByLogits, entry);
      if (by_logits.data && there) by_logits.at(n, k) = found.by_logit;
    }
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
  // Without components, too: the gradients are zero then.
  for (int64_t column = 0; column == 0 || column < problem.k; column += Shape::kColumns) {
    tile.fill(column);
    sums.template add<kSpread>(memory.component_rows, memory.by_score, components, column,
                               tile.points, &tile.spreads, T(Op::kSpreadOffset));
    if constexpr (Op::kSample >= 0)
      sample_sums.template add<false>(memory.component_rows, memory.by_logit, components, column,
                                      tile.samples, nullptr, T(0));
    __syncthreads();  // the coefficients have been read
  }
}

// Writes the gradients of a component by its log-weight (where it has one), mean and logvar into
// the operands from kFirst, by a row of threads.
template <int kFirst, bool kWeighted>
struct WriteGradients {
  template <class T>
  __device__ static void write(const Problem& problem, const ComponentView<T>& components,
                               int64_t entry, int64_t k, int own, const OwnSums& sums) {
    constexpr int kMean = kFirst + kWeighted, kLogvar = kMean + 1;
    const Column<T> by_weight(problem, kFirst, entry), by_mean(problem, kMean, entry),
        by_logvar(problem, kLogvar, entry);
    const bool isotropic = problem.operand[kLogvar].size[1] == 1, there = k < problem.k;
    const bool alive = components.constant(k) != -kInfinity<T>;
    const double coefficient = sums.coefficients[own];
    if (kWeighted && by_weight.data && there && column_of_thread() == 0)
      by_weight.at(k) = alive ? T(sums.log_weights[own]) : T(0);
    double total = 0;
    for (int64_t d = column_of_thread(); there && d < problem.d; d += kSide) {
      const int64_t at = own * problem.d + d;
      if (by_mean.data) by_mean.at(k, d) = alive ? T(components.scale(k, d) * sums.z[at]) : T(0);
      if (!by_logvar.data) continue;
      const double here = alive ? 0.5 * (sums.squares[at] - coefficient) : 0;
      total += here;
      if (!isotropic) by_logvar.at(k, d) = T(here);
    }
    total = sum_over_lanes(total);
    if (by_logvar.data && isotropic && there && column_of_thread() == 0)
      by_logvar.at(k, 0) = T(total);
  }
};

// How the blocks of a launch are dealt out.
struct BackwardPlan {
  // A task is a part of the points for a group of components of one entry.
  int64_t point_blocks = 0, groups = 0, parts = 1, tasks = 0, sum_blocks = 0;

  template <class Shape>
  static BackwardPlan of(const Problem& problem, bool by_points, bool by_components) {
    BackwardPlan plan;
    plan.point_blocks = by_points ? PointTile<Shape>::count(problem) : 0;
    plan.groups = divide_up(problem.k, kOwnComponents);
    const int64_t all_groups = by_components ? problem.batch * plan.groups : 0;
    const int64_t bytes = OwnSums::footprint(problem.d) * int64_t(sizeof(double));
    const int64_t blocks = smaller(kDenseBlocks, kPartialSumBytes / bytes);
    const int64_t most = blocks / larger<int64_t>(all_groups, 1);
    if (problem.n > pyvae_cuda_tuning.one_part_points)
      plan.parts = larger<int64_t>(1, smaller(most, divide_up(problem.n, kWarp)));
    plan.tasks = all_groups * plan.parts;
    return plan;
  }
  // A part is a whole number of warps.
  __device__ Range points(int64_t count, int64_t part) const {
    const Range warps = share(divide_up(count, kWarp), part, parts);
    return {warps.begin * kWarp, smaller(warps.end * kWarp, count)};
  }
};

// What `Finish` makes of the sums of a group of components.
template <class Finish, class T>
__device__ void finish_group(const Problem& problem, const ComponentView<T>& components,
                             int64_t entry, int64_t column, const OwnSums& sums) {
  const int own = row_of_thread();
  if (own < kOwnComponents) Finish::write(problem, components, entry, column + own, own, sums);
}

// The blocks that sum have the longest way, and are the first.
template <class Op, class Shape, class T = typename Shape::T>
__global__ void __launch_bounds__(kThreads, 1)
    backward_kernel(const __grid_constant__ Problem problem, BackwardPlan plan, bool finish,
                    double* partial) {
  auto& memory = shared_memory<BackwardMemory<Op, Shape>>();
  const int64_t block = blockIdx.x;
  if (block >= plan.sum_blocks) {
    const PointTile<Shape> tile(problem, block - plan.sum_blocks);
    const ComponentView<T> components(problem, Op::kParameters, Op::kWeighted, tile.entry);
    point_gradients<Op, Shape>(problem, memory.points, components, tile.entry, tile.first);
    return;
  }
  for (int64_t task = block; task < plan.tasks; task += plan.sum_blocks) {
    const int64_t group = task / plan.parts, entry = group / plan.groups;
    const int64_t column = group % plan.groups * kOwnComponents;
    const ComponentView<T> components(problem, Op::kParameters, Op::kWeighted, entry);
    const OwnSums own(partial + (finish ? block : task) * OwnSums::footprint(problem.d), problem.d);
    ComponentSums<Op>(problem, memory.sums, components, entry, column, own)
        .run(plan.points(problem.n, task % plan.parts));
    __syncthreads();
    if (!finish) continue;
    finish_group<WriteGradients<Op::kByParameters, Op::kWeighted>>(problem, components, entry,
                                                                   column, own);
    __syncthreads();  // the next task's sums take their place
  }
}

// Adds up the parts of every group, in their order, into the first of them: a number a column of
// threads, of which each has some of the parts.
__global__ void __launch_bounds__(kThreads)
    add_parts_kernel(double* partial, int64_t parts, int64_t numbers) {
  struct Memory {
    double of[kSide][kSide];
  };
  Memory& memory = shared_memory<Memory>();
  const int64_t columns = divide_up(numbers, kSide);
  const int64_t i = blockIdx.x % columns * kSide + column_of_thread();
  double* const first = partial + blockIdx.x / columns * parts * numbers + i;
  const Range range = share(parts, row_of_thread(), kSide);
  double sum = 0;
  PYVAE_UNROLL_FOUR for (int64_t part = range.begin; i < numbers && part < range.end; ++part) sum +=
      first[part * numbers];
  memory.of[row_of_thread()][column_of_thread()] = sum;
  __syncthreads();
  if (row_of_thread() != 0 || i >= numbers) return;
  double total = 0;
  PYVAE_UNROLL for (int row = 0; row < kSide; ++row) total += memory.of[row][column_of_thread()];
  *first = total;
}

// Operands of the components start at `first`.
template <class Finish, class T>
__global__ void __launch_bounds__(kSide* kOwnComponents)
    finish_kernel(const __grid_constant__ Problem problem, int first, bool weighted,
                  BackwardPlan plan, double* partial) {
  const int64_t group = blockIdx.x % plan.groups, entry = blockIdx.x / plan.groups;
  const ComponentView<T> components(problem, first, weighted, entry);
  const OwnSums sums(partial + blockIdx.x * plan.parts * OwnSums::footprint(problem.d), problem.d);
  finish_group<Finish>(problem, components, entry, group * kOwnComponents, sums);
}

// The sums of every group and part, and the gradients by points where they are wanted; with
// `finish` also those by components, where there is one part.
template <class Op, class Shape>
double* run_sums(const Problem& problem, const Runtime& runtime, BackwardPlan plan, bool finish) {
  // Sums that are finished at once need no more memory than there are blocks at work.
  plan.sum_blocks = finish ? smaller(plan.tasks, pyvae_cuda_tuning.sum_blocks) : plan.tasks;
  double* const partial = take<double>(runtime, plan.sum_blocks * OwnSums::footprint(problem.d));
  launch(backward_kernel<Op, Shape>, plan.sum_blocks + plan.point_blocks, kThreads,
         sizeof(BackwardMemory<Op, Shape>), runtime.stream, problem, plan, finish, partial);
  return partial;
}

template <class Finish, class T>
void finish_sums(const Problem& problem, const Runtime& runtime, int first, bool weighted,
                 const BackwardPlan& plan, double* partial) {
  const int64_t groups = plan.tasks / plan.parts, numbers = OwnSums::footprint(problem.d);
  launch(add_parts_kernel, groups * divide_up(numbers, kSide), kThreads, kThreads * sizeof(double),
         runtime.stream, partial, plan.parts, numbers);
  launch(finish_kernel<Finish, T>, groups, kSide * kOwnComponents, 0, runtime.stream, problem,
         first, weighted, plan, partial);
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
    finish_sums<WriteGradients<Op::kByParameters, Op::kWeighted>, T>(
        problem, runtime, Op::kParameters, Op::kWeighted, plan, sums);
}

}  // namespace
}  // namespace pyvae
