// SPDX-License-Identifier: MIT
// The ops' kernels on NVIDIA GPUs: a library of its own, which torch loads after pyvae._C.
#include <dlfcn.h>
#include <torch/csrc/stable/accelerator.h>

#include "bind/register.h"
#include "cuda/table.h"

namespace pyvae {
namespace {

// torch's function for the current stream, in the library that only a torch with CUDA has: linked
// against, it would keep this one from being built beside any other torch.
using CurrentStream = AOTITorchError (*)(int32_t device, void** stream);

CurrentStream current_stream() {
  static const CurrentStream function = [] {
    void* const library = dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_NOLOAD);
    void* const found = library ? dlsym(library, "aoti_torch_get_current_cuda_stream") : nullptr;
    STD_TORCH_CHECK(found, "pyvae finds no aoti_torch_get_current_cuda_stream in libtorch_cuda.so");
    return reinterpret_cast<CurrentStream>(found);
  }();
  return function;
}

// One call: the tensors' device is the current one, and memory comes from torch's allocator, which
// hands it on in the order of the stream and knows of CUDA graphs.
class Cuda {
 public:
  static Place place() {
    return {&Tensor::is_cuda, true, "on the same CUDA device as the other arguments"};
  }
  static const KernelTable& table() { return cuda::table; }

  explicit Cuda(const Tensor& like) : like_(like), guard_(like.get_device_index()) {}

  Runtime runtime() {
    Runtime runtime;
    runtime.context = this;
    runtime.allocate = [](void* self, size_t bytes) {
      return static_cast<Cuda*>(self)->take(int64_t(bytes));
    };
    const AOTITorchError status = current_stream()(like_.get_device_index(), &runtime.stream);
    STD_TORCH_CHECK(status == AOTI_TORCH_SUCCESS, "torch does not tell pyvae the current stream");
    return runtime;
  }

 private:
  void* take(int64_t bytes) {
    memory_.push_back(new_memory(like_, {bytes}, ScalarType::Byte));
    return memory_.back().data_ptr();
  }

  const Tensor& like_;
  torch::stable::accelerator::DeviceGuard guard_;
  std::vector<Tensor> memory_;
};

}  // namespace
}  // namespace pyvae

STABLE_TORCH_LIBRARY_IMPL(pyvae, CUDA, library) { pyvae::implement_ops<pyvae::Cuda>(library); }
