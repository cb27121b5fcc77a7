// SPDX-License-Identifier: MIT
// Scores log(weight_k N(x_n; mu_k, L_k L_k')) of a slab, and their log-sum-exp, lanes over points.
#pragma once

#include "common/log_sum_exp.h"
#include "common/schedule.h"
#include "full/products.h"

namespace pyvae {
namespace {

// Components scored before the sums are brought up to date.
inline constexpr int64_t kChunkComponents = 16;

template <class V>
Schedule full_schedule(const Problem& problem, const Runtime& runtime) {
  return Schedule(problem, runtime, slab_points<V>(problem.d), problem.d * (problem.d + 1) / 2 + 8);
}

// The arrays of one worker: slabs (d, points), strips of numbers a point, and a group's x - mean.
template <class V>
class FullScratch {
  using T = ScalarOf<V>;

 public:
  FullScratch(const Problem& problem, const Runtime& runtime, const Schedule& schedule, int slabs,
              int64_t strips)
      : points_(schedule.block), slab_(problem.d * points_) {
    gap_ = problem.d * kGroupPoints<V>;
    strips_ = gap_ + slabs * slab_;
    each_ = strips_ + strips * points_;
    memory_ = allocate<T>(runtime, schedule.workers * each_);
    flags_ = allocate<bool>(runtime, schedule.workers * points_);
  }
  T* gap(int64_t worker) const { return memory_ + worker * each_; }
  T* slab(int64_t worker, int index) const { return gap(worker) + gap_ + index * slab_; }
  T* strip(int64_t worker, int64_t index) const { return gap(worker) + strips_ + index * points_; }
  bool* flags(int64_t worker) const { return flags_ + worker * points_; }

 private:
  int64_t points_, slab_, gap_, strips_, each_;
  T* memory_;
  bool* flags_;
};

// The points of one block, in the worker's slab 0.
template <class V>
Slab<V> load_slab(const Problem& problem, const Block& block, const FullScratch<V>& scratch,
                  int operand) {
  Slab<V> slab;
  slab.d = problem.d;
  slab.x = scratch.slab(block.worker, 0);
  slab.unreachable = scratch.flags(block.worker);
  slab.load(Column<const ScalarOf<V>>(problem, operand, block.entry), block.first, block.count);
  return slab;
}

// Scores of every point under one component; y = W (x - mean) is kept where `y` is given.
template <class V>
void score_component(const FullComponents<V>& components, int64_t k, const Slab<V>& slab,
                     ScalarOf<V>* gap, ScalarOf<V>* y, ScalarOf<V>* scores) {
  using T = ScalarOf<V>;
  if (!components.alive(k)) {  // a NaN times its zeros must not show
    for (int64_t n = 0; n < slab.points(); ++n) scores[n] = -kInfinity<T>;
    return;
  }
  const T* const mean = components.mean + k * components.d;
  for (int64_t g = 0; g < slab.groups; ++g) {
    subtract_mean<V>(slab.x + slab.group(g), mean, components.d, gap);
    with_vectors(slab.vectors(g), [&](auto vectors) {
      V squares[vectors];
      standardise_group<vectors, V>(components, components.factor_of(k), gap,
                                    y ? y + slab.group(g) : nullptr, squares);
      for (int v = 0; v < vectors; ++v)
        store<V>(scores + g * kGroupPoints<V> + v * kLanesOf<V>,
                 components.constant[k] - T(0.5) * squares[v]);
    });
  }
}

}  // namespace
}  // namespace pyvae
