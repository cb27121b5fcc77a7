# SPDX-License-Identifier: MIT
"""How Sphinx builds the site; `make docs` calls it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from sphinx_gallery.sorting import ExplicitOrder

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))

import public_names  # noqa: E402  # in the folder that was just named

# The examples are small, and two runs of one should give equal figures.
os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)

project = "pyvae"
author = "pyvae contributors"
project_copyright = author
release = public_names.version()

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # MathJax's files, copied beside the pages
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "github_markdown",
    "docstrings",
]
exclude_patterns = [
    "gallery",
    "benchmarks",
    "benchmarks-gpu",
    "experiments",
    "extensions",
    "**sg_execution_times.rst",  # its page loads tables from a network
]
templates_path = ["_templates"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(torch|sklearn|numpy|matplotlib|scipy|lightning|pyro|skorch)\..*")
]

myst_enable_extensions = ["colon_fence"]
myst_fence_as_directive = ["math"]  # ```math, as GitHub writes displayed formulas
myst_heading_anchors = 4

autosummary_generate = True
autosummary_context = {"public": public_names.by_kind()}
autodoc_typehints = "none"  # shapes are told by the docstrings, in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # the class's page has its methods in full
numpydoc_class_members_toctree = False
toc_object_entries_show_parents = "hide"

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "generated/gallery",
    "backreferences_dir": None,
    "image_scrapers": ("figures.figures", "matplotlib"),
    "reset_modules": ("matplotlib", "figures.same_start"),
    "subsection_order": ExplicitOrder(["gallery/mixtures", "gallery/inference", "gallery/models"]),
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 0,
    "abort_on_example_error": True,
    "capture_repr": (),
}

html_theme = "pydata_sphinx_theme"
html_title = "pyvae"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_sidebars = {"index": [], "start": []}  # nothing stands below them
html_theme_options = {
    "logo": {"text": "pyvae"},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "navigation_with_keys": False,
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
