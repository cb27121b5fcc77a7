# SPDX-License-Identifier: MIT
"""Our models as estimators of skorch's, in scikit-learn's searches and pipelines."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from pyvae.models import GMVAE, VAE
from tests.models.builders import table

pytest.importorskip("skorch")

from pyvae.integrations.skorch import BoundNet

pytestmark = pytest.mark.filterwarnings("default")  # they are skorch's own
SIZES: dict[str, Any] = {
    "module__input_dim": 5,
    "module__latent_dim": 2,
    "module__hidden": (8,),
    "max_epochs": 2,
    "verbose": 0,
}


def net(module: Any = GMVAE, **options: Any) -> BoundNet:
    mixture = {"module__num_components": 3} if module is GMVAE else {}
    return BoundNet(module, **{"module__likelihood": "gaussian", **SIZES, **mixture, **options})


def x() -> np.ndarray:
    return table().numpy()


def test_a_fit_and_its_answers() -> None:
    found = net().fit(x())
    probabilities = found.predict_proba(x())
    assert probabilities.shape == (60, 3)
    np.testing.assert_allclose(probabilities.sum(1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(found.predict(x()), probabilities.argmax(1))
    assert found.transform(x()).shape == (60, 2)
    assert found.score(x()) == found.score(x())
    assert {"train_loss", "valid_loss"} <= found.history[-1].keys()


def test_units_and_the_mixture_come_from_the_part_that_is_trained_on() -> None:
    data = x()
    found = net(optimizer__lr=0.0).fit(data)
    units = found.module_.standardization
    assert units.is_fitted
    assert not np.allclose(units.location.numpy(), data.mean(0))  # a fifth is held out
    whole = net(train_split=None, optimizer__lr=0.0).fit(data).module_.standardization
    np.testing.assert_allclose(whole.location.numpy(), data.mean(0))


def test_going_on_keeps_the_start() -> None:
    found = net(optimizer__lr=0.0).fit(x())
    means = found.module_.component_means.detach().clone()
    found.partial_fit(x()[:30])
    assert np.array_equal(found.module_.component_means.detach(), means)


def test_a_search_in_a_pipeline() -> None:
    whole = make_pipeline(MinMaxScaler(clip=True), net(module__likelihood="bernoulli"))
    grid = {"boundnet__module__latent_dim": [1, 2]}
    search = GridSearchCV(whole, grid, cv=2, error_score="raise").fit(x().astype("f"))
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    assert search.predict(x().astype("f")).shape == (60,)


def test_clones_and_pickles() -> None:
    found = net(mixture_start=None, random_state=3).fit(x())
    assert clone(found).get_params()["random_state"] == 3
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.predict(x()), found.predict(x()))


def test_a_vae_has_no_components() -> None:
    found = net(VAE).fit(x())
    assert found.transform(x()).shape == (60, 2)
    for method in (found.predict, found.predict_proba):
        with pytest.raises(ValueError, match="VAE has no components"):
            method(x())
