// SPDX-License-Identifier: MIT
// Which components can count for a point, told by the tensor cores: an upper bound of every score
// in bfloat16, of which the largest of every group of components is kept. Only groups whose bound
// comes near the best score are computed, exactly (screened_density.h, screened_terms.h).
//
// With x about the centre, s = 1/sigma and h = (mean - centre)/sigma a score is
//   c - Q + L - H,  Q = sum (s x)^2 / 2,  L = sum s h x,  H = sum h^2 / 2:
// products of (x^2, x) with (-s^2/2, s h), both rounded. A product of two rounded factors is off by
// at most 2^-7 + 2^-16 of itself, and |L| is at most Q + H, so that (1 - e) Q and (1 - e) H in
// place of Q and H, with an e of that size and a little more for the sums, make it a bound: the
// proof is in docs/design.md.
#pragma once

#include "cuda/large/chunk.h"
#include "cuda/large/scores.h"
#include "cuda/tensor_cores.h"

namespace pyvae {
namespace {

// Only float is screened: in double as many bits as bfloat16 leaves out say nothing yet.
template <class T>
inline constexpr bool kScreens = sizeof(T) == sizeof(float);
// Columns of a warp's tile, and coordinates of a step of its products.
inline constexpr int kWarpColumns = 32, kStep = 8;
// Coordinates at most: those of a tile of points are in shared memory, of which every GPU has 99
// KiB.
inline constexpr int kMostScreened = 192;
// Tiles of points from which the way is chosen, and blocks that share one.
inline constexpr int64_t kSampleTiles = 32, kSampleParts = 4;
inline constexpr float kLargestScreened = 1e15f;  // of |x|, so that its square is far from overflow

template <class T>
inline bool may_screen(const Problem& problem) {
  return kScreens<T> && problem.batch == 1 && problem.d <= kMostScreened &&
         problem.k * problem.d >= pyvae_cuda_tuning.screened_row &&
         problem.n * problem.k * problem.d >= pyvae_cuda_tuning.screened_work;
}

// What the bounds of so many points take.
template <class T>
inline int64_t bound_bytes(const Problem& problem, const Panels<T>& panels, int64_t points) {
  return may_screen<T>(problem) ? points * (panels.padded_k / kBounded) * int64_t(sizeof(uint16_t))
                                : 0;
}

// Where the factors of a component and a coordinate are, in the order in which lanes hold them: a
// lane's eight columns are neighbours.
__device__ inline int64_t place_of_factors(int64_t k, int64_t d, int64_t padded_d) {
  const int pair = int(k % kWarpColumns) / 2, tile = pair % 4, column = pair / 4 * 2 + int(k % 2);
  const int of_step = int(d % kStep), lane = column * 4 + of_step / 2;
  const int64_t step = k / kWarpColumns * (padded_d / kStep) + d / kStep;
  return ((step * 2 + tile / 2) * kWarp + lane) * 4 + tile % 2 * 2 + of_step % 2;
}

// A component a row of threads.
template <class T>
__global__ void __launch_bounds__(kThreads)
    pack_screen_kernel(const __grid_constant__ Panels<T> panels,
                       const __grid_constant__ Screen screen) {
  const int64_t k = int64_t(blockIdx.x) * kSide + row_of_thread();
  const float slack = 0x1p-7f + 0x1p-16f + 0x1p-20f * float(panels.padded_d);
  float half = 0;
  for (int64_t d = column_of_thread(); d < panels.padded_d; d += kSide) {
    const int64_t at = (k / kWide<T> * panels.padded_d + d) * kWide<T> + k % kWide<T>;
    const float scale = float(panels.scale[at]), shift = float(panels.shift[at]);
    half += 0.5f * shift * shift;
    const float square = -0.5f * scale * scale * (1 - slack) * (1 - 0x1p-8f) * (1 - 0x1p-22f);
    screen.factors[place_of_factors(k, d, panels.padded_d)] =
        towards_zero(square) | pair_of(scale * shift, 0.0f) << 16;
  }
  half = sum_over_lanes(half);
  if (column_of_thread() != 0) return;
  const float constant = float(panels.constant[k]);
  const float sums = 0x1p-20f * float(panels.padded_d) * (size_of(constant) + half);
  screen.constant[k] =
      constant == -kInfinity<float> ? constant : constant - (1 - slack) * half + sums;
  if (k == 0) *screen.kept = 0;
}

// The coordinates of a tile of points as the lanes of a warp hold them: (x^2, x) in one word.
template <int kCoordinates>
struct ScreenMemory {
  alignas(16) unsigned point[kCoordinates / kStep][kWide<float> / 16][kWarp][4];
};

template <class T, int kCoordinates>
__device__ void load_points(ScreenMemory<kCoordinates>& memory, const Panels<T>& panels,
                            const PointReader<T>& points) {
  const OwnPiece<T> own;
  const int row = own.point % 16, half = row / 8;
  for (int64_t d = own.coordinate; d < panels.padded_d; d += kDepth) {
    const Piece<T> x = points.read(d), centre = load_piece(panels.centre + d);
    PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) {
      const float value = float(x.value[i] - centre.value[i]);
      // A NaN makes all bounds of the point NaN.
      const unsigned pair =
          size_of(value) <= kLargestScreened ? pair_of(value * value, value) : 0x7fc07fc0u;
      const int of_step = int((d + i) % kStep), lane = row % 8 * 4 + of_step / 2;
      memory.point[(d + i) / kStep][own.point / 16][lane][of_step % 2 * 2 + half] = pair;
    }
  }
}

// The bounds of `count` points from `begin` on, of all their tiles or of so many that are `taken`,
// by a part of the components a block, 64 by 32 scores a warp. The factors
// of the next step are on their way while those of one are multiplied.
template <class T, int kCoordinates>
__global__ void __launch_bounds__(kThreads, kCoordinates <= 128 ? 2 : 1)
    screen_kernel(const __grid_constant__ Problem problem, int operand,
                  const __grid_constant__ Panels<T> panels, const __grid_constant__ Screen screen,
                  int64_t begin, int64_t count, int64_t taken, bool sample) {
  if (*screen.exact != 0 || (!sample && !screen.chosen())) return;
  auto& memory = shared_memory<ScreenMemory<kCoordinates>>();
  const int64_t parts = gridDim.x / taken, part = blockIdx.x % parts, block = blockIdx.x / parts;
  const int64_t tile = block * divide_up(count, kWide<T>) / taken;
  load_points(memory, panels, PointReader<T>(problem, operand, 0, begin + tile * kWide<T>));
  __syncthreads();
  constexpr int kRowTiles = 4, kColumnTiles = 4, kLaneColumns = 2 * kColumnTiles;
  static_assert(kBounded == 2 && kColumnTiles == 4);
  const int warp = int(threadIdx.x) / kWarp, lane = int(threadIdx.x) % kWarp;
  const int first_tile = warp / 4 * kRowTiles, steps = int(panels.padded_d / kStep);
  const int64_t row = block * kWide<T> + first_tile * 16 + lane / 4;
  uint16_t* const bounds = screen.bounds(row);
  for (int64_t k = part * kWide<T> + warp % 4 * kWarpColumns; k < panels.padded_k;
       k += parts * kWide<T>) {
    const unsigned* const factors =
        screen.factors + k / kWarpColumns * steps * (2 * kWarp * 4) + lane * 4;
    const auto load = [&](int step, Words(&to)[2]) {
      PYVAE_UNROLL for (int i = 0; i < 2; ++i) to[i] =
          load_words(factors + (step * 2 + i) * (kWarp * 4));
    };
    // The products are added to the constants.
    const int64_t own = k + lane % 4 * kLaneColumns;
    float sum[kRowTiles][kColumnTiles][4];
    PYVAE_UNROLL for (int j = 0; j < kLaneColumns; ++j) {
      const float constant = screen.constant[own + j];
      PYVAE_UNROLL for (int i = 0; i < kRowTiles; ++i) sum[i][j / 2][j % 2] =
          sum[i][j / 2][2 + j % 2] = constant;
    }
    Words next[2];
    load(0, next);
    for (int step = 0; step < steps; ++step) {
      const Words column[2] = {next[0], next[1]};
      if (step + 1 < steps) load(step + 1, next);
      PYVAE_UNROLL for (int i = 0; i < kRowTiles; ++i) {
        const Words point = load_words(memory.point[step][first_tile + i][lane]);
        PYVAE_UNROLL for (int j = 0; j < kColumnTiles; ++j)
            multiply_add(sum[i][j], point.value, &column[j / 2].value[j % 2 * 2]);
      }
    }
    PYVAE_UNROLL for (int i = 0; i < kRowTiles; ++i) {
      PYVAE_UNROLL for (int half = 0; half < 2; ++half) {
        float of[kColumnTiles];
        PYVAE_UNROLL for (int j = 0; j < kColumnTiles; ++j) {
          const float even = sum[i][j][half * 2], odd = sum[i][j][half * 2 + 1];
          of[j] = odd > even ? odd : even;
        }
        *reinterpret_cast<HalfWords*>(bounds + (i * 16 + half * 8) * screen.groups +
                                      own / kBounded) = {pair_not_below(of[0], of[1]),
                                                         pair_not_below(of[2], of[3])};
      }
    }
  }
}

// A point of the sample a warp: counts the groups that could hold what is not negligible beside the
// best bound.
template <class T>
__global__ void __launch_bounds__(kThreads)
    count_kept_kernel(const __grid_constant__ Screen screen) {
  if (*screen.exact != 0) return;
  const int64_t n = int64_t(blockIdx.x) * kWarps + int(threadIdx.x) / kWarp;
  const uint16_t* const bounds = screen.bounds(n);
  const int groups = int(screen.groups);
  const BestGroup best(bounds, groups);
  int count = 0;
  for_each_bound(bounds, groups, [&](int first, const Words& of) {
    PYVAE_UNROLL for (int i = 0; i < 8; ++i) {
      if (first < groups && !(bound_of(of, i) < best.bound + float(kLogNegligible<T>))) ++count;
    }
  });
  count = sum_over_lanes(count, kWarp);
  if (int(threadIdx.x) % kWarp == 0) atomicAdd(screen.kept, count);
}

template <class T>
void launch_screen(const Problem& problem, const Runtime& runtime, int operand,
                   const Panels<T>& panels, const Screen& screen, int64_t begin, int64_t count,
                   int64_t taken, bool sample) {
  const int64_t parts = sample ? smaller(kSampleParts, panels.tiles()) : 1;
  const auto run = [&](auto kernel, size_t bytes) {
    launch(kernel, taken * parts, kThreads, bytes, runtime.stream, problem, operand, panels, screen,
           begin, count, taken, sample);
  };
  if (panels.padded_d <= 64) return run(screen_kernel<T, 64>, sizeof(ScreenMemory<64>));
  if (panels.padded_d <= 128) return run(screen_kernel<T, 128>, sizeof(ScreenMemory<128>));
  static_assert(sizeof(ScreenMemory<kMostScreened>) <= 99 << 10);
  run(screen_kernel<T, kMostScreened>, sizeof(ScreenMemory<kMostScreened>));
}
template <class T>
void find_bounds(const Problem& problem, const Runtime& runtime, int operand,
                 const Panels<T>& panels, const Screen& screen, int64_t begin, int64_t count) {
  launch_screen(problem, runtime, operand, panels, screen, begin, count, divide_up(count, kWide<T>),
                false);
}

// The factors of all components, and the choice of the way; room for the bounds of `capacity`
// points.
template <class T>
Screen make_screen(const Problem& problem, const Runtime& runtime, int operand,
                   const Panels<T>& panels, int64_t capacity) {
  Screen screen;
  screen.tried = may_screen<T>(problem);
  if constexpr (kScreens<T>) {
    if (!screen.tried) return screen;
    screen.groups = panels.padded_k / kBounded, screen.exact = panels.exact;
    const int64_t most = smaller(kSampleTiles, divide_up(problem.n, kWide<T>));
    const int64_t tiles = larger<int64_t>(1, smaller(most, capacity / kWide<T>));
    const int64_t points = tiles * kWide<T>;
    screen.most = points * screen.groups * pyvae_cuda_tuning.screened_share / 1024;
    Carver::carve(runtime, [&](Carver& memory) {
      screen.factors = memory.take<unsigned>(panels.padded_k * panels.padded_d);
      screen.constant = memory.take<float>(panels.padded_k);
      screen.bound = memory.take<uint16_t>(capacity * screen.groups);
      screen.kept = memory.take<int>(1);
    });
    launch(pack_screen_kernel<T>, panels.padded_k / kSide, kThreads, 0, runtime.stream, panels,
           screen);
    launch_screen(problem, runtime, operand, panels, screen, 0, problem.n, tiles, true);
    launch(count_kept_kernel<T>, points / kWarps, kThreads, 0, runtime.stream, screen);
  }
  return screen;
}

}  // namespace
}  // namespace pyvae
