// SPDX-License-Identifier: MIT
// Who does what: batch entries and blocks of points over workers, packed components, and the fixed
// order of the sums.
#pragma once

#include "tiles/accumulate.h"

namespace pyvae {
namespace {

// Every batch entry is cut into `parts` runs of blocks; a task is one run. With as many entries as
// threads there is nothing to cut, and no partial sums to add up.
struct Schedule {
  int64_t blocks, parts, tasks, workers;

  Schedule(const Problem& problem, const Runtime& runtime) {
    const int64_t work = problem.batch * problem.n * problem.k * (problem.d + 8);
    const int64_t threads = work < kParallelWork ? 1 : runtime.threads;
    blocks = divide_up(problem.n, kBlock);
    parts = problem.batch >= threads
                ? 1
                : larger<int64_t>(1, smaller(divide_up(threads, problem.batch), blocks));
    tasks = problem.batch * parts;
    workers = smaller<int64_t>(threads, tasks);
  }
};

// The components of every batch entry, packed once for all tasks.
template <class V>
struct PackedMixture {
  using T = ScalarOf<V>;
  Components<V>* entries;

  PackedMixture(const Problem& problem, const Runtime& runtime, int first_parameter, bool rows) {
    const int64_t each = Components<V>::footprint(problem.k, problem.d);
    T* const memory = allocate<T>(runtime, problem.batch * each);
    entries = allocate<Components<V>>(runtime, problem.batch);
    const int64_t workers = tasks_for(runtime, problem.batch * each, problem.batch);
    parallel(runtime, workers, [&](int64_t worker) {
      const Range mine = share(problem.batch, worker, workers);
      for (int64_t entry = mine.begin; entry < mine.end; ++entry) {
        entries[entry] = Components<V>(memory + entry * each, problem.k, problem.d);
        pack(entries[entry], Parameters<T>(problem, first_parameter, entry), rows);
      }
    });
  }
};

// One block of points of one task.
struct Block {
  int64_t worker, task, entry, first, count;
};

template <class Body>
void for_each_block(const Problem& problem, const Runtime& runtime, const Schedule& schedule,
                    const Body& body) {
  parallel(runtime, schedule.workers, [&](int64_t worker) {
    const Range mine = share(schedule.tasks, worker, schedule.workers);
    for (int64_t task = mine.begin; task < mine.end; ++task) {
      const Range blocks = share(schedule.blocks, task % schedule.parts, schedule.parts);
      for (int64_t block = blocks.begin; block < blocks.end; ++block) {
        const int64_t first = block * kBlock;
        body(Block{worker, task, task / schedule.parts, first,
                   smaller<int64_t>(kBlock, problem.n - first)});
      }
    }
  });
}

template <class V, class Body>
void for_each_chunk(const Components<V>& components, const Body& body) {
  for (int64_t panel = 0; panel < components.panels; panel += kChunkPanels)
    body(chunk_at(components, panel));
}

template <class T>
inline void clear(T* values, int64_t count) {
  for (int64_t i = 0; i < count; ++i) values[i] = 0;
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

// The sums over points by component: a set a task, added up in the order of the tasks when all are
// done.
template <class V>
class GradientSums {
  using T = ScalarOf<V>;

 public:
  GradientSums(const Problem& problem, const Runtime& runtime, const Schedule& schedule,
               const PackedMixture<V>& mixture)
      : problem_(problem), schedule_(schedule), mixture_(mixture) {
    each_ = problem.batch ? ComponentSums<V>::footprint(mixture.entries[0]) : 0;
    memory_ = allocate<T>(runtime, schedule.tasks * each_);
    clear(memory_, schedule.tasks * each_);
  }

  ComponentSums<V> of_task(int64_t task) const {
    return ComponentSums<V>(memory_ + task * each_, mixture_.entries[task / schedule_.parts]);
  }

  // Writes the gradients by log_weights, means and logvars into the three operands from `first`.
  void write(const Runtime& runtime, int first) const {
    const int64_t workers = tasks_for(runtime, schedule_.tasks * each_, problem_.batch);
    parallel(runtime, workers, [&](int64_t worker) {
      const Range mine = share(problem_.batch, worker, workers);
      for (int64_t entry = mine.begin; entry < mine.end; ++entry) {
        add_parts(entry);
        for (int64_t k = 0; k < problem_.k; ++k) write_component(entry, k, first);
      }
    });
  }

 private:
  void add_parts(int64_t entry) const {
    T* const total = memory_ + entry * schedule_.parts * each_;
    for (int64_t part = 1; part < schedule_.parts; ++part)
      for (int64_t i = 0; i < each_; ++i) total[i] += total[part * each_ + i];
  }

  void write_component(int64_t entry, int64_t k, int first) const {
    const Components<V>& components = mixture_.entries[entry];
    const ComponentSums<V> sums = of_task(entry * schedule_.parts);
    const T alive = components.alive(k) ? T(1) : T(0);
    const int64_t row = k * components.padded_d;
    const Operand &by_weight = problem_.operand[first], &by_mean = problem_.operand[first + 1],
                  &by_logvar = problem_.operand[first + 2];
    if (T* const to = data_of<T>(problem_, first, entry))
      to[k * by_weight.stride[0]] = alive ? sums.log_weights[k] : T(0);
    if (T* const to = data_of<T>(problem_, first + 1, entry))
      for (int64_t d = 0; d < problem_.d; ++d)
        to[k * by_mean.stride[0] + d * by_mean.stride[1]] =
            alive ? components.row_scale[row + d] * sums.z[row + d] : T(0);
    if (T* const to = data_of<T>(problem_, first + 2, entry)) {
      const bool isotropic = by_logvar.size[1] == 1;
      T total = 0;
      for (int64_t d = 0; d < problem_.d; ++d) {
        const T here = alive ? T(0.5) * (sums.squares[row + d] - sums.coefficients[k]) : T(0);
        total += here;
        if (!isotropic) to[k * by_logvar.stride[0] + d * by_logvar.stride[1]] = here;
      }
      if (isotropic) to[k * by_logvar.stride[0]] = total;
    }
  }

  const Problem& problem_;
  const Schedule& schedule_;
  const PackedMixture<V>& mixture_;
  int64_t each_;
  T* memory_;
};

}  // namespace
}  // namespace pyvae
