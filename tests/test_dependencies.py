# SPDX-License-Identifier: MIT
"""The checks of tests/dependencies.py find what is planted."""

from __future__ import annotations

import pytest

from tests import dependencies

ANYWHERE = """
import a.b, c as d
if TYPE_CHECKING:
    from e import f
def g():
    from . import h
    from ..i import j
"""
CIRCLES = {
    "plain": ({"p/a.py": "import p.b", "p/b.py": "from p.a import x"}, "p.a -> p.b -> p.a"),
    "relative": ({"p/a.py": "from . import b", "p/b.py": "from .a import x"}, "p.a -> p.b -> p.a"),
    "for annotations": (
        {"p/a.py": "import p.b", "p/b.py": "if TYPE_CHECKING:\n    from p.a import X"},
        "p.a -> p.b -> p.a",
    ),
    "in a function": (
        {"p/a.py": "from p import b", "p/b.py": "def f():\n    from p import a"},
        "p.a -> p.b -> p.a",
    ),
    "of three": (
        {"p/a.py": "import p.b", "p/b.py": "import p.c, p.d", "p/c.py": "import p.a", "p/d.py": ""},
        "p.a -> p.b -> p.c -> p.a",
    ),
    "through a re-export": (
        {"p/q/__init__.py": "from p.q.x import X", "p/q/x.py": "import p.a",
         "p/a.py": "from p.q import X"},
        "p.a -> p.q -> p.q.x -> p.a",
    ),
    "through a door that is passed": (
        {"p/q/__init__.py": "from p.q.x import X", "p/q/x.py": "import p.a", "p/q/y.py": "",
         "p/a.py": "from p.q.y import Y"},
        "p.a -> p.q -> p.q.x -> p.a",
    ),
}  # fmt: skip


def test_imports_are_found_wherever_they_stand() -> None:
    found = set(dependencies.imported("p/q/r.py", ANYWHERE))
    assert found == {"a.b", "c", "e.f", "p.q.h", "p.i.j"}


@pytest.mark.parametrize("name", CIRCLES)
def test_a_circle_of_modules_is_named(name: str) -> None:
    sources, circle = CIRCLES[name]
    assert dependencies.circles(dependencies.module_graph(sources)) == [circle]


def test_each_circle_is_named_once() -> None:
    graph = {"a": {"b", "c"}, "b": {"a"}, "c": {"d", "a"}, "d": {"d"}, "e": {"a"}}
    assert dependencies.circles(graph) == ["a -> b -> a", "d -> d"]


def test_what_is_no_circle() -> None:
    """Two ways to one module, what an ``__init__`` gathers, and the names of other libraries."""
    sources = {
        "p/__init__.py": "from p.q import X",
        "p/a.py": "import torch, p.b\nfrom p.q import X",
        "p/b.py": "from p import q",
        "p/q/__init__.py": "from p.q.x import X",
        "p/q/x.py": "import p.q.y",
        "p/q/y.py": "",
    }
    graph = dependencies.module_graph(sources)
    assert graph["p.a"] == {"p.b", "p.q"}
    assert dependencies.circles(graph) == []


def test_a_circle_of_headers_is_named() -> None:
    sources = {
        "c/m/a.h": '#include <vector>\n#include "m/b.h"',
        "c/m/b.h": '#  include "c.h"',
        "c/m/c.h": '#include "m/a.h"',
        "c/d.cpp": '#include "m/a.h"',
    }
    graph = dependencies.header_graph(sources, "c")
    assert graph["c/d.cpp"] == {"c/m/a.h"}
    assert dependencies.circles(graph) == ["c/m/a.h -> c/m/b.h -> c/m/c.h -> c/m/a.h"]


def test_a_folders_own_door_is_refused() -> None:
    sources = {
        "p/__init__.py": "",
        "p/q/__init__.py": "from p.q.x import X",
        "p/q/x.py": "",
        "p/q/y.py": "from p.q import X",
        "p/q/z.py": "from p import version\nfrom p.q import x",
    }
    found = dependencies.by_their_own_door(dependencies.module_graph(sources))
    assert found == ["p.q.y imports through p.q, which holds it: name the sibling instead"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("from p.b import _f", "_f"),
        ("from p import b\nb._f()", "_f"),
        ("from p import b\ndef _f(): ...\nb._f()", "_f"),
        ("def f(x):\n    return x._g", "_g"),
        ("class C:\n    def f(self):\n        return self.x._g", "_g"),
        ("from p.q._inner import f", "_inner"),
        ("from p.q import _inner", "_inner"),
        ("import torch\ntorch._C.f", "_C"),
        ("from torch._C import f", "_C"),
    ],
)
def test_a_private_name_of_another_is_found(text: str, name: str) -> None:
    ((_, found),) = dependencies.private_reads("p/a.py", text)
    assert found == name


@pytest.mark.parametrize(
    "text",
    [
        "class C:\n    def f(self):\n        return self._g + super()._g",
        "class C:\n    def __init__(self):\n        self._h = 1\n    def f(self, o):\n        o._h",
        "from p import _inner\nfrom p._inner import f\nfrom ._inner import g",
        "def f(elbo):\n    return elbo._fields, elbo.__dict__",
    ],
)
def test_a_private_name_of_its_own_is_let_pass(text: str) -> None:
    assert dependencies.private_reads("p/a.py", text) == []


def test_a_long_file_is_found() -> None:
    assert dependencies.longer_than(2, {"a.py": "1\n2\n", "b.h": "1\n2\n3\n"}) == ["b.h"]
