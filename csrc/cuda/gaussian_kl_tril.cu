// SPDX-License-Identifier: MIT
// KL divergence between Gaussians given by Cholesky factors on the GPU: the formulas of
// rows/gaussian_kl_tril.cpp, a thread a column of the right-hand side [mean_q - mean_p | Lq].
#include "cuda/block.h"
#include "cuda/tuning.h"
#include "kernels.h"
#include "math/scales.h"

namespace pyvae {
namespace {

// The threads that share a batch entry: a block, or a part of a warp.
struct Group {
  int lanes, lane;
  int64_t index;

  __device__ explicit Group(int lanes_)
      : lanes(lanes_),
        lane(int(threadIdx.x) % lanes_),
        index((int64_t(blockIdx.x) * blockDim.x + threadIdx.x) / lanes_) {}
  __device__ void wait() const {
    if (lanes > 32)
      __syncthreads();
    else
      __syncwarp();
  }
};

template <class T>
struct Factor {
  const T *mean, *tril;
  int64_t mean_stride, row, column;

  __device__ Factor(const Problem& problem, int first, int64_t entry)
      : mean(data_of<const T>(problem, first, entry)),
        tril(data_of<const T>(problem, first + 1, entry)),
        mean_stride(problem.operand[first].stride[0]),
        row(problem.operand[first + 1].stride[0]),
        column(problem.operand[first + 1].stride[1]) {}
  __device__ T at(int64_t i, int64_t j) const { return tril[i * row + j * column]; }
  __device__ T scale(int64_t i) const { return at(i, i); }
  __device__ T location(int64_t i) const { return mean[i * mean_stride]; }
};

// One batch entry: [z | M] in `right`, and [y | W] in `weighted` where gradients are wanted, by
// rows of d + 1. Column c begins at row c - 1.
template <class T>
struct TrilPair {
  Factor<T> q, p;
  int64_t d;
  T *right, *weighted;

  __device__ TrilPair(const Problem& problem, int first, int64_t entry, T* memory)
      : q(problem, first, entry),
        p(problem, first + 2, entry),
        d(problem.d),
        right(memory),
        weighted(memory + problem.d * (problem.d + 1)) {}

  __device__ int64_t at(int64_t i, int64_t c) const { return i * (d + 1) + c; }
  __device__ static int64_t first_row(int64_t c) { return c == 0 ? 0 : c - 1; }

  // right = Lp^-1 [mean_q - mean_p | Lq], a column a thread.
  __device__ void solve(const Group& group) const {
    for (int64_t c = group.lane; c <= d; c += group.lanes) {
      const int64_t first = first_row(c);
      for (int64_t i = first; i < d; ++i) {
        T sum = c == 0 ? q.location(i) - p.location(i) : q.at(i, c - 1);
        for (int64_t j = first; j < i; ++j) sum -= p.at(i, j) * right[at(j, c)];
        // Of q = p, M_ii is 1 and everything else exactly zero, multiply-adds or not.
        right[at(i, c)] = sum / p.scale(i);
      }
    }
  }

  __device__ T scale_divergence(int64_t i) const {
    return gaussian_scale_kl(q.scale(i), p.scale(i));
  }

  // This thread's part of the divergence: a column in T, and the columns in double.
  __device__ double divergence(const Group& group) const {
    double total = 0;
    for (int64_t i = group.lane; i < d; i += group.lanes) total += double(scale_divergence(i));
    for (int64_t c = group.lane; c <= d; c += group.lanes) {
      T squares = 0;
      for (int64_t i = c; i < d; ++i) squares += right[at(i, c)] * right[at(i, c)];
      total += 0.5 * double(squares);
    }
    return total;
  }

