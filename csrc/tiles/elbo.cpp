// SPDX-License-Identifier: MIT
// mixture_elbo_terms, from each source of q(z).
#include "common/vectors.h"
#include "kernels.h"
#include "tiles/elbo_backward.h"

namespace pyvae {
namespace {

template <class Source>
constexpr KernelPair elbo = {{elbo_forward<Source, Float>, elbo_forward<Source, Double>},
                             {elbo_backward<Source, Float>, elbo_backward<Source, Double>}};

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair mixture_elbo_terms = elbo<Exact>;
const KernelPair mixture_elbo_terms_gaussian = elbo<Gaussian>;
const KernelPair mixture_elbo_terms_sampled = elbo<Sampled>;
const KernelPair mixture_elbo_terms_logits = elbo<Logits>;

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
