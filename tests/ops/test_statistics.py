# SPDX-License-Identifier: MIT
"""The sums of an EM step: against the reference, by their identities, and as an op of torch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pyvae import _C, ops
from tests.ops import devices
from tests.ops.cases import DTYPES, SMALL, TILED, OpCase, each_dtype, each_statistics
from tests.ops.checks import assert_gradients, doubled
from tests.ops.layouts import LAYOUTS, repeated_first

# Dynamo and opcheck warn about their own internals.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

every_device = pytest.mark.every_device
MIDDLE = {"n": 70, "k": 9, "d": 6}
RTOL = {torch.float32: 2e-6, torch.float64: 1e-13}


def check(case: OpCase, inputs: dict[str, Tensor], context: object = "") -> None:
    """Every sum within its tolerance of the reference's, relative to the tensor's largest entry.

    The rounding of a log-density is the relative error of its responsibilities, so the tolerance
    grows with the mean log-density as that of a gradient does.
    """
    got, want = case(**inputs), case.expected(**doubled(inputs))
    mean = want[0].abs() / inputs["sample_weight"].double().sum(-1)
    typical = torch.where(mean.isfinite(), mean, 1.0)
    rtol = RTOL[inputs["x"].dtype] * max(2.0, typical.max().item() if typical.numel() else 0.0)
    assert all(tensor.dtype == torch.float64 for tensor in got)
    names = ops.MixtureStatistics._fields
    have, truth = dict(zip(names, got, strict=True)), dict(zip(names, want, strict=True))
    assert_gradients(have, truth, rtol, f"of {case.name} {context}")


@every_device
@each_dtype
@each_statistics
def test_sizes(case: OpCase, dtype: torch.dtype) -> None:
    sizes = devices.some(case.sizes[::2])
    for seed, size in enumerate((*sizes, TILED, {"n": 1500, "k": 3, "d": 2})):
        check(case, case.draw(size, dtype, seed=seed), size)


@pytest.mark.parametrize("instruction_set", ops.build_info()["instruction_sets_supported"])
@each_dtype
@each_statistics
def test_instruction_sets(case: OpCase, dtype: torch.dtype, instruction_set: str) -> None:
    before = ops.build_info()["instruction_set"]
    _C.set_instruction_set(instruction_set)
    try:
        test_sizes(case, dtype)
    finally:
        _C.set_instruction_set(before)


@every_device
@each_dtype
@each_statistics
def test_empty_sizes(case: OpCase, dtype: torch.dtype) -> None:
    for empty in ("n", "k", "d", "nk", "nkd"):
        size = {dim: 0 if dim in empty else value for dim, value in SMALL.items()}
        check(case, case.draw(size, dtype), size)


@every_device
@each_dtype
@each_statistics
def test_leading_dimensions_broadcast(case: OpCase, dtype: torch.dtype) -> None:
    batches = ((2, 1), (3,), (), (2, 3), (1, 1))
    for shift in range(len(batches)):
        batch = {name: batches[(i + shift) % 5] for i, name in enumerate(case.arguments)}
        check(case, case.draw(MIDDLE, dtype, batch=batch), batch)
    for name in case.arguments:
        check(case, case.draw(MIDDLE, dtype, batch={name: (3,)}), name)


@every_device
@each_dtype
@each_statistics
def test_layouts(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw(MIDDLE, dtype)
    for name in inputs:
        for layout in LAYOUTS.values():
            check(case, {**inputs, name: layout(inputs[name])}, name)
        check(case, {**inputs, name: repeated_first(inputs[name], 0)}, f"repeated {name}")


@every_device
@each_dtype
@each_statistics
def test_weights_left_out_are_ones(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw(MIDDLE, dtype)
    inputs["sample_weight"] = torch.ones_like(inputs["sample_weight"])
    want = case(**inputs)
    del inputs["sample_weight"]
    for have, truth in zip(case(**inputs), want, strict=True):
        assert torch.equal(have, truth)


@every_device
@each_dtype
@each_statistics
def test_whole_weights_repeat_points(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw(MIDDLE, dtype)
    counts = torch.arange(MIDDLE["n"]) % 4
    inputs["sample_weight"] = counts.to(dtype)
    repeated = {**inputs, "x": inputs["x"].repeat_interleave(counts, 0)}
    repeated["sample_weight"] = torch.ones(int(counts.sum()), dtype=dtype)
    for have, truth in zip(case(**inputs), case(**repeated), strict=True):
        torch.testing.assert_close(have, truth, rtol=5 * RTOL[dtype], atol=5 * RTOL[dtype])


@every_device
@each_dtype
@each_statistics
def test_points_of_no_weight_are_not_looked_at(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw(MIDDLE, dtype)
    inputs["sample_weight"][::3] = 0.0
    want = case(**inputs)
    inputs["x"][::3] = torch.tensor([math.nan, math.inf]).repeat(20)[: len(inputs["x"][::3]), None]
    for have, truth in zip(case(**inputs), want, strict=True):
        assert torch.equal(have, truth)


@every_device
@each_dtype
@each_statistics
def test_excluded_components_and_far_points(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw(MIDDLE, dtype)
    inputs["log_weights"][::2] = -torch.inf
    inputs["means"][0] = torch.nan
    if case.arguments[case.spread].dims[0] == "k":
        inputs[case.spread][2] = torch.nan
    inputs["x"][[5, 8], 1] = torch.inf
    got = case(**inputs)
    assert got[0] == -torch.inf
    for sums in got[1:3]:
        assert (sums[::2] == 0).all()
    check(case, inputs)
    inputs["x"][8] = {torch.float32: 1e30, torch.float64: 1e200}[dtype]  # no density either
    for have, truth in zip(case(**inputs), got, strict=True):
        assert torch.equal(have, truth)


@every_device
@each_dtype
@each_statistics
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e4, -1e4, 300.0])
def test_no_points_have_no_sums(case: OpCase, dtype: torch.dtype, value: float) -> None:
    """Whatever the components hold: 0 times an infinity, or a NaN, does not show."""
    without = ({"n": 0}, {"n": 0, "d": 0}, {"n": 0, "k": 0}, {"d": 0}, {})
    for size in (SMALL | changes for changes in without):
        for name in ("log_weights", "means", case.spread):
            inputs = case.draw(size, dtype)
            inputs[name].fill_(value)
            inputs["sample_weight"].zero_()
            for sums in case(**inputs):
                assert (sums == 0).all(), f"{size}, {name}"


@every_device
@each_dtype
@each_statistics
def test_components_without_points_have_no_sums(case: OpCase, dtype: torch.dtype) -> None:
    """At infinity, or so far off that no point has a responsibility there."""
    for mean in (math.inf, -math.inf, {torch.float32: 1e15, torch.float64: 1e150}[dtype]):
        inputs = case.draw(MIDDLE, dtype)
        inputs["means"][4, 1:3] = mean
        got = case(**inputs)
        assert got[1][4] == 0
        assert (got[2][4] == 0).all()
        check(case, inputs, mean)
        # A point that is NaN, of no weight, has no part in it.
        inputs["x"][2], inputs["sample_weight"][2] = math.nan, 0.0
        check(case, inputs, mean)


@every_device
@each_dtype
@each_statistics
@pytest.mark.parametrize("logvar", [90.0, 170.0, 300.0])
def test_very_wide_components_with_points(case: OpCase, dtype: torch.dtype, logvar: float) -> None:
    """Their 1/sigma is 0 in float32, and their sums are not 0 times infinity."""
    if "logvars" not in case.arguments:
        return
    inputs = case.draw(MIDDLE, dtype)
    inputs["logvars"][3] = logvar
    inputs["log_weights"][3] = 0.5 * logvar * MIDDLE["d"]
    assert (case(**inputs)[1][3] > 1.0).all()
    check(case, inputs, logvar)


@every_device
@each_dtype
@each_statistics
def test_a_nan_point_spoils_what_it_belongs_to(case: OpCase, dtype: torch.dtype) -> None:
    inputs = case.draw(MIDDLE, dtype)
    inputs["x"][3, 1] = torch.nan
    got = case(**inputs)
    assert got[0].isnan()
    assert got[1].isnan().all()


@every_device
@each_statistics
def test_offset_of_ten_thousand(case: OpCase) -> None:
    """Sums of squares about the means keep their digits where sums of squares would lose all."""
    inputs = case.draw(MIDDLE, torch.float64)
    inputs["x"] = inputs["means"][torch.arange(70) % 9] + 0.1 * inputs["x"]
    if "logvars" in inputs:
        inputs["logvars"] = torch.full_like(inputs["logvars"], 2.0 * math.log(0.1))
    else:
        inputs["scale_trils"] = 0.1 * inputs["scale_trils"]
    inputs["x"], inputs["means"] = inputs["x"] + 1e4, inputs["means"] + 1e4
    check(case, {name: tensor.float() for name, tensor in inputs.items()})


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_one_step_is_scikit_learns(covariance: str) -> None:
    """The parameters after the step, from the same start, in float64."""
    from sklearn.mixture import GaussianMixture

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 3, generator=generator, dtype=torch.float64)
    weights, means = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64), x[:3].clone()
    kind = {"diagonal": "diag", "full": "full"}[covariance]
    start = torch.ones(3, 3) if kind == "diag" else torch.eye(3).expand(3, 3, 3)
    peer = GaussianMixture(
        3, covariance_type=kind, max_iter=1, reg_covar=0.0, weights_init=weights.numpy(),
        means_init=means.numpy(), precisions_init=start.double().numpy(),
    )  # fmt: skip
    with pytest.warns(match="did not converge"):
        peer.fit(x.numpy())
    if kind == "diag":
        sums = ops.mixture_statistics(x, weights.log(), means, torch.zeros(3, 3).double())
        shift = sums.sum_dx / sums.counts[:, None]
        covariances = sums.sum_dx2 / sums.counts[:, None] - shift.square()
    else:
        sums = ops.mixture_statistics_tril(x, weights.log(), means, start.double())
        shift = sums.sum_dx / sums.counts[:, None]
        covariances = sums.sum_dx2 / sums.counts[:, None, None]
        covariances = covariances - shift.unsqueeze(-1) * shift.unsqueeze(-2)
    numpy = torch.from_numpy
    torch.testing.assert_close(sums.counts / 400, numpy(peer.weights_), rtol=1e-10, atol=0)
    torch.testing.assert_close(means + shift, numpy(peer.means_), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(covariances, numpy(peer.covariances_), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("threads", [1, 2, 3])
@each_statistics
def test_threads(case: OpCase, threads: int) -> None:
    torch.set_num_threads(threads)
    inputs = case.draw({"n": 3000, "k": 40, "d": 9}, torch.float32)
    check(case, inputs, f"{threads} threads")
    for have, before in zip(case(**inputs), case(**inputs), strict=True):
        assert torch.equal(have, before)


@each_dtype
@each_statistics
def test_no_gradient(case: OpCase, dtype: torch.dtype) -> None:
    inputs = {k: v.requires_grad_() for k, v in case.draw(SMALL, dtype).items()}
    assert not any(tensor.requires_grad for tensor in case(**inputs))

    def loss(x: Tensor) -> Tensor:
        return x.sum() + sum(t.sum() for t in case(**{**inputs, "x": x}))

    assert torch.equal(torch.func.grad(loss)(inputs["x"]), torch.ones_like(inputs["x"]))


@each_dtype
@each_statistics
def test_vmap(case: OpCase, dtype: torch.dtype) -> None:
    for mapped in (*([name] for name in case.arguments), list(case.arguments)):
        inputs = case.draw(SMALL, dtype, batch=dict.fromkeys(mapped, (3,)))
        dims = {name: 0 if name in mapped else None for name in inputs}
        got = torch.vmap(lambda i: case(**i), in_dims=(dims,))(inputs)
        for index in range(3):
            row = {k: v[index] if k in mapped else v for k, v in inputs.items()}
            for have, truth in zip(got, case(**row), strict=True):
                torch.testing.assert_close(have[index], truth)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@each_statistics
def test_half_and_autocast(case: OpCase, half: torch.dtype) -> None:
    inputs = case.draw(SMALL, half)
    want = case(**{name: tensor.float() for name, tensor in inputs.items()})
    with torch.autocast("cpu", dtype=half):
        mixed = case(**{**inputs, "x": inputs["x"].double()})
    for have, cast, truth in zip(case(**inputs), mixed, want, strict=True):
        assert torch.equal(have, truth)
        assert torch.equal(cast, truth)


@each_dtype
@each_statistics
def test_compiled_with_dynamic_shapes(case: OpCase, dtype: torch.dtype) -> None:
    torch.compiler.reset()
    compiled = torch.compile(
        lambda inputs: case(**inputs), fullgraph=True, dynamic=True, backend="aot_eager"
    )
    compiled(case.draw({"n": 6, "k": 5, "d": 3}, dtype))
    with torch._dynamo.config.patch(error_on_recompile=True):
        inputs = case.draw(MIDDLE, dtype)
        for have, truth in zip(compiled(inputs), case(**inputs), strict=True):
            assert torch.equal(have, truth)
    torch.compiler.reset()


@each_dtype
@each_statistics
def test_opcheck_and_meta(case: OpCase, dtype: torch.dtype) -> None:
    op = getattr(torch.ops.pyvae, case.op.__name__).default
    for batch in ((), (2,)):
        inputs = case.draw(SMALL, dtype, batch=dict.fromkeys(case.arguments, batch))
        torch.library.opcheck(op, tuple(inputs.values()))
        on_meta = case(**{name: tensor.to("meta") for name, tensor in inputs.items()})
        for have, truth in zip(on_meta, case(**inputs), strict=True):
            assert (have.shape, have.dtype) == (truth.shape, truth.dtype)


def test_mistakes() -> None:
    x, weights = torch.zeros(5, 2), torch.zeros(3)
    means, factors = torch.zeros(3, 2), torch.zeros(3, 2, 2)
    with pytest.raises(ValueError, match=r"^mixture_statistics: sample_weight has N=4 points"):
        ops.mixture_statistics(x, weights, means, means, torch.ones(4))
    with pytest.raises(ValueError, match=r"^mixture_statistics_tril: scale_trils has D=3"):
        ops.mixture_statistics_tril(x, weights, means, torch.zeros(3, 3, 3))
    with pytest.raises(ValueError, match=r"^mixture_statistics_tril: scale_trils must have shape"):
        ops.mixture_statistics_tril(x, weights, means, factors[0])
    with pytest.raises(TypeError, match=r"^mixture_statistics: sample_weight must be a floating"):
        ops.mixture_statistics(x, weights, means, means, torch.ones(5).long())
    with pytest.raises(TypeError, match=r"^mixture_statistics: x must be a torch.Tensor"):
        ops.mixture_statistics([[0.0]], weights, means, means)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_upper_triangle_is_not_read(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20, 3, generator=generator, dtype=dtype)
    clean = torch.eye(3, dtype=dtype).expand(2, 3, 3).contiguous()
    spoilt = clean + torch.full((3, 3), math.nan, dtype=dtype).triu(1).nan_to_num(0.0)
    spoilt = torch.where(torch.ones(3, 3).triu(1).bool(), math.nan, spoilt)
    mixture = (torch.zeros(2, dtype=dtype), x[:2].clone())
    for op in (ops.mixture_log_prob_tril, ops.mixture_posterior_tril, ops.mixture_statistics_tril):
        for have, truth in zip(op(x, *mixture, spoilt), op(x, *mixture, clean), strict=True):
            assert torch.equal(have, truth)
    leaf = spoilt.clone().requires_grad_()
    ops.mixture_log_prob_tril(x, *mixture, leaf).sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.isfinite().all()
    assert (leaf.grad.triu(1) == 0).all()
