// SPDX-License-Identifier: MIT
// KL divergence between diagonal Gaussians on the GPU. The limit is memory: lanes share a row, each
// reads 16 bytes of every argument at a time, and has the next ones on their way while it computes.
#include "cuda/large/tiles.h"
#include "cuda/tuning.h"
#include "kernels.h"
#include "math/gaussian.h"

namespace pyvae {
namespace {

// How rows are read: in pieces, at one stride over the batch, and p as one number where it is that
// throughout, as the standard normal is; or number by number in whatever strides.
enum class Layout { kPieces, kPiecesAndNumber, kStrided };

// `lanes` threads share a row, and take `rows` of them one after the other.
struct Team {
  int lanes, rows;

  template <class T>
  static Team of(const Problem& problem) {
    constexpr int64_t kMostRows = 8;
    Team team{1, 1};
    while (team.lanes < 32 && team.lanes * kWidth<T> < problem.d) team.lanes *= 2;
    const int64_t threads = larger<int64_t>(1, pyvae_cuda_tuning.row_threads);
    const int64_t for_each = problem.batch * team.lanes / threads;
    team.rows = int(larger<int64_t>(1, smaller(for_each, kMostRows)));
    return team;
  }
  int64_t blocks(int64_t batch) const { return divide_up(batch, rows * (kThreads / lanes)); }
};

// Blocks that a multiprocessor holds: in pieces of floats, enough loads on their way.
template <class T, Layout kLayout>
inline constexpr int kResident = sizeof(T) == sizeof(float) && kLayout != Layout::kStrided ? 3 : 2;

// What a lane has of a row at a time: kWidth coordinates, neighbours where it reads pieces, else
// `lanes` apart. Those behind the last are zeros, whose divergence is zero.
template <class T>
struct Coordinates {
  Piece<T> mean_q, logvar_q, mean_p, logvar_p;
  T upstream;
};

// A lane's way along its rows. The arguments stand behind the upstream gradient where kFirst is 1.
template <class T, Layout kLayout, int kFirst>
class Walk {
 public:
  __device__ Walk(const Problem& problem, Team team)
      : problem_(problem),
        span_(team.lanes * kWidth<T>),
        spacing_(kLayout == Layout::kStrided ? team.lanes : 1),
        teams_(kThreads / team.lanes),
        rows_(team.rows),
        lane_(int(threadIdx.x) % team.lanes),
        start_(kLayout == Layout::kStrided ? lane_ : lane_ * kWidth<T>),
        first_(int64_t(blockIdx.x) * rows_ * teams_ + int(threadIdx.x) / team.lanes) {
    const int left = int(smaller<int64_t>(problem.batch - first_, rows_ * teams_));
    mine_ = (left + teams_ - 1) / teams_;
  }

  __device__ int lane() const { return lane_; }
  __device__ int64_t entry(int row) const { return first_ + int64_t(row) * teams_; }
  __device__ bool there(int row) const { return row < mine_; }
  __device__ bool inside(int64_t d) const { return d < problem_.d; }
  __device__ int64_t coordinate(int64_t d, int i) const { return d + i * spacing_; }
  // Where the row of an operand is.
  template <class Number>
  __device__ Number* at(int operand, int row) const {
    if constexpr (kLayout == Layout::kStrided)
      return data_of<Number>(problem_, operand, entry(row));
    const Operand& of = problem_.operand[operand];
    return static_cast<Number*>(of.data) + entry(row) * of.batch_stride[0];
  }

  // Calls body(row, d, coordinates, last) for what the lane has, all of a warp together; `d` is
  // the first coordinate, `last` says that the row ends.
  template <class Body>
  __device__ void run(const Body& body) const {
    const T* from[4];
    PYVAE_UNROLL for (int i = 0; i < 4; ++i) from[i] = at<const T>(kFirst + i, 0);
    int64_t d = start_;
    Coordinates<T> next = read(from, 0, d);
    for (int row = 0; row < rows_;) {
      const Coordinates<T> here = next;
      const int here_row = row;
      const int64_t here_d = d;
      d += span_;
      const bool last = d - start_ >= problem_.d;
      if (last) {
        d = start_, ++row;
        PYVAE_UNROLL for (int i = 0; i < 4; ++i) from[i] = next_row(from[i], i, row);
      }
      next = read(from, row, d);
      body(here_row, here_d, here, last);
    }
  }

 private:
  __device__ const T* next_row(const T* row, int argument, int index) const {
    if constexpr (kLayout == Layout::kStrided) return at<const T>(kFirst + argument, index);
    return row + teams_ * problem_.operand[kFirst + argument].batch_stride[0];
  }

  __device__ Coordinates<T> read(const T* const (&from)[4], int row, int64_t d) const {
    Coordinates<T> found = {};
    if (!there(row) || !inside(d)) return found;
    constexpr Layout kP = kLayout;
    constexpr Layout kQ = kLayout == Layout::kStrided ? kLayout : Layout::kPieces;
    if constexpr (kFirst == 1) found.upstream = *at<const T>(0, row);
    found.mean_q = read<kQ>(from[0], 0, d), found.logvar_q = read<kQ>(from[1], 1, d);
    found.mean_p = read<kP>(from[2], 2, d), found.logvar_p = read<kP>(from[3], 3, d);
    return found;
  }
  template <Layout kHow>
  __device__ Piece<T> read(const T* row, int argument, int64_t d) const {
    if constexpr (kHow == Layout::kPieces) return load_piece(row + d);
    const int64_t stride = problem_.operand[kFirst + argument].stride[0];
    Piece<T> piece = {};
    PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) {
      if constexpr (kHow == Layout::kPiecesAndNumber)
        piece.value[i] = *row;
      else if (inside(coordinate(d, i)))
        piece.value[i] = row[coordinate(d, i) * stride];
    }
    return piece;
  }

