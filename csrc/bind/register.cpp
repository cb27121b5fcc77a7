// SPDX-License-Identifier: MIT
// Registers every op of the table, forward and backward, on the CPU.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <memory>
#include <new>
#include <utility>

#include "bind/problem_of.h"
#include "cpu/table.h"

namespace pyvae {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::detail::from;
using torch::stable::detail::to;

// Memory of one call, freed when it ends, however it ends.
class Memory {
 public:
  void* take(size_t bytes) {
    blocks_.emplace_back(::operator new(bytes, std::align_val_t(64)));
    return blocks_.back().get();
  }

 private:
  struct Free {
    void operator()(void* block) const { ::operator delete(block, std::align_val_t(64)); }
  };
  std::vector<std::unique_ptr<void, Free>> blocks_;
};

void run_kernel(Kernel kernel, const Problem& problem) {
  if (problem.batch == 0) return;
  Memory memory;
  Runtime runtime;
  runtime.threads = int(torch::stable::get_num_threads());
  runtime.context = &memory;
  runtime.allocate = [](void* context, size_t bytes) {
    return static_cast<Memory*>(context)->take(bytes);
  };
  runtime.run = [](int64_t tasks, void (*task)(void*, int64_t), void* argument) {
    torch::stable::parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) task(argument, i);
    });
  };
  kernel(problem, runtime);
}

std::vector<Tensor> take_tensors(StableIValue* stack, size_t count) {
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < count; ++i) tensors.push_back(to<Tensor>(stack[i]));
  return tensors;
}

// Appends the tensors from `next` on, under their names and cores.
void bind(std::vector<Bound>& bound, const std::vector<Tensor>& tensors, size_t& next,
          const std::vector<std::string>& names, const std::vector<Core>& cores, size_t count) {
  for (size_t i = 0; i < count; ++i) bound.push_back({&names[i], &cores[i], tensors[next++]});
}

template <int kIndex>
void forward(StableIValue* stack, uint64_t, uint64_t) {
  const Op& op = parsed(kIndex);
  const std::vector<Tensor> tensors = take_tensors(stack, op.arguments.size());
  std::vector<Bound> bound;
  size_t next = 0;
  bind(bound, tensors, next, op.arguments, op.argument_cores, op.arguments.size());
  const Shapes shapes(kOps[kIndex].name, bound);
  const auto kind = kOps[kIndex].statistics ? ScalarType::Double : tensors[0].scalar_type();
  for (size_t i = 0; i < op.results.size(); ++i)
    bound.push_back({&op.results[i], &op.result_cores[i],
                     torch::stable::new_empty(tensors[0], shapes.of(op.result_cores[i]), kind)});
  const KernelPair& kernels = chosen().table->*kOps[kIndex].kernels;
  run_kernel(kernels.forward[shapes.is_double()], shapes.problem(bound));
  for (size_t i = 0; i < op.results.size(); ++i)
    stack[i] = from(bound[op.arguments.size() + i].tensor);
}

template <int kIndex>
void backward(StableIValue* stack, uint64_t arguments, uint64_t) {
  const Op& op = parsed(kIndex);
  const std::vector<Tensor> tensors = take_tensors(stack, arguments - 1);
  const int64_t needs = to<int64_t>(stack[arguments - 1]);
  std::vector<Bound> bound;
  size_t next = 0;
  const size_t upstream = op.results.size() - size_t(kOps[kIndex].auxiliary);
  bind(bound, tensors, next, op.results, op.result_cores, upstream);
  bind(bound, tensors, next, op.arguments, op.argument_cores, op.arguments.size());
  if (kOps[kIndex].backward_uses_results)
    bind(bound, tensors, next, op.results, op.result_cores, op.results.size());
  const Shapes shapes(std::string(kOps[kIndex].name) + "_backward", bound);
  for (size_t i = 0; i < op.arguments.size(); ++i) {
    const bool wanted = needs >> i & 1;
    const Tensor& like = tensors[upstream + i];
    std::vector<int64_t> shape = {0};
    if (wanted) shape.assign(like.sizes().begin(), like.sizes().end());
    bound.push_back(
        {&op.arguments[i], &op.argument_cores[i], torch::stable::new_empty(like, shape), wanted});
  }
  const KernelPair& kernels = chosen().table->*kOps[kIndex].kernels;
  run_kernel(kernels.backward[shapes.is_double()], shapes.problem(bound));
  for (size_t i = 0; i < op.arguments.size(); ++i)
    stack[i] = from(bound[tensors.size() + i].tensor);
}

template <int kIndex>
void implement(torch::stable::detail::StableLibrary& library) {
  const std::string name = kOps[kIndex].name;
  library.impl(name.c_str(), forward<kIndex>);
  if (!kOps[kIndex].statistics) library.impl((name + "_backward").c_str(), backward<kIndex>);
}

template <int... kIndices>
void implement_all(torch::stable::detail::StableLibrary& library,
                   std::integer_sequence<int, kIndices...>) {
  (implement<kIndices>(library), ...);
}

}  // namespace
}  // namespace pyvae

STABLE_TORCH_LIBRARY(pyvae, library) {
  for (int i = 0; i < pyvae::kOpCount; ++i) {
    library.def(pyvae::schema(i).c_str());
    if (!pyvae::kOps[i].statistics) library.def(pyvae::backward_schema(i).c_str());
  }
}

STABLE_TORCH_LIBRARY_IMPL(pyvae, CPU, library) {
  pyvae::implement_all(library, std::make_integer_sequence<int, pyvae::kOpCount>());
}
