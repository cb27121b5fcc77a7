// SPDX-License-Identifier: MIT
// Every kernel on one instruction set. The build compiles this file once for each, naming it in
// PYVAE_VARIANT.
#include "cpu/table.h"
#include "full/density.h"
#include "full/statistics.h"
#include "rows/gaussian_kl.h"
#include "rows/gaussian_kl_tril.h"
#include "tiles/elbo_backward.h"
#include "tiles/gaussian_kl_pairwise.h"
#include "tiles/statistics.h"

namespace pyvae {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif
using Float = Vector<float, kVectorBytes>;
using Double = Vector<double, kVectorBytes>;

template <class V>
void evaluate(MathFunction function, const void* from, void* to, int64_t count) {
  using T = ScalarOf<V>;
  for (int64_t i = 0; i < count; ++i) {
    V x = splat<V>(static_cast<const T*>(from)[i]);
    switch (function) {
      case MathFunction::kExp:
        x = exp(x);
        break;
      case MathFunction::kExpm1:
        x = expm1(x);
        break;
      case MathFunction::kExpMinusTangent:
        x = exp_minus_tangent(x);
        break;
      case MathFunction::kExpOfGap:
        x = exp_of_gap(x);
        break;
      case MathFunction::kLog:
        x = log(x);
        break;
    }
    static_cast<T*>(to)[i] = x[0];
  }
}

}  // namespace

#define PYVAE_JOIN(a, b) a##b
#define PYVAE_TABLE(variant) PYVAE_JOIN(table_, variant)

extern const KernelTable PYVAE_TABLE(PYVAE_VARIANT) = {
    {{gaussian_kl_forward<Float>, gaussian_kl_forward<Double>},
     {gaussian_kl_backward<Float>, gaussian_kl_backward<Double>}},
    {{gaussian_kl_tril_forward<Float>, gaussian_kl_tril_forward<Double>},
     {gaussian_kl_tril_backward<Float>, gaussian_kl_tril_backward<Double>}},
    {{gaussian_kl_pairwise_forward<Float>, gaussian_kl_pairwise_forward<Double>},
     {gaussian_kl_pairwise_backward<Float>, gaussian_kl_pairwise_backward<Double>}},
    {{mixture_forward<false, Float>, mixture_forward<false, Double>},
     {mixture_log_prob_backward<Float>, mixture_log_prob_backward<Double>}},
    {{mixture_forward<true, Float>, mixture_forward<true, Double>},
     {mixture_posterior_backward<Float>, mixture_posterior_backward<Double>}},
    {{elbo_forward<Exact, Float>, elbo_forward<Exact, Double>},
     {elbo_backward<Exact, Float>, elbo_backward<Exact, Double>}},
    {{elbo_forward<Gaussian, Float>, elbo_forward<Gaussian, Double>},
     {elbo_backward<Gaussian, Float>, elbo_backward<Gaussian, Double>}},
    {{elbo_forward<Sampled, Float>, elbo_forward<Sampled, Double>},
     {elbo_backward<Sampled, Float>, elbo_backward<Sampled, Double>}},
    {{elbo_forward<Logits, Float>, elbo_forward<Logits, Double>},
     {elbo_backward<Logits, Float>, elbo_backward<Logits, Double>}},
    {{mixture_statistics<Float>, mixture_statistics<Double>}, {}},
    {{full_forward<false, Float>, full_forward<false, Double>},
     {full_log_prob_backward<Float>, full_log_prob_backward<Double>}},
    {{full_forward<true, Float>, full_forward<true, Double>},
     {full_posterior_backward<Float>, full_posterior_backward<Double>}},
    {{full_statistics<Float>, full_statistics<Double>}, {}},
    {evaluate<Float>, evaluate<Double>},
};

}  // namespace pyvae
