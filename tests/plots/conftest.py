# SPDX-License-Identifier: MIT
"""What a figure says, and whether its texts collide."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import matplotlib.text
import numpy as np
import pytest

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    return buffer.getvalue()


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


def shown_texts(figure: Figure) -> list[matplotlib.text.Text]:
    """Every text that is drawn; matplotlib also keeps tick labels beyond the axes' ends."""
    hidden: set[matplotlib.text.Text] = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks() + axis.get_minor_ticks():
            off = not low <= tick.get_loc() <= high or not axis.axes.axison
            hidden |= {tick.label1, tick.label2} if off else set()
    everything = figure.findobj(matplotlib.text.Text)
    return [t for t in everything if t.get_visible() and t.get_text().strip() and t not in hidden]


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of visible texts whose boxes share more than a tenth of the smaller one.

    A text that leaves the picture is paired with its edge.
    """
    figure.draw_without_rendering()
    found = shown_texts(figure)
    boxes = np.array([text.get_window_extent().extents for text in found])
    edge = np.array(figure.bbox.extents)
    beyond = (boxes[:, :2] < edge[:2] - 1).any(1) | (boxes[:, 2:] > edge[2:] + 1).any(1)
    if beyond.any():
        return [(found[i].get_text(), "edge") for i in np.flatnonzero(beyond)]
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    sizes = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    hit = np.triu(shared > 0.1 * np.minimum(sizes[:, None], sizes[None]), 1)
    return [(found[i].get_text(), found[j].get_text()) for i, j in np.argwhere(hit)]
