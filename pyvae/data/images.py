# SPDX-License-Identifier: MIT
"""Folders of PNG and JPEG files, of classes by sub-folders or of none."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pyvae.data.cells import is_integer
from pyvae.data.contents import Contents, join, unsplit
from pyvae.data.headers import MOST_PACKED
from pyvae.data.labels import Labels, numbered
from pyvae.errors import NotFound, WrongValue

SUFFIXES = (".png", ".jpg", ".jpeg")
_PARTS = {"train": ("train",), "test": ("test",), "validation": ("validation", "valid", "val")}
_MOST_PIXELS = 1 << 25
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _DEPTH, _COLOUR = 0, 24, 25  # a PNG's colour type, and where its header tells of it
_CHANNELS = {1: "grey", 3: "RGB", 4: "RGBA"}
# Modes of Pillow's, and what holds the same numbers without a palette or packed bits.
_PLAIN = {
    "1": "L", "L": "L", "I;16": "I;16", "RGB": "RGB", "RGBA": "RGBA", "P": "RGB", "LA": "RGBA",
    "PA": "RGBA",
}  # fmt: skip


def read_folder(path: Path, split: str) -> Contents | None:
    """Read the images of a folder as ``(N, H, W)``, or ``(N, C, H, W)`` of colours; None if none.

    Labels are the names of the sub-folders, in sorted order, as torchvision's ``ImageFolder`` has
    them; numbers where all names are. Sub-folders ``train`` and ``test`` (``val``) are parts.

    Raises
    ------
    ValueError
        If a file is no image, damaged, animated, larger than 33 million pixels, or of another size
        or mode than the first; or if images lie beside sub-folders of images.
    """
    found = {name: files for name in _folders(path) if (files := _below(path / name))}
    own = _images(path.iterdir())
    if own and found:
        raise WrongValue(
            f"{path}: holds images ({own[0].name}) and sub-folders of images "
            f"({next(iter(found))}); expected either, for sub-folders are classes"
        )
    if "train" in found and all(_part_of(name) for name in found):
        parts = [name for name in found if split in ("all", _part_of(name))]
        if not parts:
            raise NotFound(f"{path}: holds no sub-folder {split} of images")
        read = [read_folder(path / name, "train") for name in parts]
        return join(path, [part for part in read if part is not None])
    if split == "test" and (own or found):
        raise unsplit(path)
    if own:
        return _contents(own, None)
    if not found:
        return None
    names = [name for name, files in found.items() for _ in files]
    return _contents([file for files in found.values() for file in files], _labels(names))


def _folders(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir() if p.is_dir() and p.name[0] != ".")


def _images(paths: Iterable[Path]) -> list[Path]:
    visible = (p for p in paths if p.suffix.lower() in SUFFIXES and p.name[0] != ".")
    return sorted(p for p in visible if p.is_file())


def _below(path: Path) -> list[Path]:
    """Images in a folder and in what is below it, in the order of their paths."""
    every = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    return _images(every)


def _part_of(name: str) -> str | None:
    return next((part for part, names in _PARTS.items() if name in names), None)


def _labels(names: list[str]) -> Labels:
    if all(is_integer(name) and len(name) < 19 for name in names):
        return Labels(np.array([int(name) for name in names]))
    return numbered(names)


def _contents(files: list[Path], labels: Labels | None) -> Contents:
    first = _decoded(files[0])
    try:
        stored = np.empty((len(files), *first.shape), dtype=first.dtype)
        stored[0] = first
        for at, file in enumerate(files[1:], 1):
            image = _decoded(file, (files[0], first.shape[-2:]))
            if (image.shape, image.dtype) != (first.shape, first.dtype):
                raise _unlike(files[0], first, file, image)
            stored[at] = image
    except MemoryError:
        size = len(files) * first.nbytes
        raise WrongValue(
            f"{files[0].parent}: {len(files)} images take {size} bytes, which do not fit into "
            "memory; make them smaller, or save them as .npy, which is mapped"
        ) from None
    scale = 1 / np.iinfo(first.dtype).max
    return Contents(
        stored, labels, label_name="its sub-folders" if labels else None, notes=_left_out(files),
        scale=scale,
    )  # fmt: skip


def _left_out(files: list[Path]) -> tuple[str, ...]:
    """Say which files beside the images are none of them."""
    folders = dict.fromkeys(file.parent for file in files)
    others = sorted(
        p.name
        for folder in folders
        for p in folder.iterdir()
        if p.is_file() and p.name[0] != "." and p.suffix.lower() not in SUFFIXES
    )
    if not others:
        return ()
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return (f"left out, for it is no PNG or JPEG: {others[0]}{more}",)


def _decoded(path: Path, like: tuple[Path, tuple[int, ...]] | None = None) -> np.ndarray:
    """Return an image as ``(H, W)`` or ``(C, H, W)``; of another's size, where that is known."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow's, on what is checked here
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                _require_readable(path, image, like)
                return _array(path, ImageOps.exif_transpose(image))
    except (WrongValue, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise WrongValue(f"{path}: is no PNG or JPEG image, whatever its name") from error
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except Exception as error:  # a damaged image raises almost any
        reason = " ".join(str(error).split())[:200]
        raise WrongValue(f"{path}: damaged image ({reason}); fetch it again") from error


def _require_readable(
    path: Path, image: Image.Image, like: tuple[Path, tuple[int, ...]] | None
) -> None:
    """Refuse, before it is decoded, what is beyond memory or what Pillow reads only in part."""
    pixels = image.width * image.height
    if pixels > _MOST_PIXELS:
        raise _too_large(path)
    if image.format == "PNG" and pixels > MOST_PACKED * 8 * path.stat().st_size:
        raise WrongValue(
            f"{path}: the header promises {image.width}x{image.height} pixels, more than the file "
            "can hold"
        )
    if like is not None and pixels != like[1][0] * like[1][1]:  # an EXIF note may turn it
        raise _other_size(path, (image.height, image.width), *like)
    if getattr(image, "n_frames", 1) > 1:
        raise WrongValue(f"{path}: is animated; expected one image a file")
    with path.open("rb") as file:
        head = file.read(_COLOUR + 1)
    if head.startswith(_SIGNATURE) and head[_DEPTH] == 16 and head[_COLOUR] != _GREY:
        raise WrongValue(
            f"{path}: has colours of 16 bits, of which 8 would be read; save it with 8, or the "
            "images as .npy"
        )


def _too_large(path: Path) -> WrongValue:
    return WrongValue(f"{path}: has more pixels than the {_MOST_PIXELS} that are read")


def _other_size(
    path: Path, shape: tuple[int, ...], first: Path, expected: tuple[int, ...]
) -> WrongValue:
    height, width = expected
    return WrongValue(
        f"{path}: is {shape[1]}x{shape[0]} pixels, and {first} is {width}x{height}; expected "
        f"images of one size: resize them first (Pillow: image.resize(({width}, {height})))"
    )


def _array(path: Path, image: Image.Image) -> np.ndarray:
    mode = _PLAIN.get(image.mode)
    if "transparency" in image.info and mode in ("L", "RGB"):
        mode = "RGBA"
    if mode is None:
        raise WrongValue(
            f"{path}: is of Pillow's mode {image.mode}; expected grey, RGB or RGBA: convert it "
            "first (Pillow: image.convert('RGB'))"
        )
    array = np.asarray(image if image.mode == mode else image.convert(mode))
    return array if array.ndim == 2 else np.ascontiguousarray(np.moveaxis(array, 2, 0))


def _unlike(first: Path, one: np.ndarray, path: Path, other: np.ndarray) -> WrongValue:
    if one.shape[-2:] != other.shape[-2:]:
        return _other_size(path, other.shape[-2:], first, one.shape[-2:])
    return WrongValue(
        f"{path}: is {_kind(other)}, and {first} is {_kind(one)}; expected images of one kind: "
        "convert them first (Pillow: image.convert('RGB'))"
    )


def _kind(image: np.ndarray) -> str:
    bits = 8 * image.dtype.itemsize
    channels = 1 if image.ndim == 2 else len(image)
    return f"{_CHANNELS[channels]} of {bits} bits"
