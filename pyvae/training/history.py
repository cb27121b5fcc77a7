# SPDX-License-Identifier: MIT
"""What a run logged, one row an epoch."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

from pyvae.errors import NotFound, WrongValue
from pyvae.storage.form import Fields, Place, Plain, Rows
from pyvae.storage.writing import write_atomically
from pyvae.training.metrics import as_json

CSV_FILE = "history.csv"
JSON_FILE = "history.json"


class History(Sequence[dict[str, Any]]):
    """The rows of a run, in order of epochs.

    Every row holds ``epoch`` (from 1 on), ``phase`` ("pretrain" or "joint"), ``lr``, ``beta`` (and
    ``capacity`` where there is one), the ``objective`` that was maximised and the ``bound`` with
    its parts ``reconstruction``, ``log_prob_w``, ``neg_kl_z``, ``entropy_w``, all in nats per
    example, as means over the epoch's batches; ``effective_components``, ``smallest_share``,
    ``posterior_entropy`` and ``active_units`` at its end; with validation data ``val_bound`` and
    its parts; and ``seconds``.

    Parameters
    ----------
    rows
        One mapping an epoch; they are copied.

    Examples
    --------
    >>> history = History([{"epoch": 1, "bound": -30.0}, {"epoch": 2, "bound": -25.0}])
    >>> history[-1]["bound"], history.column("bound")
    (-25.0, [-30.0, -25.0])
    """

    def __init__(self, rows: Sequence[dict[str, Any]] = ()) -> None:
        self.rows = [dict(row) for row in rows]

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        return self.rows[index]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __repr__(self) -> str:
        return f"History({len(self)} epochs)"

    def column(self, name: str) -> list[Any]:
        """Return one column, None where an epoch has no such figure."""
        return [row.get(name) for row in self.rows]

    def append(self, row: dict[str, Any]) -> None:
        """Add the row of the next epoch."""
        self.rows.append(dict(row))

    def save(self, folder: str | Path) -> None:
        """Write ``history.csv`` and ``history.json`` into ``folder``."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(Path(folder) / CSV_FILE, table.getvalue().encode())
        text = json.dumps([as_json(row) for row in self.rows], indent=1, allow_nan=False)
        write_atomically(Path(folder) / JSON_FILE, text.encode())

    @classmethod
    def load(cls, folder: str | Path) -> History:
        """Read what :meth:`save` wrote."""
        path = Path(folder) / JSON_FILE
        if not path.is_file():
            raise NotFound(f"{path} is missing; a run with output_dir writes it")
        try:
            rows = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise WrongValue(f"{path} is damaged ({error})") from error
        return cls(Rows(lambda _: Fields(others=Plain())).taken(rows, Place(path)))
