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
#pragma once

#include "math/scales.h"
#include "rows/row.h"
#include "rows/triangular.h"

namespace pyvae {
namespace {

// The size up to which lanes run over batch entries.
template <class V>
inline constexpr int64_t kLargestInterleaved = kLanesOf<V>;

// The vector and the matrix of one Gaussian of one batch entry.
template <class T>
struct TrilArgument {
  const T *mean, *tril;
  int64_t mean_stride, row, column;

  TrilArgument(const Problem& problem, int first, int64_t entry)
      : mean(data_of<const T>(problem, first, entry)),
        tril(data_of<const T>(problem, first + 1, entry)),
        mean_stride(problem.operand[first].stride[0]),
        row(problem.operand[first + 1].stride[0]),
        column(problem.operand[first + 1].stride[1]) {}

  // Row `i` to the diagonal, whose triangular pattern the processor does not foresee.
  void prefetch_row(int64_t i) const {
    constexpr int64_t kLine = 64 / sizeof(T);
    for (int64_t j = 0; j <= i; j += kLine) __builtin_prefetch(tril + i * row + j * column);
  }
};

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

  TrilSystem(int64_t d_, bool backward) : d(d_) {
    rows = padded(d, kBlockRows);
    scales = padded(rows * kUnit, kLanesOf<V>);
    const int64_t width = padded((d + 1) * kUnit, kLanesOf<V>);
    factor.row = right.row = weighted.row = turned.row = width;
    factor.column = right.column = weighted.column = turned.column = kUnit;
    matrices_ = !backward ? 2 : kEntries == 1 ? 4 : 3;
  }
  int64_t footprint() const { return matrices_ * (rows + 1) * right.row + 3 * scales; }

  // Scales past the last are one for good.
  void place(T* memory) {
    for (int64_t i = 0; i < footprint(); ++i) memory[i] = 0;
    inverse = memory, scale_q = inverse + scales, scale_p = scale_q + scales;
    for (int64_t i = 0; i < 2 * scales; ++i) scale_q[i] = 1;
    const int64_t each = (rows + 1) * right.row;
    factor.data = scale_p + scales;
    right.data = factor.data + each;
    if (matrices_ > 2) weighted.data = right.data + each;
    if (matrices_ > 3) turned.data = weighted.data + each;
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

  // NaN where a diagonal entry is no positive normal number, else zero.
  V poison() const {
    V total{};
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
    for (int lane = 0; lane < kEntries; ++lane) {  // lanes past the last repeat it
      const int64_t at = entry + smaller<int64_t>(lane, count - 1);
      const TrilArgument<T> q(problem, first, at), p(problem, first + 2, at);
      const int64_t ahead = smaller(at + 1, problem.batch - 1);
      const TrilArgument<T> next_q(problem, first, ahead), next_p(problem, first + 2, ahead);
      for (int64_t i = 0; i < d; ++i) {
        next_q.prefetch_row(i);
        next_p.prefetch_row(i);
        right.at(i, 0)[lane] = q.mean[i * q.mean_stride] - p.mean[i * p.mean_stride];
        scale_q[i * kUnit + lane] = q.tril[i * (q.row + q.column)];
        scale_p[i * kUnit + lane] = p.tril[i * (p.row + p.column)];
        load_row(q, i, right.at(i, 1) + lane);
        load_row(p, i, factor.at(i, 0) + lane);
      }
    }
  }

  // Row `i` up to the diagonal.
  void load_row(const TrilArgument<T>& from, int64_t i, T* to) const {
    const T* const row = from.tril + i * from.row;
    if constexpr (kEntries > 1) {
      for (int64_t j = 0; j < i; ++j) to[j * kUnit] = row[j * from.column];
    } else {
      const Row<V> values(row, from.column);
      for (int64_t j = 0; j < i; j += kLanesOf<V>) {
        const int64_t count = smaller<int64_t>(kLanesOf<V>, d - j);
        store_first(to + j, keep_first(values.at(j, count), i - j), count);
      }
    }
  }

  Matrix<T> turn() const {
    if constexpr (kEntries > 1) {
      return right.transposed();
    } else {
      for (int64_t i = 0; i < d; ++i) {
        const T* const from = right.at(i, 0);
        T* to = turned.at(0, i);
        for (int64_t c = 0; c <= i + 1; ++c, to += turned.row) *to = from[c];
      }
      return turned;
    }
  }

  int matrices_;
};

// Writes the lower triangle of an entry's gradient, zeros above.
template <class Lanes, class T = ScalarOf<typename Lanes::V>>
void write_tril(const Matrix<T>& from, int64_t first_column, int64_t d, int lane, T* to) {
  using V = typename Lanes::V;
  for (int64_t i = 0; i < d; ++i) {
    const T* const row = from.at(i, first_column) + lane;
    if constexpr (Lanes::kEntries > 1) {
      for (int64_t j = 0; j < d; ++j) to[i * d + j] = j <= i ? row[j * Lanes::kUnit] : T(0);
    } else {
      for_each_vector<V>(d, [&](int64_t j, int64_t count) {
        V value{};
        if (j <= i && count == kLanesOf<V>) value = keep_first(load<V>(row + j), i - j + 1);
        for (int64_t l = 0; count < kLanesOf<V> && l < count && j + l <= i; ++l)
          value[l] = row[j + l];
        store_first(to + i * d + j, value, count);
      });
    }
  }
}

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
  if (problem.d <= kLargestInterleaved<V>)
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
        for (int lane = 0; lane < count; ++lane) {
          T* const by_mean_q = data_of<T>(problem, 5, entry + lane);
          T* const by_mean_p = data_of<T>(problem, 7, entry + lane);
          for (int64_t i = 0; i < problem.d; ++i) {
            const T value = system.weighted.at(i, 0)[lane];
            if (by_mean_q) by_mean_q[i] = value;
            if (by_mean_p) by_mean_p[i] = -value;
          }
          if (T* const to = data_of<T>(problem, 6, entry + lane))
            write_tril<Lanes>(system.weighted, 1, problem.d, lane, to);
          if (T* const to = data_of<T>(problem, 8, entry + lane))
            write_tril<Lanes>(system.factor, 0, problem.d, lane, to);
        }
      });
}

}  // namespace
}  // namespace pyvae
