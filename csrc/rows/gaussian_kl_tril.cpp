// SPDX-License-Identifier: MIT
// KL divergence between Gaussians given by Cholesky factors Lq, Lp of their covariances.
//
// With M = Lp^-1 Lq and z = Lp^-1 (mean_q - mean_p),
//   KL = 1/2 (sum_{i>j} M_ij^2 + z'z) + sum_i KL(scale Lq_ii || scale Lp_ii),
// a sum of terms that are never negative and exactly zero at q = p. Both come from one solve with
// the right-hand side [mean_q - mean_p | Lq]. Backwards, with N = M but for the diagonal M_ii -
// 1/M_ii, and [y | W] = Lp^-T [z | N] in the lower triangle,
//   d/dmean_q = y = -d/dmean_p,  d/dLq = W,  d/dLp = -[y | W] [z | M]',
// in which the gradients of the log-determinants are accounted for: nothing cancels.
#include "common/vectors.h"
#include "kernels.h"
#include "math/scales.h"
#include "rows/tril_lanes.h"

namespace pyvae {
namespace {

// Whether lanes run over batch entries: where there are enough of them and the rows are short.
// Measured, the two ways meet at rows of four vectors.
template <class V>
inline bool is_interleaved(const Problem& problem) {
  return problem.d <= 3 * kLanesOf<V> && 2 * problem.batch >= kLanesOf<V>;
}

// One system of AcrossColumns, or the systems of AcrossEntries: what a worker keeps of it.
template <class Lanes>
struct TrilSystem {
  using V = typename Lanes::V;
  using T = ScalarOf<V>;
  static constexpr int kUnit = Lanes::kUnit, kEntries = Lanes::kEntries;

  int64_t d, rows, scales;
  Matrix<T> factor, right;     // Lp by rows over their diagonal entries; [z | M]
  Matrix<T> weighted, turned;  // [y | W], [z | M]': of the backward pass
  T *scale_q, *scale_p, *inverse;

  static int64_t padded(int64_t count, int64_t unit) { return divide_up(count, unit) * unit; }

  // Blocks at the lower right reach as far as there are rows.
  TrilSystem(int64_t d_, bool backward) : d(d_) {
    rows = padded(d, kBlockRows);
    scales = padded(rows * kUnit, kLanesOf<V>);
    const int64_t width = padded(larger(d + 1, rows) * kUnit, kLanesOf<V>);
    factor.row = right.row = weighted.row = turned.row = width;
    factor.column = right.column = weighted.column = turned.column = kUnit;
    matrices_ = !backward ? 2 : kEntries == 1 ? 4 : 3;
  }
  // Whole vectors of rows, for the transpose.
  int64_t each() const { return padded(larger(d + 1, rows), kLanesOf<V>) * right.row; }
  int64_t footprint() const { return matrices_ * each() + 3 * scales; }

  // Scales past the last are one for good.
  void place(T* memory) {
    for (int64_t i = 0; i < footprint(); ++i) memory[i] = 0;
    inverse = memory, scale_q = inverse + scales, scale_p = scale_q + scales;
    for (int64_t i = 0; i < 2 * scales; ++i) scale_q[i] = 1;
    factor.data = scale_p + scales;
    right.data = factor.data + each();
    if (matrices_ > 2) weighted.data = right.data + each();
    if (matrices_ > 3) turned.data = weighted.data + each();
  }

  // Solves for [z | M] of the entries from `entry`, whose q is the operand `first`.
  void factorise(const Problem& problem, int first, int64_t entry, int64_t count) {
    load_entries(problem, first, entry, count);
    for (int64_t i = 0; i < d; ++i) {
      for (int64_t at = i * kUnit; at < (i + 1) * kUnit; ++at) inverse[at] = T(1) / scale_p[at];
      const V scale = Lanes::coefficient(inverse + i * kUnit);
      for (int64_t c = 0; c <= i; c += Lanes::kColumns) {
        store<V>(factor.at(i, c), scale * load<V>(factor.at(i, c)));
        store<V>(right.at(i, c), scale * load<V>(right.at(i, c)));
      }
      for (int u = 0; u < kUnit; ++u)  // a quotient, so that M_ii is 1 where the scales are equal
        right.at(i, i + 1)[u] = scale_q[i * kUnit + u] / scale_p[i * kUnit + u];
    }
    solve<Lanes>(factor, right, rows, d + 1);
  }

