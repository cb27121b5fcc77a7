// SPDX-License-Identifier: MIT
// Ops as torch calls them, over a device, which is a class of
//
//   static Place place();               where the tensors must be
//   static const KernelTable& table();  the kernels
//   Device(const Tensor& like);         made for a call on tensors beside `like`, gone when it ends
//   Runtime runtime();                  the services that the kernel is handed
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include <memory>
#include <new>
#include <utility>

#include "bind/problem_of.h"

namespace pyvae {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::detail::from;
using torch::stable::detail::to;

// Memory of one call on the CPU, freed when it ends, however it ends. A small call's is on the
// stack.
class Memory {
 public:
  static void* take(void* self, size_t bytes) {
    Memory& memory = *static_cast<Memory*>(self);
    const size_t rounded = (bytes + 63) / 64 * 64;
    if (rounded <= sizeof(memory.near_) - memory.taken_)
      return memory.near_ + std::exchange(memory.taken_, memory.taken_ + rounded);
    memory.blocks_.emplace_back(::operator new(bytes, std::align_val_t(64)));
    return memory.blocks_.back().get();
  }

 private:
  struct Free {
    void operator()(void* block) const { ::operator delete(block, std::align_val_t(64)); }
  };
  using Block = std::unique_ptr<void, Free>;
  std::vector<Block> blocks_;
  size_t taken_ = 0;
  alignas(64) unsigned char near_[1 << 14];
};

// The CPU; what it runs is another's to say.
class Host {
 public:
  static Place place() { return {&Tensor::is_cpu, false, "on the CPU like the other arguments"}; }
  explicit Host(const Tensor&) {}

  Runtime runtime() {
    Runtime runtime;
    runtime.context = &memory_;
    runtime.allocate = Memory::take;
    runtime.threads = int(torch::stable::get_num_threads());
    runtime.run = [](int64_t tasks, void (*task)(void*, int64_t), void* argument) {
      torch::stable::parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) task(argument, i);
      });
    };
    return runtime;
  }

 private:
  Memory memory_;
};

template <class Device>
void run_kernel(Kernel kernel, const Problem& problem, const Tensor& like) {
  if (problem.batch == 0) return;
  Device device(like);
  kernel(problem, device.runtime());
}

inline std::vector<Tensor> take_tensors(StableIValue* stack, size_t count) {
  std::vector<Tensor> tensors;
  tensors.reserve(count);
  for (size_t i = 0; i < count; ++i) tensors.push_back(to<Tensor>(stack[i]));
  return tensors;
}

// Memory beside a tensor's, without the dispatcher, which in a small call takes as long as a
// kernel. torch's own reason for a failure does not come through the stable ABI.
inline Tensor new_memory(const Tensor& like, const std::vector<int64_t>& shape, ScalarType kind) {
  std::vector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0; stride *= shape[i] > 0 ? shape[i] : 1) strides[i] = stride;
  int32_t device_type;
  AtenTensorHandle found;
  if (aoti_torch_get_device_type(like.get(), &device_type) == AOTI_TORCH_SUCCESS &&
      aoti_torch_empty_strided(int64_t(shape.size()), shape.data(), strides.data(),
                               to<int32_t>(from(kind)), device_type, like.get_device_index(),
                               &found) == AOTI_TORCH_SUCCESS)
    return Tensor(found);
  std::string sizes;
  for (const int64_t size : shape) sizes += (sizes.empty() ? "" : ", ") + std::to_string(size);
  throw std::runtime_error((like.is_cuda() ? "CUDA out of memory" : "out of memory") +
                           std::string(": pyvae asked for (") + sizes + ") numbers of " +
                           (kind == ScalarType::Byte    ? "a byte"
                            : kind == ScalarType::Float ? "4 bytes"
                                                        : "8 bytes") +
                           "; take a smaller batch");
}

// Appends the tensors from `next` on, under their names and cores.
inline void bind(std::vector<Bound>& bound, const std::vector<Tensor>& tensors, size_t& next,
                 const std::vector<std::string>& names, const std::vector<Core>& cores,
                 size_t count) {
  for (size_t i = 0; i < count; ++i) bound.push_back({&names[i], &cores[i], tensors[next++]});
}

