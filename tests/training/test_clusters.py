# SPDX-License-Identifier: MIT
"""Runs that begin at clusters of the data: when they do, what they leave, and how they go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn
from torch.utils.data import Subset, TensorDataset

from pyvae.clustering import InvariantClustering
from pyvae.clustering.run import run
from pyvae.data import Data, digits
from pyvae.models import GMVAE, VAE, from_pretrained
from pyvae.models.latent_variable_model import LatentVariableModel
from pyvae.training import Trainer, evaluate, load_weights
from pyvae.training.batches import Batches
from pyvae.training.checkpoint import read_checkpoint, write_checkpoint
from pyvae.training.clusters import NAMED
from pyvae.training.plan import plan

K, SIDE = 3, 6
SHORT: dict[str, Any] = {"n_steps": 20, "n_refining_steps": 5, "n_init": 1, "batch_size": 30}
QUIET: dict[str, Any] = {"epochs": 3, "batch_size": 32, "progress": "silent", "tensorboard": False}


def images(count: int = 120, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Squares in one of three corners, on noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % K
    x = 0.2 * torch.rand(count, SIDE, SIDE, generator=generator)
    for k, (i, j) in enumerate([(0, 0), (0, 3), (3, 0)]):
        x[labels == k, i : i + 3, j : j + 3] += 0.7
    return x, labels


@pytest.fixture(scope="module")
def found() -> InvariantClustering:
    return clustering().fit(images()[0])


def clustering(**more: Any) -> InvariantClustering:
    return InvariantClustering(K, random_state=0, **{**SHORT, **more})


def model(seed: int = 0, **more: Any) -> GMVAE:
    torch.manual_seed(seed)
    return GMVAE(SIDE * SIDE, 2, num_components=K, hidden=(16,), **more)


def planned(given: LatentVariableModel, data: Any, **settings: Any) -> tuple[Any, str, Any]:
    found, why = plan(Trainer(**settings), given, Batches(data))
    return found.initialization, why, found.lengths


def data(x: Tensor) -> Data:
    return Data(x.flatten(1).numpy(), image_shape=tuple(x.shape[1:]))


def test_the_default_follows_from_model_and_data() -> None:
    many, few = torch.rand(20_000, 4, 4), torch.rand(5_000, 4, 4)
    known = GMVAE(16, 2, num_components=2, classifier=nn.Sequential(nn.Flatten(), nn.Linear(16, 2)))
    own = nn.Linear(16, 4)
    usual, clustered, small = (100, 100, 10, 128), (40, 0, 0, 256), (100, 0, 0, 64)
    cases: list[tuple[LatentVariableModel, Any, str, str, tuple[int, ...]]] = [
        (GMVAE(16, 2), many, "invariant", "the data are 20,000 images", clustered),
        (GMVAE(16, 2), many[:, None], "invariant", "the data are 20,000 images", clustered),
        (GMVAE(16, 2), data(many), "invariant", "the data are 20,000 images", clustered),
        (GMVAE(16, 2), Subset(data(many), range(20_000)), "invariant", "the data are", clustered),
        (GMVAE(16, 2), many.flatten(1), "em", "the data are a table", usual),
        (GMVAE(16, 2), TensorDataset(many.flatten(1)), "em", "the data are a table", usual),
        (GMVAE(16, 2), few, "invariant", "the data are 5,000 images", small),
        (GMVAE(16, 2), few[1:], "graph", "the data are 4,999 images", small),
        (GMVAE(16, 2), few[:500], "graph", "the data are 500 images", small),
        (GMVAE(16, 2), few[:499], "em", "there are 499 images, fewer than 500", usual),
        (GMVAE(16, 2, encoder=own), many, "em", "the encoder is one of your own", usual),
        (GMVAE(16, 2, posterior="amortized"), many, "em", "the posterior of z is", usual),
        (known, many, "none", "the model has its clusters", clustered),
        (VAE(16, 2), many, "em", "", usual),
    ]
    for given, x, start, why, lengths in cases:
        found = planned(given, x)
        assert (found[0], found[2]) == (start, lengths)
        assert found[1].startswith(why)
        assert bool(found[1]) == bool(why)


def test_what_is_asked_for_is_done() -> None:
    many, own = torch.rand(20_000, 4, 4), KMeans(3)
    assert planned(GMVAE(16, 2), many, initialization="em") == ("em", "", (100, 100, 10, 128))
    start, why, lengths = planned(GMVAE(16, 2), many, pretrain_epochs=5, epochs=7, batch_size=9)
    assert (start, why, lengths) == ("em", "pretraining was asked for", (7, 5, 10, 9))
    found = planned(GMVAE(16, 2), many, initialization="invariant", warmup_epochs=4)
    assert found == ("invariant", "", (40, 0, 4, 256))
    assert planned(VAE(16, 2), many, objective="iwae")[2].warmup_epochs == 0
    with pytest.raises(ValueError, match="pretrain_epochs=3: pretraining would draw the codes"):
        planned(GMVAE(16, 2), many, initialization="invariant", pretrain_epochs=3)
    for start in ("auto", "em", "kmeans", "graph"):  # told before anything is pretrained
        with pytest.raises(ValueError, match="num_components=7: more than the 6 examples to train"):
            planned(GMVAE(16, 2, num_components=7), many[:6], initialization=start)
    assert planned(GMVAE(16, 2, num_components=7), many[:6], initialization="none")[0] == "none"
    for wrong in (own, GaussianMixture, 3, "magic"):
        with pytest.raises((TypeError, ValueError), match="or an estimator with predict_proba"):
            Trainer(initialization=wrong)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("fitted", [True, False])
def test_it_begins_at_an_estimators_clusters_and_keeps_them(
    fitted: bool, likelihood: str, found: InvariantClustering
) -> None:
    x, labels = images()
    found = found if fitted else clustering()
    own = model(likelihood=likelihood)
    history = Trainer(initialization=found, **QUIET).fit(own, x)
    assert history.column("phase") == ["joint"] * 3
    assert history.column("bound")[-1] > history.column("bound")[0]
    expected = torch.as_tensor(found.labels_)
    assert torch.equal(own.predict(x), expected)
    counts = torch.zeros(K, K).index_put((labels, expected), torch.ones(len(x)), accumulate=True)
    assert counts.amax(0).sum() == len(x)
    figures = evaluate(own, x, labels, compare=False, num_samples=2)
    assert figures["information"] == pytest.approx(found.information_, abs=1e-6)
    assert figures["clustering"]["clustering_accuracy"] == 1.0
    assert "information" not in evaluate(model(), x, num_samples=2)


def test_by_name_it_is_the_librarys_clustering(monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    """With the run's seed, and as many clusters as components."""
    asked: list[Any] = []

    def short(clusters: int, **options: Any) -> InvariantClustering:
        asked.append((clusters, options))
        return InvariantClustering(clusters, **{**options, **SHORT})

    monkeypatch.setitem(NAMED, "invariant", short)
    monkeypatch.setattr("pyvae.training.plan.MANY", 100)
    monkeypatch.setattr("pyvae.training.plan.FEW", 100)
    x, _ = images()
    own = model()
    Trainer(seed=5, **{**QUIET, "progress": "plain"}).fit(own, x)
    ((clusters, options),) = asked
    assert (clusters, options["random_state"]) == (K, 5)
    assert own.classifier is not None
    assert "start  invariant: the data are 120 images" in capfd.readouterr().out
    with pytest.raises(ValueError, match="the model has an encoder of its own"):
        Trainer(initialization="invariant", **QUIET).fit(model(encoder=nn.Linear(36, 4)), x)


