# SPDX-License-Identifier: MIT
"""
A Gaussian-mixture VAE on digits
================================

The prior of the latent vectors is a mixture, trained with the networks. Its components are
clusters of the data, and each can be drawn from. No label is used; 1,797 digits of 8x8 pixels.
"""

# sphinx_gallery_thumbnail_number = 3
from pyvae import plots
from pyvae.data import digits
from pyvae.models import GMVAE
from pyvae.training import Trainer

data = digits()
model = GMVAE(64, 10, num_components=10)
history = Trainer(epochs=20, pretrain_epochs=20, seed=0, progress="silent").fit(model, data)
components = model.predict(data.x)

# %%
# Eight samples of every component, decoded.

samples = [model.sample(8, component=k).detach().numpy() for k in range(10)]
drawn = plots.component_samples(samples, data.image_shape)

# %%
# The components beside the labels, which are read here for the first time.

table = plots.confusion(components.numpy(), data.labels.numpy())

# %%
# The encoded digits, by their two principal components.

mean, _ = model.encode(data.x)
plane = plots.latent_space(
    mean.detach().numpy(),
    components.numpy(),
    data.labels.numpy(),
    means=model.component_means.detach().numpy(),
    logvars=model.component_logvars.detach().numpy(),
)