  // weighted = upstream Lp^-T [z | N] in the lower triangle, a column a thread.
  __device__ void solve_transposed(const Group& group, T upstream) const {
    for (int64_t c = group.lane; c <= d; c += group.lanes) {
      const int64_t first = first_row(c);
      for (int64_t i = d - 1; i >= first; --i) {
        const bool diagonal = c > 0 && i == first;
        T sum = diagonal ? gaussian_scale_kl_slope(q.scale(i), p.scale(i)) : right[at(i, c)];
        for (int64_t j = i + 1; j < d; ++j) sum -= p.at(j, i) * weighted[at(j, c)];
        weighted[at(i, c)] = sum / p.scale(i);
      }
      for (int64_t i = first; i < d; ++i) weighted[at(i, c)] *= upstream;
    }
  }
};

// Partial sums of the threads of a group, added up in all of them. `shared` has one a warp.
template <class T>
__device__ T sum_over_group(const Group& group, T value, T* shared) {
  if (group.lanes <= 32) return sum_over_lanes(value, group.lanes);
  value = sum_over_lanes(value, 32);
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
  __syncthreads();
  T total = 0;
  for (int warp = 0; warp < group.lanes / 32; ++warp) total += shared[warp];
  return total;
}

// Operands: the four arguments -> kl. Groups take one entry after the other, each as often as the
// others of its warp or block, for they wait for each other.
template <class T>
__global__ void __launch_bounds__(kThreads, 1)
    tril_kernel(const __grid_constant__ Problem problem, int lanes, int64_t groups, T* scratch) {
  double* const shared = &shared_memory<double>();
  const Group group(lanes);
  T* const memory = scratch + group.index * problem.d * (problem.d + 1);
  for (int64_t first = 0; first < problem.batch; first += groups) {
    const int64_t entry = first + group.index;
    const bool there = entry < problem.batch && group.index < groups;
    double part = 0;
    if (there) {
      const TrilPair<T> pair(problem, 0, entry, memory);
      pair.solve(group);
      part = pair.divergence(group);
    }
    const double total = sum_over_group(group, part, shared);
    if (there && group.lane == 0) *data_of<T>(problem, 4, entry) = T(total);
  }
}

// Operands: the gradient of the result, the four arguments, then their gradients.
template <class T>
__global__ void __launch_bounds__(kThreads, 1)
    tril_backward_kernel(const __grid_constant__ Problem problem, int lanes, int64_t groups,
                         T* scratch) {
  T* const shared = &shared_memory<T>();
  const Group group(lanes);
  const int64_t d = problem.d;
  T* const memory = scratch + group.index * 2 * d * (d + 1);
  for (int64_t first = 0; first < problem.batch; first += groups) {
    const int64_t last = smaller(first + groups, problem.batch) - 1;
    const bool there = first + group.index <= last;
    const int64_t entry = smaller(first + group.index, last);  // groups past it only wait
    const TrilPair<T> pair(problem, 1, entry, memory);
    T poison = 0;  // NaN where a diagonal element is no positive normal number, or one below is NaN
    for (int64_t i = group.lane; there && i < d; i += group.lanes) {
      const T value = pair.scale_divergence(i);
      if (value != value) poison = value;
      for (int64_t j = 0; j < i; ++j) {
        if (pair.q.at(i, j) != pair.q.at(i, j)) poison = pair.q.at(i, j);
        if (pair.p.at(i, j) != pair.p.at(i, j)) poison = pair.p.at(i, j);
      }
    }
    const T upstream = *data_of<const T>(problem, 0, entry) + sum_over_group(group, poison, shared);
    if (there) {
      pair.solve(group);
      pair.solve_transposed(group, upstream);
    }
    group.wait();
    T* const by_mean_q = data_of<T>(problem, 5, entry);
    T* const by_tril_q = data_of<T>(problem, 6, entry);
    T* const by_mean_p = data_of<T>(problem, 7, entry);
    T* const by_tril_p = data_of<T>(problem, 8, entry);
    for (int64_t i = group.lane; there && i < d; i += group.lanes) {
      const T value = pair.weighted[pair.at(i, 0)];
      if (by_mean_q) by_mean_q[i] = value;
      if (by_mean_p) by_mean_p[i] = -value;
    }
    for (int64_t element = group.lane; there && element < d * d; element += group.lanes) {
      const int64_t i = element / d, j = element % d;
      if (by_tril_q) by_tril_q[element] = j <= i ? pair.weighted[pair.at(i, j + 1)] : T(0);
      if (!by_tril_p) continue;
      T sum = 0;
      for (int64_t c = 0; j <= i && c <= j + 1; ++c)
        sum -= pair.weighted[pair.at(i, c)] * pair.right[pair.at(j, c)];
      by_tril_p[element] = sum;
    }
    group.wait();  // before the next entry takes the memory
  }
}

// As many groups as fill a GPU and its scratch memory allows; short rows share warps.
template <class T, class Kernel>
void launch_tril(Kernel kernel, const Problem& problem, const Runtime& runtime, int matrices) {
  int lanes = 2;
  while (lanes < kThreads && lanes <= problem.d) lanes *= 2;
  const int threads = lanes > 32 ? lanes : 64;
  const int64_t each = matrices * problem.d * (problem.d + 1);
  const int64_t room = kPartialSumBytes / larger<int64_t>(1, each * int64_t(sizeof(T)));
  const int64_t most = smaller(room, kFullGrid * 2048 / lanes);
  const int64_t per_block = threads / lanes;
  const int64_t blocks =
      smaller(divide_up(problem.batch, per_block), larger<int64_t>(1, most / per_block));
  const int64_t groups = blocks * per_block;
  T* const scratch = take<T>(runtime, groups * each);
  launch(kernel, blocks, threads, (kThreads / 32) * sizeof(double), runtime.stream, problem, lanes,
         groups, scratch);
}

template <class T>
void tril_forward(const Problem& problem, const Runtime& runtime) {
  launch_tril<T>(tril_kernel<T>, problem, runtime, 1);
}
template <class T>
void tril_backward(const Problem& problem, const Runtime& runtime) {
  launch_tril<T>(tril_backward_kernel<T>, problem, runtime, 2);
}

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair gaussian_kl_tril = {{tril_forward<Float>, tril_forward<Double>},
                                     {tril_backward<Float>, tril_backward<Double>}};

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