def test_a_search_in_a_part_of_the_data_is_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pyvae.training.clusters._MOST_NUMBERS", 40 * SIDE * SIDE)
    x, _ = images()
    given = clustering()
    Trainer(initialization=given, **{**QUIET, "progress": "plain"}).fit(model(), x)
    assert len(given.labels_) == 40
    assert "clusters are looked for in 40 of the 120 examples" in capfd.readouterr().out


def test_an_estimator_of_another_library_sees_rows() -> None:
    x, _ = images()
    estimator = GaussianMixture(K, covariance_type="spherical", random_state=0)
    own = model()
    Trainer(initialization=estimator, **QUIET).fit(own, x[:, None])
    expected = estimator.predict(x.flatten(1).numpy())
    assert np.array_equal(own.predict(x).numpy(), expected)


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed", "bf16-true"])
def test_in_other_precisions(precision: Any, found: InvariantClustering) -> None:
    x, _ = images()
    own = model()
    Trainer(initialization=found, precision=precision, **QUIET).fit(own, x)
    assert torch.equal(own.predict(x), torch.as_tensor(found.labels_))


@pytest.mark.parametrize("estimator", [None, GaussianMixture(K, covariance_type="spherical")])
def test_a_run_that_goes_on_is_the_one_that_was_never_interrupted(
    tmp_path: Path, estimator: Any, found: Any
) -> None:
    """Its clusters are in the checkpoint: they are not looked for again."""
    x, _ = images()
    found = found if estimator is None else estimator
    settings = {**QUIET, "schedule": "constant", "checkpoint_seconds": 0.0, "output_dir": tmp_path}
    whole = model()
    Trainer(**{**settings, "output_dir": tmp_path / "whole"}, initialization=found).fit(whole, x)
    Trainer(**{**settings, "epochs": 1}, initialization=found).fit(model(), x)
    later, again = (found if estimator is not None else clustering(n_steps=0)), model(seed=9)
    Trainer(**settings, initialization=later).fit(again, x, resume=True)
    for (name, a), b in zip(whole.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    if estimator is None:
        loaded = load_weights(model(seed=4), tmp_path / "last.ckpt")
        assert torch.equal(loaded.predict(x), whole.predict(x))
        whole.save_pretrained(tmp_path / "model")
        assert torch.equal(from_pretrained(tmp_path / "model").encode(x)[0], whole.encode(x)[0])


def test_a_resume_that_fails_leaves_the_model_alone(
    tmp_path: Path, found: InvariantClustering
) -> None:
    x, _ = images()
    settings = {**QUIET, "epochs": 1, "output_dir": tmp_path}
    Trainer(**settings, initialization=found).fit(model(), x)
    other = model(seed=3)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(ValueError, match=r"lr was 0\.001, is 0\.5"):
        Trainer(**settings, lr=0.5, initialization=found).fit(other, x, resume=True)
    after = other.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    with pytest.raises(ValueError, match="initialization was 'clusters', is 'em'"):
        Trainer(**settings, initialization="em", pretrain_epochs=0, warmup_epochs=0).fit(
            model(), x, resume=True
        )


def test_a_search_that_was_interrupted_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the run that had come to its end; what was kept goes once a checkpoint has it."""
    x, _ = images()
    settings = {**QUIET, "epochs": 1, "output_dir": tmp_path}
    whole = clustering(n_init=2).fit(x)
    runs: list[int] = []

    def interrupted(*args: Any) -> Any:
        runs.append(1)
        if len(runs) == 2:
            raise KeyboardInterrupt
        return run(*args)

    monkeypatch.setattr("pyvae.clustering.invariant_clustering.run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Trainer(**settings, initialization=clustering(n_init=2)).fit(model(), x)
    assert (tmp_path / "clusters" / "run-1.safetensors").exists()
    assert not (tmp_path / "last.ckpt").exists()
    own = model()
    Trainer(**settings, initialization=clustering(n_init=2)).fit(own, x, resume="auto")
    assert own.predict(x).tolist() == torch.as_tensor(whole.labels_).tolist()
    assert not (tmp_path / "clusters").exists()
    kept = InvariantClustering.load(tmp_path / "clusters.safetensors")
    assert kept.information_ == whole.information_
    assert kept.restarts_ == whole.restarts_


def test_estimators_are_compared_with_the_model_before_it_changes() -> None:
    x, _ = images()
    own = model()
    before = {name: value.clone() for name, value in own.state_dict().items()}
    with pytest.raises(ValueError, match="gives 2 clusters, and the model has num_components=3"):
        Trainer(initialization=GaussianMixture(2, reg_covar=1e-2), **QUIET).fit(own, x)
    assert own.state_dict().keys() == before.keys()
    assert all(torch.equal(own.state_dict()[name], value) for name, value in before.items())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_overclusters": 2**18}, "asks for 34758557 numbers, and the file holds"),
        ({"network": {"name": "convolutional", "width": 512, "hidden": 512}}, "asks for"),
        ({"shape": [1, SIDE, SIDE + 1]}, "asks for|of 42 numbers, and the model has input_dim=36"),
    ],
)
def test_a_crafted_classifier_takes_no_memory(
    tmp_path: Path, found: InvariantClustering, change: dict[str, Any], words: str
) -> None:
    x, _ = images()
    settings = {**QUIET, "epochs": 1, "output_dir": tmp_path}
    Trainer(**settings, initialization=found).fit(model(), x)
    state = read_checkpoint(tmp_path / "last.ckpt")
    state["run"]["model"]["classifier"] |= change
    write_checkpoint(tmp_path / "last.ckpt", state)
    with pytest.raises(
        ValueError, match=f"last.ckpt: run.model.classifier does not fit: .*{words}"
    ):
        load_weights(model(), tmp_path / "last.ckpt")


def test_a_checkpoint_without_tensors(tmp_path: Path, found: InvariantClustering) -> None:
    write_checkpoint(tmp_path / "x.ckpt", {"run": {"model": {}}, "model": 5})
    with pytest.raises(ValueError, match="model is 5; expected names with values"):
        load_weights(model(), tmp_path / "x.ckpt")


def test_runs_on_few_images_are_what_they_were() -> None:
    own = GMVAE(64, 2, num_components=3, hidden=(8,))
    rows = Trainer(epochs=1, pretrain_epochs=1, progress="silent").fit(own, digits().x[:60])
    assert rows.column("phase") == ["pretrain", "joint"]
