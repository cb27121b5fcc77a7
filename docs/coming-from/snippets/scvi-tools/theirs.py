# SPDX-License-Identifier: MIT
import numpy as np
import scvi
from anndata import AnnData

counts = np.random.default_rng(0).poisson(2.0, size=(200, 50)).astype("f")
cells = AnnData(counts)
scvi.model.SCVI.setup_anndata(cells)
model = scvi.model.SCVI(cells, n_latent=4, n_hidden=32)
model.train(max_epochs=2, accelerator="cpu")
codes = model.get_latent_representation()