  const Problem& problem_;
  const int span_, spacing_, teams_, rows_, lane_, start_;
  const int64_t first_;
  int mine_;  // rows that there are
};

// Operands: mean_q, logvar_q, mean_p, logvar_p -> kl.
template <class T, Layout kLayout>
__global__ void __launch_bounds__(kThreads, (kResident<T, kLayout>))
    gaussian_kl_kernel(const __grid_constant__ Problem problem, Team team) {
  const Walk<T, kLayout, 0> walk(problem, team);
  T sum = 0;
  walk.run([&](int row, int64_t, const Coordinates<T>& of, bool last) {
    PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) {
      const T logvar = of.logvar_p.value[i];
      sum += gaussian_kl_term(of.mean_q.value[i], of.logvar_q.value[i], of.mean_p.value[i], logvar,
                              inverse_scale_of(logvar));
    }
    if (!last) return;
    const T total = sum_over_lanes(sum, team.lanes);
    if (walk.there(row) && walk.lane() == 0) *walk.template at<T>(4, row) = total;
    sum = 0;
  });
}

// Operands: the gradient of the result, the four arguments, then their gradients.
template <class T, Layout kLayout>
__global__ void __launch_bounds__(kThreads, (kResident<T, kLayout>))
    gaussian_kl_backward_kernel(const __grid_constant__ Problem problem, Team team) {
  const Walk<T, kLayout, 1> walk(problem, team);
  walk.run([&](int row, int64_t d, const Coordinates<T>& of, bool) {
    if (!walk.there(row) || !walk.inside(d)) return;
    const int64_t first = walk.entry(row) * problem.d;  // results are contiguous
    Piece<T> gradient[4];
    PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) {
      const T logvar = of.logvar_p.value[i];
      const auto found = gaussian_kl_gradient(of.mean_q.value[i], of.logvar_q.value[i],
                                              of.mean_p.value[i], logvar, inverse_scale_of(logvar));
      gradient[0].value[i] = of.upstream * found.mean_q;
      gradient[1].value[i] = of.upstream * found.logvar_q;
      gradient[2].value[i] = of.upstream * -found.mean_q;
      gradient[3].value[i] = of.upstream * found.logvar_p;
    }
    PYVAE_UNROLL for (int argument = 0; argument < 4; ++argument) {
      if (!problem.operand[5 + argument].data) continue;
      T* const to = static_cast<T*>(problem.operand[5 + argument].data) + first;
      if constexpr (kLayout != Layout::kStrided) {
        store_piece(to + d, gradient[argument]);
      } else {
        PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) {
          if (walk.inside(walk.coordinate(d, i)))
            to[walk.coordinate(d, i)] = gradient[argument].value[i];
        }
      }
    }
  });
}

// Whether every row of an operand is one of pieces.
template <class T>
bool in_pieces(const Problem& problem, int operand) {
  const Operand& of = problem.operand[operand];
  bool whole = problem.d > 0 && problem.d % kWidth<T> == 0 && of.stride[0] == 1 &&
               reinterpret_cast<uintptr_t>(of.data) % sizeof(Piece<T>) == 0;
  for (int dim = 0; dim < problem.batch_rank; ++dim)
    whole = whole && of.batch_stride[dim] % kWidth<T> == 0;
  return whole;
}

// Of the arguments from `first`; `results` from `first_result` have a row, too.
template <class T>
Layout layout_of(const Problem& problem, int first, int first_result, int results) {
  bool whole = in_pieces<T>(problem, first) && in_pieces<T>(problem, first + 1);
  for (int i = first_result; i < first_result + results; ++i)
    whole = whole && (!problem.operand[i].data || in_pieces<T>(problem, i));
  if (!whole || problem.batch_rank > 1) return Layout::kStrided;
  if (in_pieces<T>(problem, first + 2) && in_pieces<T>(problem, first + 3)) return Layout::kPieces;
  const bool number =
      problem.operand[first + 2].stride[0] == 0 && problem.operand[first + 3].stride[0] == 0;
  return number ? Layout::kPiecesAndNumber : Layout::kStrided;
}

using RowKernel = void (*)(const Problem, Team);
template <class T>
void launch_rows(const RowKernel (&kernels)[3], Layout layout, const Problem& problem,
                 const Runtime& runtime) {
  const Team team = Team::of<T>(problem);
  launch(kernels[int(layout)], team.blocks(problem.batch), kThreads, 0, runtime.stream, problem,
         team);
}

template <class T>
void gaussian_kl_forward(const Problem& problem, const Runtime& runtime) {
  launch_rows<T>(
      {gaussian_kl_kernel<T, Layout::kPieces>, gaussian_kl_kernel<T, Layout::kPiecesAndNumber>,
       gaussian_kl_kernel<T, Layout::kStrided>},
      layout_of<T>(problem, 0, 0, 0), problem, runtime);
}
template <class T>
void gaussian_kl_backward(const Problem& problem, const Runtime& runtime) {
  launch_rows<T>({gaussian_kl_backward_kernel<T, Layout::kPieces>,
                  gaussian_kl_backward_kernel<T, Layout::kPiecesAndNumber>,
                  gaussian_kl_backward_kernel<T, Layout::kStrided>},
                 layout_of<T>(problem, 1, 5, 4), problem, runtime);
}

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair gaussian_kl = {{gaussian_kl_forward<Float>, gaussian_kl_forward<Double>},
                                {gaussian_kl_backward<Float>, gaussian_kl_backward<Double>}};

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
