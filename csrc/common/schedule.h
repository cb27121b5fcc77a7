// SPDX-License-Identifier: MIT
// Who does what: batch entries and blocks of points over workers, and the fixed order of the sums.
#pragma once

#include "common/parallel.h"
#include "common/subnormals.h"
#include "math/simd.h"

namespace pyvae {
namespace {

// Every batch entry is cut into `parts` runs of blocks; a task is one run. With as many entries as
// threads there is nothing to cut, and no partial sums to add up.
struct Schedule {
  int64_t block, blocks, parts, tasks, workers;

  // `block` points are handled together; a point against a component is `pair_work` operations.
  Schedule(const Problem& problem, const Runtime& runtime, int64_t block_, int64_t pair_work)
      : block(block_) {
    const int64_t work = problem.batch * problem.n * problem.k * pair_work;
    const int64_t threads = work < kParallelWork ? 1 : runtime.threads;
    blocks = divide_up(problem.n, block);
    parts = problem.batch >= threads
                ? 1
                : larger<int64_t>(1, smaller(divide_up(threads, problem.batch), blocks));
    tasks = problem.batch * parts;
    workers = smaller<int64_t>(threads, tasks);
  }
  // Of a task, at most.
  int64_t points() const { return divide_up(blocks, parts) * block; }
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
    without_subnormals([&] {
      for (int64_t task = mine.begin; task < mine.end; ++task) {
        const Range blocks = share(schedule.blocks, task % schedule.parts, schedule.parts);
        for (int64_t block = blocks.begin; block < blocks.end; ++block) {
          const int64_t first = block * schedule.block;
          body(Block{worker, task, task / schedule.parts, first,
                     smaller<int64_t>(schedule.block, problem.n - first)});
        }
      }
    });
  });
}

template <class T>
inline void clear(T* values, int64_t count) {
  for (int64_t i = 0; i < count; ++i) values[i] = 0;
}

// Adds the sums of an entry's later parts to those of its first, in order; `each` numbers a task.
inline void add_parts(const Schedule& schedule, const Runtime& runtime, double* sums,
                      int64_t each) {
  if (schedule.parts == 1) return;
  const int64_t entries = schedule.tasks / schedule.parts;
  const int64_t workers = tasks_for(runtime, schedule.tasks * each, each);
  parallel(runtime, workers, [&](int64_t worker) {
    const Range mine = share(each, worker, workers);
    for (int64_t entry = 0; entry < entries; ++entry) {
      double* const total = sums + entry * schedule.parts * each;
      for (int64_t part = 1; part < schedule.parts; ++part)
        for (int64_t i = mine.begin; i < mine.end; ++i) total[i] += total[part * each + i];
    }
  });
}

// The sums of every task, added up in the order of the tasks. `Sums` is a view of the numbers that
// a task keeps for one mixture, and tells how many these are.
template <class Sums, class Mixture>
class TaskSums {
 public:
  TaskSums(const Problem& problem, const Runtime& runtime, const Schedule& schedule,
           const Mixture& mixture)
      : schedule_(schedule), mixture_(mixture) {
    each_ = problem.batch ? Sums::footprint(mixture.entries[0]) : 0;
    memory_ = allocate<double>(runtime, schedule.tasks * each_);
    clear(memory_, schedule.tasks * each_);
  }

  Sums of_task(int64_t task) const {
    return Sums(memory_ + task * each_, mixture_.entries[task / schedule_.parts]);
  }
  Sums of_entry(int64_t entry) const { return of_task(entry * schedule_.parts); }

  void add_up(const Runtime& runtime) const { add_parts(schedule_, runtime, memory_, each_); }

 private:
  const Schedule& schedule_;
  const Mixture& mixture_;
  int64_t each_;
  double* memory_;
};

}  // namespace
}  // namespace pyvae
