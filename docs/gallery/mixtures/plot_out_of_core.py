# SPDX-License-Identifier: MIT
"""
A file larger than memory
=========================

``fit`` takes an array that is mapped from a file and reads it in chunks; what an iteration needs
are sums over the points, which are as large as the mixture. Equal rows give equal bits, mapped or
in memory. The file here is small, so that this page builds in seconds; the results have one of
12.8 GB.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np

from pyvae.mixture import GaussianMixture

random = np.random.default_rng(0)
centres = random.uniform(-10, 10, size=(6, 2))
folder = TemporaryDirectory()
path = Path(folder.name, "points.npy")
mapped = np.lib.format.open_memmap(path, "w+", np.float32, (200_000, 2))
for start in range(0, len(mapped), 50_000):  # written in parts, too
    chosen = centres[random.integers(6, size=50_000)]
    mapped[start : start + 50_000] = random.normal(chosen, 0.8)
mapped.flush()

# %%
# One fit of the mapped file, one of the same points in memory.

X = np.load(path, mmap_mode="r")
options = {"covariance_type": "diag", "random_state": 0, "max_iter": 30}
of_file = GaussianMixture(6, **options).fit(X)
in_memory = GaussianMixture(6, **options).fit(np.array(X))
print("equal bits:", np.array_equal(of_file.means_, in_memory.means_))

# %%
# Where points come in batches and each is seen once, ``partial_fit`` is stepwise EM: every batch
# moves the sums by a step that shrinks.

online = GaussianMixture(6, covariance_type="diag", random_state=0)
scores = []
for batch in np.array_split(random.permutation(len(X)), 100):
    online.partial_fit(X[np.sort(batch)])
    scores.append(online.score(X[:5000]))

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
left.hexbin(X[:, 0], X[:, 1], gridsize=90, bins="log", cmap="Greys")
left.plot(*of_file.means_.T, "o", color="C3", label="fit of the file")
left.plot(*online.means_.T, "x", color="C0", markersize=10, label="partial_fit, one pass")
left.legend()
right.plot(2 * np.arange(1, 101), scores, color="C0", label="partial_fit")
right.axhline(of_file.score(X[:5000]), color="C3", label="fit of the file")
right.set_xlabel("thousand points seen")
right.set_ylabel("nats a point")
right.legend()
plt.show()
folder.cleanup()