  // The divergences, lane by lane of AcrossEntries, to be summed over the lanes of AcrossColumns.
  V divergence() {
    V total{};
    for (int64_t at = 0; at < scales; at += kLanesOf<V>)
      total += gaussian_scale_kl(load<V>(scale_q + at), load<V>(scale_p + at));
    for (int64_t i = 0; i < d; ++i) {
      for (int u = 0; u < kUnit; ++u) right.at(i, i + 1)[u] = 0;
      V squares{};
      for (int64_t c = 0; c <= i; c += Lanes::kColumns) {
        const V value = load<V>(right.at(i, c));
        squares += value * value;
      }
      total += T(0.5) * squares;
    }
    return total;
  }

  // Leaves upstream * y in column 0 of `weighted`, upstream * W behind it, and the gradient by Lp
  // in `factor`.
  void differentiate(V upstream) {
    for (int64_t at = 0; at < rows * right.row; at += kLanesOf<V>)
      store<V>(weighted.data + at, load<V>(right.data + at));
    for (int64_t i = 0; i < d; ++i)
      for (int u = 0; u < kUnit; ++u)
        weighted.at(i, i + 1)[u] =
            gaussian_scale_kl_slope(scale_q[i * kUnit + u], scale_p[i * kUnit + u]);
    solve_transposed<Lanes>(factor, weighted, rows, d + 1);
    for (int64_t i = 0; i < d; ++i) {
      const V scale = upstream * Lanes::coefficient(inverse + i * kUnit);
      for (int64_t c = 0; c <= i + 1; c += Lanes::kColumns)
        store<V>(weighted.at(i, c), scale * load<V>(weighted.at(i, c)));
    }
    multiply_transposed<Lanes>(weighted, turn(), factor, rows, d);
  }

  // NaN where a diagonal entry is no positive normal number, or a factor holds NaN, else zero.
  V poison() const {
    V total{};
    for (int64_t i = 0; i < d; ++i)
      for (int64_t c = kEntries > 1; c <= i + 1; c += Lanes::kColumns) {
        V value = load<V>(right.at(i, c));
        if (c == 0) value[0] = 0;  // of the means
        total = value == value ? total : value;
      }
    for (int64_t at = 0; at < scales; at += kLanesOf<V>) {
      const V value = gaussian_scale_kl(load<V>(scale_q + at), load<V>(scale_p + at));
      total = value == value ? total : value;
    }
    return total;
  }

 private:
  // Clears first what the loop does not write: NaN of the entries before must not stay there.
  void load_entries(const Problem& problem, int first, int64_t entry, int64_t count) {
    for (int64_t at = 0; at < rows * right.row; at += kLanesOf<V>) store<V>(right.data + at, V{});
    for (int64_t at = d * factor.row; at < rows * factor.row; at += kLanesOf<V>)
      store<V>(factor.data + at, V{});
    TrilArgument<T> q[kEntries], p[kEntries];
    for (int lane = 0; lane < kEntries; ++lane) {  // lanes past the last repeat it
      const int64_t at = entry + smaller<int64_t>(lane, count - 1);
      q[lane] = TrilArgument<T>(problem, first, at);
      p[lane] = TrilArgument<T>(problem, first + 2, at);
      if (at + kEntries < problem.batch) {
        TrilArgument<T>(problem, first, at + kEntries).prefetch(d);
        TrilArgument<T>(problem, first + 2, at + kEntries).prefetch(d);
      }
      for (int64_t i = 0; i < d; ++i)
        right.at(i, 0)[lane] =
            q[lane].mean[i * q[lane].mean_stride] - p[lane].mean[i * p[lane].mean_stride];
    }
    load_trils(Lanes(), q, d, right.from_column(1), scale_q);
    load_trils(Lanes(), p, d, factor, scale_p);
  }

