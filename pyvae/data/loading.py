# SPDX-License-Identifier: MIT
"""One function that turns a path or a name into data."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from pyvae.data import labels as labelling
from pyvae.data import shapes
from pyvae.data.arrays import read_npy, read_npz
from pyvae.data.arrow_files import ARROW, PARQUET, read_arrow
from pyvae.data.columns import choose, text_features
from pyvae.data.contents import Categories, Contents, join, unsplit
from pyvae.data.delimited import read_delimited
from pyvae.data.idx import find_idx, label_neighbour, read_idx
from pyvae.data.images import read_folder
from pyvae.data.label_files import read_labels
from pyvae.data.reading import LABEL_NAMES, RULES, Column, Reading
from pyvae.data.table import Data
from pyvae.data.texts import matrix_of
from pyvae.errors import NotFound, WrongValue

_TABLES = (".csv", ".tsv", ".txt", ".dat", ".data")
_CHOICES = "--columns, --drop, --categorical and --label-column"
_SPLITS = ("train", "test", "all")
_SUPPORTED = (
    "'digits', a directory of IDX files or of PNG or JPEG files, .npy, .npz, .csv, .tsv, .txt, "
    ".parquet, .arrow, or an IDX file (idx in its name, or .idx); IDX and text may end in .gz"
)
_DIGITS = "digits"
_ANOTHER = "the data that come with the package; ./digits is what is called so here"


class ReadingWarning(UserWarning):
    """Something of a source was guessed; the text says what, and how to say otherwise."""


def digits() -> Data:
    """Return the 1,797 handwritten digits of 8x8 pixels that ship with scikit-learn, labelled.

    Source: Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, test part.

    Returns
    -------
    The 1,797 images of 8x8 pixels in [0, 1], with their labels.

    Examples
    --------
    >>> data = digits()
    >>> tuple(data.x.shape), data.image_shape, float(data.x.max())
    ((1797, 64), (8, 8), 1.0)
    """
    # scikit-learn takes a second to import; files do not need it.
    from sklearn.datasets import load_digits

    pixels, classes = load_digits(return_X_y=True)
    labels = torch.from_numpy(np.asarray(classes, dtype=np.int64))
    images = np.asarray(pixels, dtype=np.float32).reshape(-1, 8, 8)  # integers from 0 to 16
    return Data(images, labels, (8, 8), _DIGITS, scale=1 / 16, checked=True)


def load(
    source: str | Path,
    *,
    split: str = "train",
    labels: str | Path | None = None,
    label_column: Column | Sequence[str] | None = LABEL_NAMES,
    columns: Sequence[Column] | None = None,
    drop: Sequence[Column] = (),
    delimiter: str | None = None,
    decimal: str | None = None,
    header: bool | None = None,
    missing: str = "refuse",
    expected: Sequence[str] | None = None,
    rules: int = RULES,
    unlabelled: str = "refuse",
    text: str | Sequence[int] = "refuse",
    categorical: Sequence[Column] = (),
) -> Data:
    r"""Load data by path, or the embedded digits by name.

    Numbers keep the precision that they have in the source: rows are float32 where that holds all
    of them, and float64 otherwise.

    Parameters
    ----------
    source
        ``"digits"`` (``"./digits"`` is a path); a directory with MNIST's four IDX files, or of PNG
        or JPEG files (with sub-folders as classes, or ``train`` and ``test``); or one file: IDX,
        ``.npy`` (memory-mapped), ``.npz``, ``.parquet``, ``.arrow`` or ``.feather`` (with pyarrow),
        or a table of text, ``.csv``, ``.tsv``, ``.txt``, ``.dat`` or ``.data``. IDX and text files
        may be gzipped.
    split
        ``"train"``, ``"test"`` or ``"all"``. A source without parts is all training data.
    labels
        A file with one integer or name of a class per example, for a source that holds none.
    label_column
        The column (of a ``.npz``, the array) that holds labels, by its name or its number from 1; a
        sequence of names, of which the first that is there is taken, with a warning; or None, where
        every column is a feature.
    columns, drop
        Columns that are the features, in this order, and columns that are none, by name or number
        from 1.
    delimiter
        Of a table of text: ``"comma"``, ``"semicolon"``, ``"tab"``, ``"pipe"``, ``"whitespace"``,
        or the mark itself; None recognises it.
    decimal
        Its decimal mark, ``"."`` or ``","``; None recognises it.
    header
        Whether its first line names the columns; None recognises it.
    missing
        ``"refuse"`` missing values (empty cells, NA, N/A, NaN, null, None, ?), or ``"keep"`` them
        as NaN, for models that take it.
    expected
        Names of the features, where the source names its columns: they are taken in this order, and
        what else there is is left out with a warning. ``columns`` and ``drop`` go before it.
    rules
        By which of this package's rules the rest is recognised: 1 is what its first runs had.
    unlabelled
        ``"refuse"`` labels that are missing, or ``"keep"`` them, and -1, as -1: of unknown class.
    text
        ``"refuse"`` columns of text, or ``"keep"`` them as categories: ``Data.categories`` names
        what their numbers stand for. ``"mixed"`` does so with columns of numbers and text, too.
        Features, by their numbers from 0, are kept as text whatever they hold.
    categorical
        Columns, by name or number from 1, that are kept as text whatever they hold.

    Returns
    -------
    The examples, one a row, with their labels where the source has some.

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path.
    ValueError
        If the file is of no supported kind, damaged or not numeric, the labels do not fit, or what
        is to be recognised cannot be told; the message names the file and the byte or row.

    Warns
    -----
    ReadingWarning
        Where something was guessed that may be otherwise.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "trees.csv")
    ...     _ = path.write_text("height;width;species\n1,5;2,25;oak\n3,0;1,75;elm\n")
    ...     data = load(path, label_column="species", decimal=",")
    >>> data.x
    tensor([[1.5000, 2.2500],
            [3.0000, 1.7500]])
    >>> data.columns, data.labels.tolist(), data.classes
    (('height', 'width'), [1, 0], ('elm', 'oak'))
    """
    if split not in _SPLITS:
        raise WrongValue(f"split is {split!r}; expected one of {', '.join(_SPLITS)}")
    named = None if expected is None else tuple(expected)
    reading = Reading(
        label_column, columns, drop, delimiter, decimal, header, missing, named, rules,
        unlabelled, text, categorical,
    )  # fmt: skip
    if labels is not None:
        # A column that is told is one of the labels' own file.
        others = LABEL_NAMES if reading.told_label is not None else label_column
        data = _source(source, split, replace(reading, label_column=others))
        data = _with_labels(data, Path(labels).expanduser(), reading)
    else:
        data = _source(source, split, reading)
    for note in data.notes:
        warnings.warn(f"{data.name}: {note}", ReadingWarning, stacklevel=2)
    return data


def _source(source: str | Path, split: str, reading: Reading) -> Data:
    path = Path(source).expanduser()
    if source == _DIGITS:  # whatever else is called so, as a run's folder
        _require_no_columns(source, reading)
        notes = (_ANOTHER,) if path.exists() else ()
        return replace(_one_part(digits(), split), notes=notes)
    if not path.exists():
        raise NotFound(f"{path}: no such file or directory; expected {_SUPPORTED}")
    return _folder(path, split, reading) if path.is_dir() else _file(path, split, reading)


def _require_no_columns(source: str | Path, reading: Reading) -> None:
    """Refuse options of columns for images, whose labels are their own."""
    if reading.told_label is not None or reading.chooses:
        raise WrongValue(f"{source}: holds images, which have no columns; leave out {_CHOICES}")


def _file(path: Path, split: str, reading: Reading) -> Data:
    kind = _kind(path)
    if path.stat().st_size == 0:
        raise WrongValue(f"{path}: empty file (0 bytes)")
    if kind == "npz":
        return _build(path, read_npz(path, split, reading), reading)
    if kind == "arrow":
        return _one_part(_build(path, read_arrow(path, reading), reading), split)
    if kind == "idx":
        neighbour = label_neighbour(path) if reading.label_column is not None else None
        found = Contents(read_idx(path), _idx_labels(neighbour))
        return _one_part(_build(path, found, reading, neighbour), split)
    if kind == "npy":
        # Left unchecked: rows are checked as they are read, so that loading maps and reads nothing.
        return _one_part(_build(path, Contents(read_npy(path)), reading, mapped=True), split)
    return _one_part(_build(path, read_delimited(path, reading), reading), split)


def _kind(path: Path) -> str:
    name = path.name.lower()
    plain = name.removesuffix(".gz")
    if plain.endswith(_TABLES):
        return "csv"
    if name.endswith(PARQUET + ARROW):
        return "arrow"
    if name.endswith((".npy", ".npz")):
        return name[-3:]
    if re.search(r"idx\d?\b", plain):
        return "idx"
    raise WrongValue(f"{path}: unsupported kind of file; expected {_SUPPORTED}")


def _folder(path: Path, split: str, reading: Reading) -> Data:
    _require_no_columns(path, reading)
    if not any(find_idx(path, part, "images") for part in ("train", "test")):
        found = read_folder(path, split)
        if found is not None:
            if reading.label_column is None:
                found = found._replace(labels=None, label_name=None)
            return _build(path, found, reading)
    parts = []
    for part in ("train", "test") if split == "all" else (split,):
        images, file = find_idx(path, part, "images"), find_idx(path, part, "labels")
        if images is None:
            raise NotFound(
                f"{path}: holds no {part} images; expected an IDX file named as MNIST's, "
                f"{'train' if part == 'train' else 't10k'}-images-idx3-ubyte or the same with .gz, "
                "or PNG or JPEG files"
            )
        file = file if reading.label_column is not None else None
        # Checking each part by itself makes a label file of another length name its own part.
        found = Contents(read_idx(images), _idx_labels(file))
        _build(images, found, reading, file)
        parts.append(found)
    return _build(path, join(path, parts), reading)


def _idx_labels(path: Path | None) -> labelling.Labels | None:
    return None if path is None else labelling.from_array(path, read_idx(path))


def _build(
    path: Path,
    found: Contents,
    reading: Reading,
    label_path: Path | None = None,
    *,
    mapped: bool = False,
) -> Data:
    stored, labels = found.stored, found.labels
    if stored.ndim < 2:
        stored = stored.reshape(-1, 1)
    if reading.rules > 1:
        stored = shapes.channels_first(stored)
    shape = shapes.image_shape(stored)
    if reading.rules == 1 and shape is not None and len(shape) > 2:
        shape = None
    told = reading.told_label is not None and labels is None
    categories = found.categories
    if not found.chosen and (told or reading.chooses):
        stored, categories, chosen = _chosen(path, stored, reading)
        labels, shape = chosen or labels, None
    data = Data(
        stored,
        None,
        shape,
        str(path),
        shapes.scale(stored) if found.scale is None else found.scale,
        columns=found.columns,
        label_name=found.label_name,
        missing=reading.keeps_missing,
        notes=found.notes,
        categories=categories,
    )
    if labels is not None:
        data = _labelled(data, label_path or path, labels, reading)
    return data if mapped else data.verified()


def _labelled(data: Data, where: Path, labels: labelling.Labels, reading: Reading) -> Data:
    """Give data their labels."""
    labels = labelling.partly_known(labels) if reading.keeps_unlabelled else labels
    least = labelling.UNKNOWN if reading.keeps_unlabelled else 0
    found = labelling.checked(where, labels, data.name, len(data), least=least)
    return replace(data, labels=found, classes=labels.classes)


def _chosen(
    path: Path, stored: np.ndarray, reading: Reading
) -> tuple[np.ndarray, Categories | None, labelling.Labels | None]:
    """Return the columns of an array that are told, by number: features, and labels."""
    if stored.ndim != 2:
        raise WrongValue(
            f"{path}: examples of shape {stored.shape[1:]} have no columns; leave out {_CHOICES}"
        )
    width = stored.shape[1]
    columns, label, _ = choose(str(path), None, width, reading)
    chosen, first, last = list(columns), columns[0], columns[-1] + 1
    labels = None if label is None else labelling.from_array(path, np.array(stored[:, label]))
    texts = text_features(str(path), None, width, columns, reading)
    if texts:
        found, categories = matrix_of([stored[:, i] for i in chosen], texts)
        return found, categories, labels
    # A view where it can be one: of a mapped file nothing is read.
    if chosen == list(range(first, last)):
        return stored[:, first:last], None, labels
    return stored[:, chosen], None, labels


def _with_labels(data: Data, path: Path, reading: Reading) -> Data:
    if not path.exists():
        raise NotFound(f"{path}: no such label file")
    kind = _kind(path)
    if kind in ("npz", "arrow"):
        raise WrongValue(
            f"{path}: labels come as IDX, .npy or .csv; put them into the data's own file"
        )
    if path.stat().st_size == 0:
        raise WrongValue(f"{path}: empty file (0 bytes)")
    if kind == "csv":
        found = read_labels(path, reading, len(data))
    else:
        values = read_idx(path) if kind == "idx" else np.asarray(read_npy(path, text=True))
        found = labelling.from_array(path, values)
    return replace(_labelled(data, path, found, reading), label_name=None)


def _one_part(data: Data, split: str) -> Data:
    if split == "test":
        raise unsplit(data.name)
    return data
