# SPDX-License-Identifier: MIT
"""Check the built pages: `python docs/check_site.py build/docs`.

Every link within the site leads to a page and to a place on it, nothing is loaded from elsewhere,
every public name has its page, and the search knows it.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

from public_names import by_kind  # in the folder that was just named

_LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """What a page links to, loads, and has places for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag's links and places."""
        values = {name: value for name, value in attrs if value is not None}
        self.places.update(values[name] for name in ("id", "name") if name in values)
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag in _LOADED and _LOADED[tag] in values:
            self.loads.append(values[_LOADED[tag]])


def mistakes(site: Path) -> list[str]:
    """Return a line for everything that is wrong with a site."""
    paths = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    pages = {path.resolve(): Page(path.read_text("utf-8")) for path in paths}
    found = [f"{site}: no pages"] if not pages else []
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        found += [f"{name}: loads {url}" for url in page.loads if _is_elsewhere(url)]
        for url in [*page.links, *page.loads]:
            parts = urlsplit(url)
            if _is_elsewhere(url) or parts.scheme in ("mailto", "data", "javascript"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                found.append(f"{name}: {url} is not there")
            elif target in pages and unquote(parts.fragment) not in pages[target].places:
                found.append(f"{name}: {url} is no place on that page")
    index = (site / "searchindex.js").read_text("utf-8")
    for module, kinds in by_kind().items():
        for public in (f"{module}.{n}" for names in kinds.values() for n in names):
            if not (site / "generated" / "api" / f"{public}.html").is_file():
                found.append(f"{public} has no page")
            if f"generated/api/{public}" not in index:
                found.append(f"{public} is not in the search index")
    return found


def _is_elsewhere(url: str) -> bool:
    return url.startswith(("http:", "https:", "//"))


if __name__ == "__main__":
    wrong = mistakes(Path(sys.argv[1]))
    print("\n".join(wrong))
    sys.exit(bool(wrong))
