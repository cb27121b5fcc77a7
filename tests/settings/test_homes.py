# SPDX-License-Identifier: MIT
"""A setting has one home: signatures, documentation, checks and the command line follow it."""

from __future__ import annotations

import inspect
import math
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import pytest
import torch

from pyvae.cli import app
from pyvae.cli.settings import OPTIONS, arguments, options_of
from pyvae.models import GMVAE, VAE, LatentVariableModel
from pyvae.settings import (
    NEVER,
    GMVAEOptions,
    Home,
    ModelOptions,
    TrainerSettings,
    VAEOptions,
    documented,
    recorded,
    settings_of,
    takes,
)
from pyvae.settings.kinds import Count, Number, Widths, Wording
from pyvae.settings.setting import setting
from pyvae.training import Trainer
from tests.training.helpers import blobs

USERS: dict[type[Home], type] = {TrainerSettings: Trainer, VAEOptions: VAE, GMVAEOptions: GMVAE}
# Options whose defaults or choices are the command's own.
OWN = {"latent_dim", "likelihood", "pseudo_inputs"}
each_home = pytest.mark.parametrize("home", USERS)


def plain(value: Any) -> Any:
    return getattr(value, "value", value)


@each_home
def test_every_setting_is_in_the_signature_and_the_documentation(home: type[Home]) -> None:
    signature = inspect.signature(USERS[home]).parameters
    assert list(signature) == [found.name for found in fields(home)]  # type: ignore[arg-type]
    lines = (USERS[home].__doc__ or "").splitlines()
    words = " ".join(" ".join(lines).split())
    for found in fields(home):  # type: ignore[arg-type]
        about = settings_of(home)[found.name]
        default = inspect.Parameter.empty if found.default is MISSING else found.default
        assert signature[found.name].default == default
        assert about.help.endswith(".")
        assert sum(line.startswith(f"{found.name} : {found.type}") for line in lines) == 1
        assert " ".join((about.doc or about.help).split()) in words
        if found.default is not MISSING:
            assert f"default {found.default!r}" in words


@each_home
def test_every_setting_with_an_option_is_on_the_command_line(home: type[Home]) -> None:
    """With the home's default, which comes back; the others say that they have none."""
    options = inspect.signature(app.train).parameters
    assert options.keys() >= {option.name for option in options_of(home)}
    defaults = {name: plain(option.default) for name, option in options.items()}
    passed = arguments(home, defaults)
    for option in options_of(home):
        if option.name not in OWN:
            assert passed[option.argument] == option.default, option.name


# Settings that every run has had. A later one says in `before` what older runs had in its place.
FIRST = {
    "accelerator", "batch_size", "beta", "checkpoint_seconds", "closed_form", "compile",
    "covariance", "devices", "early_stopping", "epochs", "grad_clip",
    "hidden", "initialization", "input_dim", "latent_dim", "learn_weights", "likelihood", "lr",
    "min_scale", "num_components", "num_samples", "num_workers", "optimizer", "output_dir",
    "posterior", "precision", "pretrain_beta", "pretrain_epochs", "prior", "progress", "schedule",
    "seed", "tensorboard", "warmup_epochs", "weight_decay",
}  # fmt: skip


@each_home
def test_later_settings_say_what_older_runs_had(home: type[Home]) -> None:
    for name, about in settings_of(home).items():
        assert (about.before is NEVER) == (name in FIRST), name


def test_an_option_is_described_once() -> None:
    for home in USERS:
        for option in options_of(home):
            assert OPTIONS[option.name].about is option.about, option.name


def test_options_that_take_the_place_of_a_homes() -> None:
    code = app.train.__code__
    assert set(code.co_varnames[: code.co_argcount]) & OPTIONS.keys() == OWN


WRONG: list[tuple[type[Home], dict[str, Any], str]] = [
    (TrainerSettings, {"lr": 0.0}, "lr is 0.0; expected a number > 0, as 1e-3"),
    (TrainerSettings, {"grad_clip": -1.0}, "grad_clip is -1.0; expected a norm > 0, or None"),
    (TrainerSettings, {"pretrain_beta": math.inf}, "pretrain_beta is inf; expected a number >= 0"),
    (TrainerSettings, {"capacity": -2.5}, "capacity is -2.5; expected nats >= 0, or None"),
    (GMVAEOptions, {"beta": math.nan}, "beta must be a finite number >= 0, got nan"),
    (GMVAEOptions, {"hidden": (3, 0)}, "hidden[1] must be at least 1, got 0"),
]


