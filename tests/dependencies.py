# SPDX-License-Identifier: MIT
"""What modules import and headers include, and which of it goes in a circle or by a back door.

All functions take texts by their paths within the repository, so that a test can plant its own.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath

Sources = Mapping[str, str]
Graph = dict[str, set[str]]

# A named tuple's methods begin with an underscore so that its fields can have every other name.
_OF_NAMED_TUPLES = {"_asdict", "_field_defaults", "_fields", "_make", "_replace"}


def module_name(path: str) -> str:
    """Dotted name of a Python file; a package is its ``__init__``."""
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: str, text: str) -> Iterator[tuple[int, str, str]]:
    """Line, module and name ("" where it is the module) of every import, wherever it stands."""
    package = PurePosixPath(path).parent.parts
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, module, alias.name) for alias in node.names)


def imported(path: str, text: str) -> Iterator[str]:
    """Dotted names of everything that a file imports."""
    for _, module, name in imports(path, text):
        yield f"{module}.{name}" if name else module


def module_graph(sources: Sources) -> Graph:
    """What each module imports of the others, under ``TYPE_CHECKING`` and in functions too.

    Who comes from outside a package passes its ``__init__``, and depends on that as well.
    """
    modules = {module_name(path) for path in sources}
    graph: Graph = {}
    for path, text in sources.items():
        own = module_name(path)
        graph[own] = set()
        for _, module, name in imports(path, text):
            whole = f"{module}.{name}"
            target = whole if whole in modules else module
            doors = {door for door in _packages(target) if not _holds(door, own)}
            graph[own] |= {target, *doors} & modules
    return graph


def header_graph(sources: Sources, root: str) -> Graph:
    """What each C++ file includes of the others, from the folder ``root`` or from its own."""
    graph: Graph = {}
    for path, text in sources.items():
        folders = (root, posixpath.dirname(path))
        included = {posixpath.join(folder, name) for name in includes(text) for folder in folders}
        graph[path] = {posixpath.normpath(name) for name in included} & set(sources)
    return graph


def includes(text: str) -> list[str]:
    """Names of all that a C++ file includes."""
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text, re.MULTILINE)


def circles(graph: Graph) -> list[str]:
    """Of each strongly connected component a shortest way round, as ``a -> b -> a``."""
    ways = {start: _ways(graph, start) for start in sorted(graph)}
    found, met = [], set()
    for start, to in ways.items():
        if start in to and start not in met:
            met |= {name for name in to if start in ways.get(name, {})}
            found.append(" -> ".join(to[start]))
    return found


def by_their_own_door(graph: Graph) -> list[str]:
    """Modules that import from a folder they are in, and not from the sibling that has it."""
    return [
        f"{module} imports through {package}, which holds it: name the sibling instead"
        for module, names in sorted(graph.items())
        for package in sorted(names)
        if "." in package and module != package and _holds(package, module)
    ]


def private_reads(path: str, text: str) -> list[tuple[int, str]]:
    """Lines and names of what a module reads of others, or of other libraries, that is private.

    An attribute is its own where it defines one of that name, and a private module is open to the
    folder that it is in.
    """
    tree = ast.parse(text)
    return sorted([*_private_imports(path, text), *_private_attributes(tree, set(_defined(tree)))])


def longer_than(most: int, sources: Sources) -> list[str]:
    """Paths of files of more lines."""
    return [path for path, text in sources.items() if len(text.splitlines()) > most]


def _private_imports(path: str, text: str) -> Iterator[tuple[int, str]]:
    folder = PurePosixPath(path).parent.parts
    for line, module, name in imports(path, text):
        parts = (*module.split("."), *([name] if name else []))
        private = [at for at, part in enumerate(parts) if _is_private(part)]
        if private and parts[: private[0]] != folder[: private[0]]:
            yield line, parts[private[0]]


def _private_attributes(tree: ast.AST, own: Collection[str]) -> Iterator[tuple[int, str]]:
    others = set(_names_of_imports(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not _is_private(node.attr):
            continue
        of = node.value.func if isinstance(node.value, ast.Call) else node.value
        name = of.id if isinstance(of, ast.Name) else ""
        mine = node.attr in own and name not in others
        if not mine and name not in ("self", "cls", "super") and node.attr not in _OF_NAMED_TUPLES:
            yield node.lineno, node.attr


def _defined(tree: ast.AST) -> Iterator[str]:
    """Names of functions, classes and variables, and attributes that are set on ``self``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield from [node.attr] if ast.unparse(node.value) in ("self", "cls") else []


def _names_of_imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _packages(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _holds(package: str, module: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


def _ways(graph: Graph, start: str) -> dict[str, list[str]]:
    """The shortest way to all that ``start`` depends on: to itself too, where it is in a circle."""
    ways: dict[str, list[str]] = {}
    ahead = deque([[start]])
    while ahead:
        way = ahead.popleft()
        for name in sorted(graph.get(way[-1], ())):
            if name not in ways:
                ways[name] = [*way, name]
                ahead.append(ways[name])
    return ways
