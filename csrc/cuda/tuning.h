// SPDX-License-Identifier: MIT
// Thresholds of the CUDA kernels, in one place. Those that say so were chosen by measurements on an
// H200, the others are reasoned.
#pragma once

#include "problem.h"

namespace pyvae {

// Those that tests lower, to reach every kernel at small sizes.
struct CudaTuning {
  // Multiply-adds of all scores from which on components are packed and tiles are wide; below, a
  // call is one launch.
  int64_t wide_tile_work = int64_t(1) << 24;
  // Up to so many points are one part, so that a training batch has its gradients in one launch.
  int64_t one_part_points = 2048;
  // What the terms of a chunk of a large problem may take. Measured: with half of it a pass of
  // scores has as many blocks as multiprocessors, with less the GPU is not full, and twice as slow.
  int64_t chunk_bytes = 128 << 20;
  // In 1024 pairs of a chunk: up to so many survivors are visited one by one. Measured: where 180
  // of them survive, that takes 1.4 times as long as all pairs by tiles.
  int64_t sparse_share = 128;
  // Multiply-adds of all scores, and of a point's, from which on a call may be screened, where up
  // to so many in 1024 groups of components are near the best of a point. Measured at
  // (1,000,000, 256, 64): 2.1 ns a point by tiles, 1.2 screened. The share is reasoned.
  int64_t screened_work = int64_t(1) << 30, screened_row = int64_t(1) << 14;
  int64_t screened_share = 40;
  // Most blocks that own sums over points, and scratch memory for them; further ones take turns.
  int64_t sum_blocks = 1152;
  // Threads from which on each has several rows of gaussian_kl, the next on its way meanwhile.
  int64_t row_threads = 1 << 20;
};

}  // namespace pyvae

extern "C" __attribute__((visibility("default"))) pyvae::CudaTuning pyvae_cuda_tuning;

namespace pyvae {
namespace {

// Components from which on a pass goes by wide tiles, which pad them to half a tile or a whole one.
// Scores of few are about as quick by small tiles; sums over points are not: measured, those of
// (65536, 32, 64) take 306 us and finishing them 143, where a whole tile of scores takes 58 at the
// 37 TFLOP/s of large problems, and the sums of survivors about as much.
inline constexpr int64_t kWideScores = 33, kWideSums = 17;

inline bool uses_wide_tiles(const Problem& problem, int64_t components) {
  return problem.k >= components && problem.n > 64 &&
         problem.n * problem.k * problem.d >= pyvae_cuda_tuning.wide_tile_work;
}

// Blocks that fill a GPU, twice over: among so many the points of a sum are divided. Their partial
// sums, and the bounds of points that are screened, may take this many bytes.
inline constexpr int64_t kFullGrid = 288, kPartialSumBytes = 50 << 20;
// Blocks of which a multiprocessor holds one or two, and such as it holds several of.
inline constexpr int64_t kDenseBlocks = 256, kSparseBlocks = 1024;

}  // namespace
}  // namespace pyvae
