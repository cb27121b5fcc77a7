# SPDX-License-Identifier: MIT
"""The folder of a run: what is in it, and what may be written where."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyvae.cli.errors import UserError
from pyvae.cli.files import every_form
from pyvae.cli.run_form import run_form
from pyvae.storage.form import Fields, Integer, Place, Plain
from pyvae.storage.lock import locked
from pyvae.storage.reading import read_json
from pyvae.storage.writing import write_atomically

_FORMAT = "pyvae.run"
_CHECKPOINTS = ("last.ckpt", "best.ckpt")
_FILES = (
    "run.json", *_CHECKPOINTS, "history.csv", "history.json", "metrics.json",
    "clusters.safetensors",
    *every_form("history", "latent_space", "reconstructions", "component_samples", "samples",
                "confusion", "merges"),
)  # fmt: skip
MOST_JSON = 1 << 24  # bytes of a file of the folder: thousands, and names of columns
_BASELINE_EXAMPLES = "baseline_examples"  # as pyvae.training.evaluate calls it
_SEARCH = "clusters"
_FOLDERS = ("model", "tensorboard", _SEARCH)


class RunFolder:
    """A folder with ``run.json`` (the options), checkpoints, ``model/``, metrics and pictures."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self.settings = self.path / "run.json"
        self.model = self.path / "model"
        self.metrics = self.path / "metrics.json"

    def __str__(self) -> str:
        return str(self.path)

    @property
    def holds_run(self) -> bool:
        """Whether somebody trained here."""
        return any((self.path / name).exists() for name in ("run.json", *_CHECKPOINTS))

    @property
    def holds_checkpoint(self) -> bool:
        """Whether there is something to go on from."""
        return (self.path / _CHECKPOINTS[0]).exists()

    @property
    def holds_search(self) -> bool:
        """Whether a search for clusters has come somewhere."""
        return any((self.path / _SEARCH).glob("*.safetensors"))

    def check_free(self, *, overwrite: bool) -> None:
        """Say why a new run cannot have the folder, if so; nothing is touched."""
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"--output: {self} is a file; name a folder")
        if self.holds_run and not overwrite:
            raise UserError(
                f"{self} holds a run already; --resume goes on with it, --overwrite replaces it, "
                "--output DIR writes elsewhere"
            )
        others = self.path.is_dir() and any(p.name[0] != "." for p in self.path.iterdir())
        if others and not self.holds_run:
            raise UserError(f"--output: {self} holds other files; name a new or an empty folder")

    @contextmanager
    def begun(self, *, overwrite: bool) -> Iterator[None]:
        """Make the folder, without what another run left in it, and hold it against others."""
        self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path):
            self.check_free(overwrite=overwrite)  # once more: another may have been quicker
            self.clear()
            yield

    def clear(self) -> None:
        """Delete what a run leaves, and nothing else."""
        for name in _FILES:
            (self.path / name).unlink(missing_ok=True)
        self.drop_links()
        for name in _FOLDERS:
            shutil.rmtree(self.path / name, ignore_errors=True)

    def drop_links(self) -> None:
        """Delete links in the place of the run's own folders: what they point to is not its own."""
        for name in _FOLDERS:
            if (self.path / name).is_symlink():
                (self.path / name).unlink()

    def read_settings(self) -> dict[str, Any]:
        """Return the content of ``run.json``."""
        saved = read_json(self.settings, MOST_JSON)
        if not isinstance(saved, dict) or saved.get("format") != _FORMAT:
            raise UserError(f"{self.settings}: describes no run of pyvae")
        return run_form().taken(saved, Place(self.settings))

    def baseline_examples(self) -> int | None:
        """Return how many examples the baselines of ``metrics.json`` were fitted to, if it says."""
        if not self.metrics.exists():
            return None
        form = Fields(optional={_BASELINE_EXAMPLES: Integer(1)}, others=Plain())
        return form.taken(read_json(self.metrics, MOST_JSON), Place(self.metrics)).get(
            _BASELINE_EXAMPLES
        )

    def write_json(self, path: Path, content: dict[str, Any]) -> None:
        """Write a file of the folder, whole or not at all."""
        text = json.dumps(content, indent=2, allow_nan=False)
        write_atomically(path, (text + "\n").encode())

    def write_settings(self, options: dict[str, Any], **facts: Any) -> None:
        """Write ``run.json``."""
        self.write_json(self.settings, {"format": _FORMAT, **facts, "options": options})


def absolute(source: str | None) -> str | None:
    """Name a file so that the run can be resumed or scored from elsewhere."""
    if source is None or not Path(source).expanduser().exists():
        return source
    return str(Path(source).expanduser().resolve())


def default_output(data: str, model: str) -> str:
    """Name the folder of a run for which none was named."""
    stem = Path(data).name.split(".")[0] or "data"
    return str(Path("runs") / f"{stem}-{model}")
