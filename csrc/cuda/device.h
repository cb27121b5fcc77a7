// SPDX-License-Identifier: MIT
// What kernels ask of CUDA beyond the language's own words: the numbers of the ops, a launch that
// is checked, and shared memory. Where another compiler than nvcc reads the kernels, `emulation.h`
// plays the device.
#pragma once

#include "math/elementary.h"

#ifdef __CUDACC__

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#define PYVAE_UNROLL _Pragma("unroll")
#define PYVAE_UNROLL_TWICE _Pragma("unroll 2")
#define PYVAE_ROLLED _Pragma("unroll 1")

namespace pyvae {
namespace {

using Float = float;
using Double = double;

// e^x, x <= 0, in a sum that has an e^0: within |x| 2^-23 of itself, by the special function unit.
__device__ inline float exp_of_summand(float x) {
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x * 0x1.715476p0f));
  return power;
}
__device__ inline double exp_of_summand(double x) { return exp_of_gap(x); }

inline void check(cudaError_t status, const char* doing) {
  if (status == cudaSuccess) return;
  std::string message = std::string("CUDA failed ") + doing + ": " + cudaGetErrorString(status);
  if (status == cudaErrorNoKernelImageForDevice || status == cudaErrorInvalidDeviceFunction)
    message +=
        "; pyvae was compiled for other GPUs than this one. Install it again on this machine with "
        "CMAKE_CUDA_ARCHITECTURES=native, or move the tensors to the CPU";
  throw std::runtime_error(message);
}

// Brings 16 bytes, or as many zeros, into shared memory while the thread goes on. They are there
// for it after wait_for_copies(), and for others after a barrier behind that.
__device__ inline void copy_ahead(void* to, const void* from, bool there) {
  asm volatile(
      "cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(unsigned(__cvta_generic_to_shared(to))),
      "l"(from), "r"(there ? 16 : 0)
      : "memory");
}
__device__ inline void wait_for_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }

// The dynamic shared memory of the block, as one struct of it.
template <class Memory>
__device__ inline Memory& shared_memory() {
  extern __shared__ __align__(16) unsigned char memory[];
  return *reinterpret_cast<Memory*>(memory);
}

// Runs kernel(arguments...) on `blocks` blocks of `threads` threads, in stream order. Throws
// std::runtime_error where that cannot be.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), int64_t blocks, int threads, size_t shared_bytes,
            void* stream, const Arguments&... arguments) {
  if (blocks == 0) return;
  if (blocks > INT32_MAX)
    throw std::runtime_error("pyvae: more blocks of work than a GPU takes at once; split the call");
  if (shared_bytes > (48 << 10))
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               int(shared_bytes)),
          "asking for shared memory");
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(unsigned(blocks));
  config.blockDim = dim3(unsigned(threads));
  config.dynamicSmemBytes = shared_bytes;
  config.stream = static_cast<cudaStream_t>(stream);
  check(cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...), "launching a kernel");
}

}  // namespace
}  // namespace pyvae

#else

#include "emulation.h"

#define PYVAE_UNROLL
#define PYVAE_UNROLL_TWICE
#define PYVAE_ROLLED

#endif
