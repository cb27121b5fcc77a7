# SPDX-License-Identifier: MIT
import numpy as np

from pyvae.mixture import GaussianMixture

X = np.random.default_rng(0).normal(size=(500, 3))
start = {"weights_init": [0.5, 0.5], "means_init": X[:2], "precisions_init": np.ones((2, 3))}
mixture = GaussianMixture(2, covariance_type="diag", **start)
labels = mixture.fit_predict(X)
probabilities = mixture.predict_proba(X)
log_density = mixture.score_samples(X)
criterion = mixture.bic(X)
result = mixture.means_