  Matrix<T> turn() const {
    if constexpr (kEntries > 1) {
      return right.transposed();
    } else {
      transpose_begun<V>(right, d, turned);
      return turned;
    }
  }

  int matrices_;
};

template <class V, class Body>
void for_each_tril_system(const Problem& problem, const Runtime& runtime, bool backward,
                          const Body& body) {
  using T = ScalarOf<V>;
  const auto run = [&](auto lanes) {
    using Lanes = decltype(lanes);
    const TrilSystem<Lanes> shape(problem.d, backward);
    const int64_t groups = divide_up(problem.batch, Lanes::kEntries);
    const int64_t work = problem.batch * problem.d * (problem.d + 8) * (backward ? 4 : 2);
    const int64_t tasks = tasks_for(runtime, work, groups);
    T* const memory = allocate<T>(runtime, tasks * shape.footprint());
    parallel(runtime, tasks, [&](int64_t task) {
      TrilSystem<Lanes> system = shape;
      system.place(memory + task * shape.footprint());
      const Range mine = share(groups, task, tasks);
      for (int64_t group = mine.begin; group < mine.end; ++group) {
        const int64_t entry = group * Lanes::kEntries;
        body(system, entry, smaller<int64_t>(Lanes::kEntries, problem.batch - entry));
      }
    });
  };
  if (is_interleaved<V>(problem))
    run(AcrossEntries<V>{});
  else
    run(AcrossColumns<V>{});
}

template <class V>
void gaussian_kl_tril_forward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  for_each_tril_system<V>(
      problem, runtime, false,
      [&]<class Lanes>(TrilSystem<Lanes>& system, int64_t entry, int64_t count) {
        system.factorise(problem, 0, entry, count);
        const V total = system.divergence();
        for (int lane = 0; lane < count; ++lane)
          *data_of<T>(problem, 4, entry + lane) =
              Lanes::kEntries > 1 ? total[lane] : sum_lanes(total);
      });
}

// Operands: the gradient of the result, the four arguments, then their gradients.
template <class V>
void gaussian_kl_tril_backward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  for_each_tril_system<V>(
      problem, runtime, true,
      [&]<class Lanes>(TrilSystem<Lanes>& system, int64_t entry, int64_t count) {
        system.factorise(problem, 1, entry, count);
        V upstream = system.poison();
        if constexpr (Lanes::kEntries == 1) upstream = splat<V>(sum_lanes(upstream));
        for (int lane = 0; lane < kLanesOf<V>; ++lane)
          upstream[lane] += *data_of<T>(problem, 0, entry + smaller<int64_t>(lane, count - 1));
        system.differentiate(upstream);
        T *by_tril_q[Lanes::kEntries] = {}, *by_tril_p[Lanes::kEntries] = {};
        for (int lane = 0; lane < count; ++lane) {
          T* const by_mean_q = data_of<T>(problem, 5, entry + lane);
          T* const by_mean_p = data_of<T>(problem, 7, entry + lane);
          for (int64_t i = 0; i < problem.d; ++i) {
            const T value = system.weighted.at(i, 0)[lane];
            if (by_mean_q) by_mean_q[i] = value;
            if (by_mean_p) by_mean_p[i] = -value;
          }
          by_tril_q[lane] = data_of<T>(problem, 6, entry + lane);
          by_tril_p[lane] = data_of<T>(problem, 8, entry + lane);
        }
        if (*by_tril_q)
          write_trils(Lanes(), system.weighted.from_column(1), problem.d, by_tril_q, count);
        if (*by_tril_p) write_trils(Lanes(), system.factor, problem.d, by_tril_p, count);
      });
}

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair gaussian_kl_tril = {
    {gaussian_kl_tril_forward<Float>, gaussian_kl_tril_forward<Double>},
    {gaussian_kl_tril_backward<Float>, gaussian_kl_tril_backward<Double>}};

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
