// SPDX-License-Identifier: MIT
// Thresholds of the CUDA kernels, in one place. Reasoned: the kernels have run on a GPU
// (docs/design.md), but none of these was chosen by a measurement.
#pragma once

#include "problem.h"

namespace pyvae {

// Those that tests lower, to reach every kernel at small sizes.
struct CudaTuning {
  // Multiply-adds of a score tile from which on components are packed and tiles are large; below, a
  // call is one launch.
  int64_t large_tile_work = int64_t(1) << 24;
  // Up to so many points are one part, so that a training batch has its gradients in one launch.
  int64_t one_part_points = 2048;
  // Most blocks that own sums over points, and scratch memory for them; further ones take turns.
  int64_t sum_blocks = 1152;
};

}  // namespace pyvae

extern "C" __attribute__((visibility("default"))) pyvae::CudaTuning pyvae_cuda_tuning;

namespace pyvae {
namespace {

inline bool uses_large_tiles(const Problem& problem) {
  return problem.k > 32 && problem.n > 64 &&
         problem.n * problem.k * problem.d >= pyvae_cuda_tuning.large_tile_work;
}

// Blocks that fill a GPU, twice over: among so many the points of a sum are divided. Their partial
// sums may take this many bytes.
inline constexpr int64_t kFullGrid = 288, kPartialSumBytes = 48 << 20;

}  // namespace
}  // namespace pyvae