inline ScalarType kind_of(Dtype dtype, const Tensor& argument) {
  if (dtype == Dtype::kFloat64) return ScalarType::Double;
  return dtype == Dtype::kInt64 ? ScalarType::Long : argument.scalar_type();
}

template <class Device, int kIndex>
void forward(StableIValue* stack, uint64_t, uint64_t) {
  const Op& op = parsed(kIndex);
  const std::vector<Tensor> tensors = take_tensors(stack, op.arguments.size());
  std::vector<Bound> bound;
  bound.reserve(kMaxOperands);
  size_t next = 0;
  bind(bound, tensors, next, op.arguments, op.argument_cores, op.arguments.size());
  const Shapes shapes(op.name, bound, Device::place());
  for (size_t i = 0; i < op.results.size(); ++i)
    bound.push_back({&op.results[i], &op.result_cores[i],
                     new_memory(tensors[0], shapes.of(op.result_cores[i]),
                                kind_of(op.result_dtypes[i], tensors[0]))});
  const KernelPair& kernels = *Device::table().ops[kIndex];
  run_kernel<Device>(kernels.forward[shapes.is_double()], shapes.problem(bound), tensors[0]);
  for (size_t i = 0; i < op.results.size(); ++i)
    stack[i] = from(bound[op.arguments.size() + i].tensor);
}

template <class Device, int kIndex>
void backward(StableIValue* stack, uint64_t arguments, uint64_t) {
  const Op& op = parsed(kIndex);
  const std::vector<Tensor> tensors = take_tensors(stack, arguments - 1);
  const int64_t needs = to<int64_t>(stack[arguments - 1]);
  std::vector<Bound> bound;
  bound.reserve(kMaxOperands);
  size_t next = 0;
  bind(bound, tensors, next, op.results, op.result_cores, op.returned);
  bind(bound, tensors, next, op.arguments, op.argument_cores, op.arguments.size());
  if (kOps[kIndex].backward_uses_results())
    bind(bound, tensors, next, op.results, op.result_cores, op.results.size());
  const Shapes shapes(op.backward_name, bound, Device::place());
  for (size_t i = 0; i < op.arguments.size(); ++i) {
    const bool wanted = needs >> i & 1;
    const Tensor& like = tensors[op.returned + i];
    std::vector<int64_t> shape = {0};
    if (wanted) shape.assign(like.sizes().begin(), like.sizes().end());
    bound.push_back({&op.arguments[i], &op.argument_cores[i],
                     new_memory(like, shape, like.scalar_type()), wanted});
  }
  const KernelPair& kernels = *Device::table().ops[kIndex];
  run_kernel<Device>(kernels.backward[shapes.is_double()], shapes.problem(bound), tensors[0]);
  for (size_t i = 0; i < op.arguments.size(); ++i)
    stack[i] = from(bound[tensors.size() + i].tensor);
}

template <class Device, int kIndex>
void implement(torch::stable::detail::StableLibrary& library) {
  const std::string name = kOps[kIndex].name;
  library.impl(name.c_str(), forward<Device, kIndex>);
  if constexpr (kOps[kIndex].backward != Backward::kNone)
    library.impl((name + "_backward").c_str(), backward<Device, kIndex>);
}

template <class Device, int... kIndices>
void implement(torch::stable::detail::StableLibrary& library,
               std::integer_sequence<int, kIndices...>) {
  (implement<Device, kIndices>(library), ...);
}

// Declares every op of the table, forward and backward.
inline void define_ops(torch::stable::detail::StableLibrary& library) {
  for (int i = 0; i < kOpCount; ++i) {
    library.def(schema(i).c_str());
    if (kOps[i].has_backward()) library.def(backward_schema(i).c_str());
  }
}

// Gives every op the kernels of a device.
template <class Device>
void implement_ops(torch::stable::detail::StableLibrary& library) {
  implement<Device>(library, std::make_integer_sequence<int, kOpCount>());
}

}  // namespace
}  // namespace pyvae
