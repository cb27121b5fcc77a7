# SPDX-License-Identifier: MIT
"""
Clusters by what views share
============================

A network learns clusters that can be told from either of two views of an image: two small random
warps of it. What the warps change cannot tell clusters apart. Labels are read at the end alone.
"""

import matplotlib.pyplot as plt
import torch
from torch import nn

from pyvae import plots
from pyvae.clustering import ImageWarps, InvariantClustering
from pyvae.data import digits

data = digits()
images = data.x.reshape(-1, 8, 8)
views = ImageWarps(rotation=10)

# %%
# Five images, and three views of each.

generator = torch.Generator().manual_seed(0)
shown = [images[:5, None], *(views(images[:5, None], generator) for _ in range(3))]
figure, ax = plt.subplots(figsize=(4, 3.2), layout="constrained")
ax.imshow(torch.cat([torch.cat(list(row[:, 0]), 1) for row in shown]), cmap="Greys")
ax.set_axis_off()
plt.show()

# %%
# One short run of a small network. The default is a convolutional one, more steps, and the best of
# several runs by their information.


def network(classes):
    """From images to logits."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, classes))


found = InvariantClustering(
    10,
    views=views,
    network=network,
    n_steps=600,
    n_refining_steps=150,
    n_init=1,
    random_state=0,
).fit(images)
print(f"I(K; K') = {found.information_:.3f} nats, of at most log 10 = 2.303")
table = plots.confusion(found.labels_, data.labels.numpy())
