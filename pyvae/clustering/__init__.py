# SPDX-License-Identifier: MIT
"""Clusters by the information that views and neighbours share, found without labels."""

from pyvae.clustering.classifier import Classifier as Classifier
from pyvae.clustering.graph_clustering import NeighborGraphClustering as NeighborGraphClustering
from pyvae.clustering.information import joint as joint
from pyvae.clustering.information import mutual_information as mutual_information
from pyvae.clustering.invariant_clustering import InvariantClustering as InvariantClustering
from pyvae.clustering.run import Restart as Restart
from pyvae.clustering.views import ImageWarps as ImageWarps
from pyvae.clustering.views import TableNoise as TableNoise

__all__ = [
    "Classifier",
    "ImageWarps",
    "InvariantClustering",
    "NeighborGraphClustering",
    "Restart",
    "TableNoise",
    "joint",
    "mutual_information",
]
