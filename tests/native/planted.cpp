// SPDX-License-Identifier: MIT
#include "planted.h"

#include <limits>
#include <stdexcept>

#include "common/parallel.h"

namespace pyvae::native {
namespace {

enum class Bug { kNothing, kDisagreement, kOverrun, kOverflow, kRace, kUnwritten };

int64_t shared = 0;

// Doubles a row of numbers, and does one thing wrong.
template <Bug kBug, class T>
void doubled(const Problem& problem, const Runtime& runtime) {
  const int64_t tasks = tasks_for(runtime, problem.batch * problem.d * 16, problem.batch);
  parallel(runtime, tasks, [&](int64_t task) {
    const Range mine = share(problem.batch, task, tasks);
    for (int64_t entry = mine.begin; entry < mine.end; ++entry) {
      const T* const from = data_of<const T>(problem, 0, entry);
      T* const to = data_of<T>(problem, 1, entry);
      const int64_t stride = problem.operand[0].stride[0];
      const int64_t end = problem.d - (kBug == Bug::kUnwritten);
      for (int64_t d = 0; d < end; ++d) to[d] = 2 * from[d * stride];
      if (kBug == Bug::kDisagreement && end > 0) to[0] *= T(1.001);
      if (kBug == Bug::kOverrun && end > 0) to[end] = 0;
      if (kBug == Bug::kOverflow) shared = std::numeric_limits<int64_t>::max() + problem.n;
      if (kBug == Bug::kRace) shared += problem.d;
    }
  });
}

template <Bug kBug>
KernelPair kernels() {
  return {{doubled<kBug, float>, doubled<kBug, double>}, {nullptr, nullptr}};
}

KernelPair kernels_with(const std::string& bug) {
  if (bug == "nothing") return kernels<Bug::kNothing>();
  if (bug == "disagreement") return kernels<Bug::kDisagreement>();
  if (bug == "overrun") return kernels<Bug::kOverrun>();
  if (bug == "overflow") return kernels<Bug::kOverflow>();
  if (bug == "race") return kernels<Bug::kRace>();
  if (bug == "unwritten") return kernels<Bug::kUnwritten>();
  throw std::runtime_error("no bug named " + bug);
}

}  // namespace

Subject planted(const std::string& bug, size_t variants) {
  Core core;
  core.letters = "d";
  std::vector<KernelPair> all(variants, kernels_with(bug));
  all[0] = kernels_with(bug == "disagreement" ? "nothing" : bug);
  const Op op{"planted", "planted_backward",    {"x"}, {"y"}, {core},
              {core},    {Dtype::kOfArguments}, 1};
  return {"planted " + bug, op, false, "d", all};
}

}  // namespace pyvae::native