@pytest.mark.parametrize(("home", "changes", "message"), WRONG)
def test_one_refusal_from_python_and_on_the_command_line(
    home: type[Home],
    changes: dict[str, Any],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sizes = {} if home is TrainerSettings else {"input_dim": 5, "latent_dim": 2}
    with pytest.raises(ValueError, match=next(iter(changes))) as raised:
        USERS[home](**sizes, **changes)
    assert str(raised.value) == message
    ((name, value),) = changes.items()
    (option,) = [option for option in OPTIONS.values() if option.argument == name]
    text = Widths().written(value) if isinstance(value, tuple) else str(value)
    assert app.run(["train", option.flag, text, "--output", str(tmp_path / "run")]) == 2
    captured = capsys.readouterr()
    assert captured.err == f"pyvae: error: {message}\n"
    assert not (tmp_path / "run").exists()


def test_kinds() -> None:
    say = Wording()
    share = Number("a share", above=0, most=1)
    assert share.checked("s", torch.tensor(1.0), say) == 1.0
    for value in (0, 1.5, math.nan):
        with pytest.raises(ValueError, match=r"s is .*; expected a share"):
            share.checked("s", value, say)
    for value in (True, "1", None):
        with pytest.raises(TypeError, match=f"s is {value!r}; expected a share"):
            share.checked("s", value, say)
    with pytest.raises(TypeError, match="n is True; expected an integer"):
        Count(0).checked("n", True, say)
    assert Widths().parsed(Widths().written((3, 4))) == (3, 4)


def test_a_wrong_argument_names_the_class() -> None:
    with pytest.raises(TypeError, match="GMVAE: got an unexpected keyword argument 'components'"):
        GMVAE(5, 2, components=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="VAE: missing a required argument: 'latent_dim'"):
        VAE(5)  # type: ignore[call-arg]


def test_older_models_are_read_with_the_defaults() -> None:
    for home in (VAEOptions, GMVAEOptions):
        for found in fields(home):
            # Without `standardize` files say by their tensors that they are older.
            before = settings_of(home)[found.name].before
            assert before in (NEVER, found.default) or found.name == "standardize"


@dataclass(kw_only=True)
class TemperedOptions(GMVAEOptions):
    """A home with one option more."""

    temperature: float = setting(1.0, Number("a number > 0", above=0), "Of q(z | w, x).")


@documented(TemperedOptions)
class Tempered(GMVAE):
    """A GM-VAE with one option more: what adding one takes.

    Parameters
    ----------
    Those of :class:`pyvae.settings.TemperedOptions`.
    """

    @takes(TemperedOptions)
    def __init__(self, options: TemperedOptions) -> None:
        super().__init__(**options.of(GMVAEOptions))
        self.temperature = options.temperature

    @property
    def config(self) -> dict[str, Any]:
        return super().config | recorded(self, TemperedOptions)


def test_adding_an_option_to_a_model(tmp_path: Path) -> None:
    model = Tempered(6, 2, temperature=2, num_components=3)
    assert "temperature : float (a number > 0), default 1.0\n    Of q(z" in str(Tempered.__doc__)
    model.temperature = 3.0
    model.save_pretrained(tmp_path)
    assert Tempered.from_pretrained(tmp_path).config == model.config
    assert model.config["temperature"] == 3.0
    with pytest.raises(ValueError, match="temperature must be a number > 0, got 0"):
        Tempered(6, 2, temperature=0)


def test_a_model_of_ones_own_on_the_base() -> None:
    class Fixed(LatentVariableModel):
        """With keywords, as before there were homes."""

        def __init__(self, features: int, *, beta: float) -> None:
            super().__init__(
                features, 2, beta=beta, num_samples=1, likelihood="gaussian", min_scale=0.1,
                hidden=[4], encoder=None, decoder=None,
            )  # fmt: skip
            self.register_buffer("weight_logits", torch.zeros(1))
            self.register_buffer("component_means", torch.zeros(1, 2))
            self.register_buffer("component_logvars", torch.zeros(1, 1))

        def _prior_terms(self, x: Any, w: Any, mean: Any, logvar: Any) -> tuple[Any, Any]:
            return -mean.square().sum(-1), torch.zeros(len(x))

    model = Fixed(6, beta=2.0)
    assert model.fit_standardization(blobs(4)).elbo(blobs(4)).total.shape == (4,)
    assert model.config.keys() == settings_of(ModelOptions).keys()
    assert model.config["likelihood"] == "gaussian"
