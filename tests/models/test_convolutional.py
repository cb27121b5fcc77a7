# SPDX-License-Identifier: MIT
"""The built-in convolutional networks: shapes, gradients, transforms, files."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, export
from torch.func import functional_call, grad, vmap

from pyvae.models import GMVAE, VAE, AnchoredEncoder, ConvDecoder, ConvEncoder, VampPrior
from pyvae.models.likelihoods import make_likelihood
from pyvae.models.networks import make_decoder, make_encoder
from pyvae.training import Trainer
from pyvae.training.checkpoint import check_same_run, describe_run
from tests.models.builders import seeded, with_units
from tests.models.test_hostile_folders import rewrite
from tests.models.test_pretrained import assert_same

SHAPES = [(1, 1, 1), (1, 2, 2), (3, 1, 5), (2, 7, 3), (1, 8, 8), (3, 9, 14), (1, 28, 28)]
CONV: dict[str, Any] = {"encoder": "conv", "decoder": "conv", "hidden": (16,), "channels": (8, 16)}
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
each_likelihood = pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])


def conv_model(make: Any = VAE, shape: tuple[int, ...] = (1, 5, 6), **options: Any) -> Any:
    return with_units(make(math.prod(shape), 2, image_shape=shape, **{**CONV, **options}))


def images(n: int, shape: tuple[int, ...] = (1, 5, 6), dtype: Any = torch.float32) -> Tensor:
    return torch.rand(n, *shape, dtype=dtype)


@each_likelihood
@each_shape
def test_images_of_any_shape(shape: tuple[int, ...], likelihood: str) -> None:
    model, x = conv_model(VAE, shape, likelihood=likelihood), images(3, shape)
    bound = model.elbo(x, generator=seeded())
    others = [x.flatten(1), x.flatten(1)[:, None]] + [x[:, 0], x[:, 0, ..., None]] * (shape[0] == 1)
    for same in others:
        assert torch.equal(model.elbo(same, generator=seeded()).total, bound.total)
        assert model.reconstruct(same).shape == same.shape
    assert model.encode(x)[1].shape == (3, 2)
    assert model.decode(torch.zeros(4, 3, 2)).shape == (4, 3, math.prod(shape))
    assert model.sample(2).shape == (2, math.prod(shape))
    assert model.log_likelihood(x, num_samples=2).shape == (3,)
    for n in (0, 1):
        model.elbo(x[:n]).total.sum().backward()
        assert model.decode(torch.zeros(n, 2)).shape == (n, math.prod(shape))


@each_shape
def test_every_weight_is_trained(shape: tuple[int, ...]) -> None:
    """Also at the ends of the kernels, which small sides would not let see a pixel."""
    wide = {"channels": (16, 16), "hidden": (64,), "likelihood": "gaussian"}
    model = conv_model(VAE, shape, **wide)
    model.elbo(images(64, shape)).total.sum().backward()
    kernels = 0
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        size = parameter.grad.abs()
        assert size.any(), name
        if parameter.ndim == 4:
            assert (size.amax((0, 1)) > 0).all(), name
            kernels += 1
    assert kernels == 4


@pytest.mark.parametrize("channels", [(), (4,), (4, 8, 8, 4)], ids=str)
def test_any_number_of_convolutions(channels: tuple[int, ...]) -> None:
    model, x = conv_model(channels=channels), images(3)
    model.elbo(x).total.sum().backward()
    assert sum(isinstance(m, nn.Conv2d) for m in model.modules()) == len(channels)
    assert model.reconstruct(x).shape == x.shape


def test_the_colours_come_first() -> None:
    """Means of all, then raw scales, in the order of ``x.flatten(1)``."""
    model = conv_model(VAE, (3, 4, 5), likelihood="gaussian", standardize=False)
    w = torch.randn(6, 2)
    planes = model.decoder(w)
    assert planes.shape == (6, 6, 4, 5)
    assert torch.equal(model.decode(w), planes[:, :3].flatten(1))
    expected = make_likelihood("gaussian", model.min_scale).distribution(planes.flatten(1))
    assert torch.equal(model.likelihood(w).stddev, expected.stddev)
    bernoulli = conv_model(VAE, (3, 4, 5))
    assert torch.equal(bernoulli.decode(w), bernoulli.decoder(w).flatten(1).sigmoid())


def test_an_example_has_one_code() -> None:
    """In training and in evaluation, alone and among others."""
    model, x = conv_model().double(), images(9, dtype=torch.float64)
    mean, _ = model.encode(x)
    torch.testing.assert_close(model.encode(x[4:5])[0], mean[4:5])
    assert torch.equal(model.eval().encode(x)[0], mean)


def test_a_pixel_is_seen_and_drawn_where_it_is() -> None:
    """The networks know of places: a moved image has other codes, each pixel is decoded anew."""
    model, x = conv_model().double(), torch.zeros(30, 30, dtype=torch.float64)
    x.fill_diagonal_(1.0)
    codes = model.encode(x)[0]
    assert len(torch.unique(codes, dim=0)) == 30
    drawn = model.decode(torch.randn(50, 2, dtype=torch.float64))
    assert torch.unique(drawn, dim=1).shape == (50, 30)


@pytest.mark.parametrize("options", [{"posterior": "amortized"}, {"closed_form": True}], ids=str)
def test_the_mixture_model(options: dict[str, Any]) -> None:
    model, x = conv_model(GMVAE, num_components=3, **options), images(8)
    model.elbo(x, num_samples=2).total.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert model.predict(x).shape == (8,)
    assert model.predict_proba(x).shape == (8, 3)
    if model.posterior == "amortized":
        assert type(model.categorical).__name__ == "MLP"


def test_a_vamp_prior() -> None:
    model, x = conv_model(prior=VampPrior(images(3)), likelihood="gaussian"), images(8)
    model.fit_standardization(x).elbo(x).total.sum().backward()
    assert model.vamp_prior.pseudo_inputs.grad.abs().sum() > 0


def test_pixels_in_rows_have_one_range() -> None:
    """As they have where their shape alone tells that they are images."""
    x = images(50) * torch.linspace(0.9, 1.1, 30).reshape(1, 5, 6)
    for known in (x, x.flatten(1)):
        model = conv_model(likelihood="gaussian").fit_standardization(known)
        assert len(model.standardization.scale.unique()) == 1
        trained: Any = VAE(30, 2, image_shape=(5, 6), likelihood="gaussian", hidden=(4,))
        Trainer(epochs=1, progress="silent").fit(trained, known)
        assert torch.equal(trained.standardization.scale, model.standardization.scale)


@each_likelihood
def test_autocast_keeps_the_bound_in_single_precision(likelihood: str) -> None:
    model, x = conv_model(GMVAE, likelihood=likelihood), images(32)
    expected = model.elbo(x, generator=seeded())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        bound = model.elbo(x, generator=seeded())
    assert {part.dtype for part in bound} == {torch.float32}
    torch.testing.assert_close(bound.total, expected.total, rtol=0.05, atol=0.3)
    bound.total.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_gradients_of_each_example() -> None:
    model, x = conv_model(likelihood="gaussian").double(), images(3, dtype=torch.float64)
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def loss(values: dict[str, Tensor], example: Tensor) -> Tensor:
        return -functional_call(model, values, (example[None],)).total.sum()

    torch.manual_seed(3)
    found = vmap(grad(loss), in_dims=(None, 0), randomness="same")(parameters, x)
    for i, example in enumerate(x):
        torch.manual_seed(3)
        expected = torch.autograd.grad(-model(example[None]).total.sum(), [*model.parameters()])
        for name, gradient in zip(parameters, expected, strict=True):
            torch.testing.assert_close(found[name][i], gradient)


def test_an_exported_program_takes_any_number() -> None:
    model = conv_model(GMVAE, num_components=3)
    program = export(model, (images(4),), dynamic_shapes=({0: Dim("n")},)).module()
    for n in (2, 7):
        x = images(n)
        torch.manual_seed(n)
        expected = model(x)
        torch.manual_seed(n)
        torch.testing.assert_close(program(x), expected)


def test_compiled_in_one_graph() -> None:
    torch.compiler.reset()
    model = conv_model(likelihood="gaussian", channels=(4,))
    compiled = torch.compile(model.elbo, fullgraph=True, dynamic=True, backend="aot_eager")
    for n in (4, 7):
        x, results = images(n), []
        for function in (model.elbo, compiled):
            torch.manual_seed(n)
            total = function(x).total.sum()
            results.append((total, *torch.autograd.grad(total, [*model.parameters()])))
        torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-4)
    torch.compiler.reset()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("make", [VAE, GMVAE])
def test_saved_and_loaded_without_a_word(make: Any, dtype: torch.dtype, tmp_path: Path) -> None:
    saved = conv_model(make, (3, 5, 6), likelihood="gaussian").to(dtype)
    saved.save_pretrained(tmp_path)
    loaded = make.from_pretrained(tmp_path)
    assert_same(loaded, saved)
    assert loaded.config.items() >= {
        "encoder": "conv", "decoder": "conv", "image_shape": [3, 5, 6], "channels": [8, 16],
    }.items()  # fmt: skip
    if dtype != torch.bfloat16:
        x = images(3, (3, 5, 6))
        assert torch.equal(loaded.reconstruct(x), saved.reconstruct(x))


def test_one_network_of_ones_own_beside(tmp_path: Path) -> None:
    own = nn.Sequential(nn.Flatten(), nn.Linear(30, 4))
    model = conv_model(encoder=own)
    assert model.own_modules == ("encoder",)
    assert "encoder" not in model.config
    assert model.config["decoder"] == "conv"
    model.save_pretrained(tmp_path)
    again = VAE.from_pretrained(tmp_path, encoder=nn.Sequential(nn.Flatten(), nn.Linear(30, 4)))
    assert_same(again, model)
    with pytest.raises(ValueError, match="saved with the built-in decoder; leave out decoder="):
        VAE.from_pretrained(tmp_path, encoder=own, decoder=own)


def test_older_models(tmp_path: Path) -> None:
    """Files, pickles and checkpoints of before there was a choice."""
    later = {"encoder", "decoder", "image_shape", "channels"}
    model = VAE(5, 2, hidden=(8,))
    model.save_pretrained(tmp_path)
    rewrite(tmp_path, drop=later)
    assert not later & json.loads((tmp_path / "config.json").read_text())["config"].keys()
    assert_same(VAE.from_pretrained(tmp_path), model)

    old = pickle.loads(pickle.dumps(model))
    for name in ("image_shape", "channels", "built_in"):
        del old.__dict__[name]
    old = pickle.loads(pickle.dumps(old))
    assert old.config == model.config
    assert torch.equal(old.encode(torch.ones(1, 5))[0], model.encode(torch.ones(1, 5))[0])

    now = describe_run(model, {}, {})
    before = {**now, "model": {k: v for k, v in now["model"].items() if k not in later}}
    check_same_run(tmp_path, before, now)
    other = describe_run(VAE(5, 2, hidden=(8,), channels=(4,)), {}, {})
    with pytest.raises(ValueError, match=r"channels was \[32, 64\], is \[4\]"):
        check_same_run(tmp_path, before, other)


def test_a_run_goes_on_to_the_same_end(tmp_path: Path) -> None:
    x = images(40)

    def trained(epochs: int, folder: Path) -> dict[str, Tensor]:
        torch.manual_seed(0)
        model = conv_model(GMVAE, num_components=3)
        Trainer(
            epochs=epochs, pretrain_epochs=1, batch_size=13, schedule="constant",
            output_dir=folder, checkpoint_seconds=0, progress="silent",
        ).fit(model, x, resume="auto")  # fmt: skip
        return model.state_dict()

    whole = trained(3, tmp_path / "whole")
    trained(1, tmp_path / "parts")
    resumed = trained(3, tmp_path / "parts")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


WRONG: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "encoder='conv' needs to know the images' shape; pass image_shape=": (
        {"encoder": "conv", "image_shape": None},
        ValueError,
    ),
    "decoder='conv' needs to know the images' shape; pass image_shape=": (
        {"encoder": "mlp", "image_shape": None},
        ValueError,
    ),
    r"image_shape \(1, 5, 5\) is 25 numbers an example, and input_dim is 30": (
        {"image_shape": (5, 5)},
        ValueError,
    ),
    r"image_shape must be \(C, H, W\), or \(H, W\) of one channel, got \(30,\)": (
        {"image_shape": (30,)},
        ValueError,
    ),
    r"image_shape must be \(C, H, W\), .*, got 30 \(int\)": ({"image_shape": 30}, TypeError),
    r"image_shape\[0\] must be at least 1, got 0": ({"image_shape": (0, 5, 6)}, ValueError),
    r"channels\[1\] must be at least 4, got 3": ({"channels": (4, 3)}, ValueError),
    "encoder must be one of 'mlp', 'conv', got 'resnet'": ({"encoder": "resnet"}, ValueError),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_settings(message: str) -> None:
    changes, error = WRONG[message]
    with pytest.raises(error, match=message):
        VAE(30, 2, **{**CONV, "image_shape": (1, 5, 6), **changes})


def test_channels_last_are_told() -> None:
    model, x = conv_model(VAE, (3, 5, 6)), torch.rand(4, 5, 6, 3)
    message = (
        r"x has shape \(4, 5, 6, 3\), expected \(N, 90\) or \(N, 3, 5, 6\) by .*x.movedim\(-1, 1\)"
    )
    for call in (model.elbo, model.encode, model.check_input):
        with pytest.raises(ValueError, match=message):
            call(x)
    assert model.elbo(x.movedim(-1, 1)).total.shape == (4,)
    with pytest.raises(ValueError, match=r"pseudo_inputs has shape \(4, 5, 6, 3\)"):
        conv_model(VAE, (3, 5, 6), prior=VampPrior(x))


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_the_factory_takes_numbers_beside_the_image(kind: str) -> None:
    network = make_encoder(kind, 30, (1, 5, 6), (16,), 4, extra=3, channels=(8,)).double()
    x = torch.rand(6, 33, dtype=torch.float64, requires_grad=True)
    out = network(x)
    assert out.shape == (6, 4)
    (gradient,) = torch.autograd.grad(out.square().sum(), x)
    assert (gradient[:, :30].abs().sum(0) > 0).all()
    assert (gradient[:, 30:].abs().sum(0) > 0).all()
    assert isinstance(network, ConvEncoder) == (kind == "conv")
    alone = make_encoder(kind, 30, (1, 5, 6), (16,), 4)
    assert alone(torch.rand(6, 5, 6)).shape == (6, 4)
    decoder = make_decoder(kind, 2, (1, 5, 6), (16,), 60)
    assert decoder(torch.rand(6, 2)).flatten(1).shape == (6, 60)
    assert isinstance(decoder, ConvDecoder) == (kind == "conv")
    with pytest.raises(ValueError, match="encoder must be 'mlp' or 'conv', got 'resnet'"):
        make_encoder("resnet", 30, (1, 5, 6), (16,), 4)


def test_an_anchored_encoder_of_images() -> None:
    """With the inner network that the factory makes: what begins at its component stays there."""
    nearest = nn.Sequential(nn.Flatten(), nn.Linear(30, 3))
    encoder: Any = AnchoredEncoder(nearest, 30, 3, latent_dim=2)
    encoder.network = make_encoder("conv", 30, (1, 5, 6), (16,), 4, extra=3)
    model = GMVAE(30, 2, num_components=3, encoder=encoder, hidden=(8,))
    model.set_mixture(None, encoder.anchors.detach(), torch.zeros(3, 1))
    x = images(20)
    assert torch.equal(model.predict(x), nearest(x).argmax(1))
    model.elbo(x).total.sum().backward()
    assert encoder.network.convolutions[0].weight.grad.abs().sum() > 0
