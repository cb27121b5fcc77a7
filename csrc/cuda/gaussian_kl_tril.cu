// SPDX-License-Identifier: MIT
// KL divergence between Gaussians given by Cholesky factors on the GPU: entries up to a tile high
// are a warp's, or a part of one's, others a block's.
#include "cuda/kl/tril_pair.h"
#include "cuda/tuning.h"
#include "kernels.h"

namespace pyvae {
namespace {

// What a launch gives its groups.
template <class T>
struct Memory {
  int rounds;            // of entries that a group takes
  int64_t groups, each;  // numbers of shared memory that a group has
  bool pieces;
  T* scratch;  // null where matrices are in shared memory too
};
// Partial sums of the warps of a block come first.
inline constexpr int kSumBytes = kThreads / 32 * sizeof(double);

template <class T, int kSize, bool kOne>
__device__ Workspace<T> workspace(const Tiling<T, kSize, kOne>& tiling, const Group& group,
                                  const Memory<T>& memory, int matrices) {
  T* const shared = reinterpret_cast<T*>(&shared_memory<unsigned char>() + kSumBytes) +
                    (kOne ? int(threadIdx.x) / kSize * memory.each : 0);
  Workspace<T> of = {};
  of.operands = reinterpret_cast<void**>(shared);
  of.inverse = shared + tiling.kAddresses, of.gap = of.inverse + kSize, of.tiles = of.gap + kSize;
  T* matrix = shared + tiling.staged();
  if (!kOne && memory.scratch) matrix = memory.scratch + group.index * matrices * tiling.matrix();
  if (matrices > 0) of.right = matrix;
  if (matrices > 1) of.weighted = matrix + tiling.matrix();
  of.pieces = memory.pieces;
  return of;
}

// A group of one tile has one entry, others take one after the other, each as often as the others.
// Past the last they do as if, for those of a warp wait for each other, and have no results. Calls
// body() when the `operands` of an entry have been found, a thread one each: the way through the
// dimensions of a batch is long.
template <bool kOne, class T, class Body>
__device__ void for_each_entry(const Problem& problem, const Group& group, const Memory<T>& memory,
                               int first_result, int operands, void** found, const Body& body) {
  for (int round = 0; round < (kOne ? 1 : memory.rounds); ++round) {
    const int64_t entry = round * memory.groups + group.index;
    PYVAE_ROLLED for (int i = group.lane; i < operands; i += group.lanes) {
      const bool there = entry < problem.batch || i < first_result;
      found[i] = there ? data_of<T>(problem, i, smaller(entry, problem.batch - 1)) : nullptr;
    }
    group.wait();
    body();
    if (!kOne) group.wait();
  }
}

// Threads of a block at most, and blocks of floats that a multiprocessor holds at least.
template <bool kOne, bool kBackward>
inline constexpr int kMostThreads = kOne ? 64 : (kBackward ? 128 : 256);
template <class T, bool kOne, bool kBackward>
inline constexpr int kResident = sizeof(T) == sizeof(double) ? 1 : (kOne ? 8 : (kBackward ? 3 : 2));

// Operands: the four arguments -> kl.
template <class T, int kSize, bool kOne>
__global__ void __launch_bounds__((kMostThreads<kOne, false>), (kResident<T, kOne, false>))
    tril_kernel(const __grid_constant__ Problem problem, const __grid_constant__ Memory<T> memory,
                int matrices) {
  const Group group = kOne ? Group(kSize) : Group();
  const Tiling<T, kSize, kOne> tiling(problem.d);
  const Workspace<T> work = workspace(tiling, group, memory, matrices);
  for_each_entry<kOne>(problem, group, memory, 4, 5, work.operands, [&] {
    const TrilPair<T, kSize, kOne> pair(problem, 0, group, work);
    double part = 0;
    pair.for_each_column([&](int column) {
      part += double(pair.scale_divergence(column)) + 0.5 * double(pair.solve(column));
    });
    const double total = sum_over_group(group, part, &shared_memory<double>());
    T* const kl = static_cast<T*>(work.operands[4]);
    if (kl && group.lane == 0) *kl = T(total);
  });
}

// Operands: the gradient of the result, the four arguments, then their gradients.
template <class T, int kSize, bool kOne>
__global__ void __launch_bounds__((kMostThreads<kOne, true>), (kResident<T, kOne, true>))
    tril_backward_kernel(const __grid_constant__ Problem problem,
                         const __grid_constant__ Memory<T> memory, int matrices) {
  const Group group = kOne ? Group(kSize) : Group();
  const Tiling<T, kSize, kOne> tiling(problem.d);
  const Workspace<T> work = workspace(tiling, group, memory, matrices);
  for_each_entry<kOne>(problem, group, memory, 5, 9, work.operands, [&] {
    const TrilPair<T, kSize, kOne> pair(problem, 1, group, work);
    T poison = 0;  // NaN where a diagonal element is no positive normal number, or a factor has one
    pair.for_each_column([&](int column) {
      const T squares = pair.solve(column), divergence = pair.scale_divergence(column);
      if (squares != squares && !pair.is_gap(column)) poison = squares;
      if (divergence != divergence) poison = divergence;
    });
    const auto of = [&](int operand) { return static_cast<T*>(work.operands[operand]); };
    const T upstream = *of(0) + sum_over_group(group, poison, &shared_memory<T>());
    pair.for_each_column([&](int column) { pair.weigh(column, upstream, of(6)); });
    group.wait();
    pair.write_means(of(5), of(7));
    if (of(8)) pair.multiply(of(8));
  });
}

template <class T>
bool in_pieces(const Problem& problem, int operand) {
  const Operand& of = problem.operand[operand];
  bool whole = problem.d % kWidth<T> == 0 && of.stride[1] == 1 && of.stride[0] % kWidth<T> == 0 &&
               reinterpret_cast<uintptr_t>(of.data) % sizeof(Piece<T>) == 0;
  for (int dim = 0; dim < problem.batch_rank; ++dim)
    whole = whole && of.batch_stride[dim] % kWidth<T> == 0;
  return whole;
}

// As many groups as fill a GPU and memory allows, each of as many entries; short rows share warps.
template <int kSize, bool kOne, bool kBackward, class T>
void launch_tiled(const Problem& problem, const Runtime& runtime) {
  constexpr int factor_p = kBackward ? 4 : 3, matrices = kBackward ? 2 : kOne ? 0 : 1;
  constexpr int64_t kMostShared = 64 << 10, kBankRow = 128 / sizeof(T);
  const Tiling<T, kSize, kOne> tiling(problem.d);
  Memory<T> memory = {};
  memory.pieces = in_pieces<T>(problem, factor_p);
  constexpr int kMost = kBackward ? kMostThreads<kOne, true> : kMostThreads<kOne, false>;
  const int threads =
      kOne ? kMost : int(smaller<int64_t>(divide_up(tiling.padded, 32) * 32, kMost));
  const int per_block = kOne ? threads / kSize : 1;
  // Groups of a warp read at once: from other banks.
  const auto room = [&](int64_t numbers) {
    return divide_up(numbers, kBankRow) * kBankRow + kWidth<T>;
  };
  const int64_t all = matrices * tiling.matrix();
  memory.each = room(tiling.staged() + all);
  const bool scratch = memory.each * per_block * int64_t(sizeof(T)) > kMostShared;
  int64_t most = kOne ? problem.batch : kFullGrid * 2048 / threads;
  if (scratch) {
    memory.each = room(tiling.staged());
    most = smaller(most, pyvae_cuda_tuning.chunk_bytes / (all * int64_t(sizeof(T))));
  }
  const int64_t blocks = larger<int64_t>(1, divide_up(most, per_block));
  memory.rounds = int(divide_up(problem.batch, blocks * per_block));
  const int64_t used = divide_up(divide_up(problem.batch, memory.rounds), per_block);
  memory.groups = used * per_block;
  if (scratch) memory.scratch = take<T>(runtime, memory.groups * all);
  launch(kBackward ? tril_backward_kernel<T, kSize, kOne> : tril_kernel<T, kSize, kOne>, used,
         threads, size_t(kSumBytes + memory.each * per_block * int64_t(sizeof(T))), runtime.stream,
         problem, memory, matrices);
}

template <bool kBackward, class T>
void run_tril(const Problem& problem, const Runtime& runtime) {
  if (problem.d <= 8)
    launch_tiled<8, true, kBackward, T>(problem, runtime);
  else if (problem.d <= 16)
    launch_tiled<16, true, kBackward, T>(problem, runtime);
  else if (problem.d <= 32)
    launch_tiled<32, true, kBackward, T>(problem, runtime);
  else
    launch_tiled<16, false, kBackward, T>(problem, runtime);
}

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair gaussian_kl_tril = {{run_tril<false, Float>, run_tril<false, Double>},
                                     {run_tril<true, Float>, run_tril<true, Double>}};

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
