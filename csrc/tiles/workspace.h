// SPDX-License-Identifier: MIT
// What a call of a tile kernel works with: packed components, the schedule, a worker's arrays, and
// the sums over points of every task.
#pragma once

#include "common/schedule.h"
#include "tiles/accumulate.h"

namespace pyvae {
namespace {

template <class V>
Schedule tile_schedule(const Problem& problem, const Runtime& runtime) {
  return Schedule(problem, runtime, kBlock, problem.d + 8);
}

// The components of every batch entry, packed once for all tasks.
template <class V>
struct PackedMixture {
  using T = ScalarOf<V>;
  Components<V>* entries;

  explicit PackedMixture(Components<V>* entries_) : entries(entries_) {}
  PackedMixture(const Problem& problem, const Runtime& runtime, int first_parameter, bool rows,
                bool weighted = true) {
    const int64_t each = Components<V>::footprint(problem.k, problem.d);
    T* const memory = allocate<T>(runtime, problem.batch * each);
    entries = allocate<Components<V>>(runtime, problem.batch);
    const int64_t workers = tasks_for(runtime, problem.batch * each, problem.batch);
    parallel(runtime, workers, [&](int64_t worker) {
      const Range mine = share(problem.batch, worker, workers);
      for (int64_t entry = mine.begin; entry < mine.end; ++entry) {
        entries[entry] = Components<V>(memory + entry * each, problem.k, problem.d);
        pack(entries[entry], Parameters<T>(problem, first_parameter, entry, weighted), rows);
      }
    });
  }
};

template <class V>
int64_t padded_components(const Problem& problem) {
  return Components<V>::padded(problem.k, Components<V>::kPanel);
}

template <class V, class Body>
void for_each_chunk(const Components<V>& components, const Body& body) {
  for (int64_t panel = 0; panel < components.panels; panel += kChunkPanels)
    body(chunk_at(components, panel));
}

// Arrays of one worker, in units of (kBlock, padded_d) and (kBlock, kChunk).
template <class V>
struct Scratch {
  using T = ScalarOf<V>;
  T* memory;
  int64_t row_size, each;

  Scratch(const Problem& problem, const Runtime& runtime, const Schedule& schedule, int rows,
          int strips) {
    row_size = kBlock * Components<V>::padded(problem.d, kLanesOf<V>);
    each = rows * row_size + strips * kBlock * kChunk<V>;
    memory = allocate<T>(runtime, schedule.workers * each);
  }
  T* strip(int64_t worker, int index = 0) const {
    return memory + worker * each + index * kBlock * kChunk<V>;
  }
  T* rows(int64_t worker, int index) const {
    return memory + (worker + 1) * each - (index + 1) * row_size;
  }
};

template <class V>
using TileSums = TaskSums<ComponentSums<V>, PackedMixture<V>>;

// What the gradients by log_weights are: there are none, or the sums of the coefficients, or of
// others.
enum class LogWeights { kNone, kCoefficients, kTheirOwn };

template <class V>
void write_component_gradient(const Problem& problem, const Components<V>& components,
                              const ComponentSums<V>& sums, int64_t entry, int64_t k, int first,
                              LogWeights log_weights) {
  using T = ScalarOf<V>;
  const bool weighted = log_weights != LogWeights::kNone;
  const int mean = first + weighted, logvar = mean + 1;
  const bool alive = components.alive(k);
  const int64_t row = k * components.padded_d;
  const Column<T> by_weight(problem, first, entry), by_mean(problem, mean, entry),
      by_logvar(problem, logvar, entry);
  const double* const of_weights =
      log_weights == LogWeights::kTheirOwn ? sums.log_weights : sums.coefficients;
  if (weighted && by_weight.data) by_weight.at(k) = alive ? T(of_weights[k]) : T(0);
  for (int64_t d = 0; by_mean.data && d < problem.d; ++d)
    by_mean.at(k, d) = alive ? T(components.row_scale[row + d] * sums.z[row + d]) : T(0);
  if (!by_logvar.data) return;
  const bool isotropic = problem.operand[logvar].size[1] == 1;
  double total = 0;
  for (int64_t d = 0; d < problem.d; ++d) {
    const double here = alive ? 0.5 * (sums.squares[row + d] - sums.coefficients[k]) : 0;
    total += here;
    if (!isotropic) by_logvar.at(k, d) = T(here);
  }
  if (isotropic) by_logvar.at(k, 0) = T(total);
}

// Writes the gradients by log_weights (where there are any), means and logvars into the operands
// from `first`.
template <class V>
void write_gradients(const Problem& problem, const Runtime& runtime, const TileSums<V>& sums,
                     const PackedMixture<V>& mixture, int first, LogWeights log_weights) {
  const int64_t jobs = problem.batch * problem.k;
  const int64_t workers = tasks_for(runtime, jobs * problem.d, jobs);
  parallel(runtime, workers, [&](int64_t worker) {
    const Range mine = share(jobs, worker, workers);
    for (int64_t job = mine.begin; job < mine.end; ++job) {
      const int64_t entry = job / problem.k;
      write_component_gradient(problem, mixture.entries[entry], sums.of_entry(entry), entry,
                               job % problem.k, first, log_weights);
    }
  });
}

}  // namespace
}  // namespace pyvae
