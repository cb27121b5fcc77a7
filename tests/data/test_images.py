# SPDX-License-Identifier: MIT
"""Folders of PNG and JPEG files, and images with channels wherever they come from."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pyvae.data import ReadingWarning, load
from pyvae.errors import UserError
from tests.memory import peak_growth

DRAW = np.random.default_rng(0)


def pixels(*shape: int) -> np.ndarray:
    return DRAW.integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, image: np.ndarray | Image.Image, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def png(width: int, height: int, depth: int = 8, colour: int = 0) -> bytes:
    """Return a PNG whose header promises what its content does not hold."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    content = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + content + chunk(b"IEND", b"")


@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_a_flat_folder(tmp_path: Path, channels: tuple[int, ...]) -> None:
    images = [pixels(6, 8, *channels) for _ in range(3)]
    for i, image in enumerate(images):
        save(tmp_path / f"{i}.png", image)
    data = load(tmp_path)
    assert data.image_shape == (*channels, 6, 8)
    assert (data.x.dtype, data.labels) == (torch.float32, None)
    assert data.image_shape is not None
    rows = data.x.reshape(3, *data.image_shape).numpy()
    rows = np.moveaxis(rows, 1, -1) if channels else rows
    np.testing.assert_allclose(rows, np.stack(images) / 255, rtol=1e-6)


def test_sub_folders_are_classes_and_parts(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        for name in ("dog", "cat"):
            save(tmp_path / part / name / "deep" / "a.JPG", pixels(6, 8, 3), quality=100)
    data = load(tmp_path / "train")
    assert data.labels is not None
    assert (data.classes, data.labels.tolist()) == (("cat", "dog"), [0, 1])
    assert len(load(tmp_path)) == len(load(tmp_path, split="test")) == 2
    assert len(load(tmp_path, split="all")) == 6
    assert load(tmp_path, label_column=None).labels is None
    (tmp_path / "train" / "dog" / "deep" / "notes.txt").write_text("")
    with pytest.warns(ReadingWarning, match=r"left out, for it is no PNG or JPEG: notes.txt"):
        load(tmp_path / "train")
    for name in ("2", "10"):
        save(tmp_path / "numbers" / name / "a.png", pixels(2, 2))
    numbers = load(tmp_path / "numbers")
    assert numbers.labels is not None
    assert (numbers.classes, numbers.labels.tolist()) == (None, [10, 2])


def test_what_an_image_shows_is_what_is_read(tmp_path: Path) -> None:
    """Palettes, single bits, 16 bits, transparency, and the turn that a camera notes."""
    deep = DRAW.integers(0, 65536, (6, 8)).astype(np.uint16)
    save(tmp_path / "deep" / "a.png", deep)
    np.testing.assert_allclose(
        load(tmp_path / "deep").x.numpy().reshape(6, 8), deep / 65535, rtol=1e-6
    )
    palette = Image.fromarray(pixels(6, 8, 3)).convert("P")
    save(tmp_path / "palette" / "a.png", palette)
    shown = np.asarray(palette.convert("RGB")).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(load(tmp_path / "palette").x[0].reshape(3, 6, 8), shown, rtol=1e-6)
    bits = Image.fromarray(pixels(6, 8)).convert("1")
    save(tmp_path / "bits" / "a.png", bits)
    assert set(load(tmp_path / "bits").x.unique().tolist()) == {0.0, 1.0}
    save(tmp_path / "dark" / "a.png", pixels(6, 8) // 200)
    assert load(tmp_path / "dark").x.max() == pytest.approx(1 / 255)
    grey = np.dstack([pixels(6, 8), pixels(6, 8)])
    save(tmp_path / "clear" / "a.png", Image.fromarray(grey, "LA"))
    assert load(tmp_path / "clear").image_shape == (4, 6, 8)
    turned, exif = Image.fromarray(pixels(6, 8)), Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "turned" / "a.png", turned, exif=exif)
    expected = np.rot90(np.asarray(turned), -1) / 255
    np.testing.assert_allclose(load(tmp_path / "turned").x[0].reshape(8, 6), expected, rtol=1e-6)


def truncated(path: Path, image: np.ndarray) -> None:
    save(path, image)
    path.write_bytes(path.read_bytes()[:-30])


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "size": (lambda f: save(f / "b.png", pixels(5, 8)), "b.png: is 8x5 .*a.png is 8x6; .* resize"),
    "turned": (lambda f: save(f / "b.png", pixels(8, 6)), "b.png: is 6x8 pixels, and .*a.png is 8"),
    "mode": (
        lambda f: save(f / "b.png", pixels(6, 8, 3)),
        "b.png: is RGB of 8 bits, and .*a.png is grey of 8 bits; .* convert",
    ),
    "folders": (lambda f: save(f / "x" / "b.png", pixels(6, 8)), "holds images .* and sub-folders"),
    "text": (lambda f: (f / "b.png").write_text("a,b"), "b.png: is no PNG or JPEG image, whatever"),
    "empty": (lambda f: (f / "b.jpg").write_bytes(b""), "b.jpg: is no PNG or JPEG image"),
    "truncated": (lambda f: truncated(f / "b.png", pixels(6, 8)), "b.png: damaged image"),
    "truncated JPEG": (lambda f: truncated(f / "b.jpg", pixels(6, 8)), "b.jpg: damaged image"),
    "animated": (
        lambda f: save(f / "b.png", pixels(6, 8), save_all=True,
                       append_images=[Image.fromarray(pixels(6, 8))]),
        "b.png: is animated",
    ),
    "CMYK": (
        lambda f: save(f / "b.jpg", Image.fromarray(pixels(6, 8, 3)).convert("CMYK")),
        "b.jpg: is of Pillow's mode CMYK; expected grey, RGB or RGBA",
    ),
    "16 bits": (lambda f: (f / "b.png").write_bytes(png(8, 6, 16, 2)), "b.png: has colours of 16"),
    "bomb": (lambda f: (f / "0.png").write_bytes(png(2**31 - 1, 2**31 - 1)), "0.png: has more pix"),
    "hole": (lambda f: (f / "0.png").write_bytes(png(5000, 5000)), "0.png: .* than the file can"),
    "late bomb": (lambda f: (f / "b.png").write_bytes(png(5000, 5000)), "b.png: .* than the file"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_image_is_named(tmp_path: Path, name: str) -> None:
    make, words = REFUSED[name]
    save(tmp_path / "a.png", pixels(6, 8))
    make(tmp_path)

    def refused() -> None:
        with pytest.raises(UserError, match=words):
            load(tmp_path)

    assert peak_growth(refused) < 32 << 20


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((5, 6, 8, 3), (3, 6, 8)), ((5, 3, 6, 8), (3, 6, 8)), ((5, 6, 8, 4), (4, 6, 8)),
     ((5, 6, 8, 1), (6, 8)), ((5, 1, 6, 8), (6, 8)), ((5, 6, 8), (6, 8)), ((5, 2, 6, 8), None)],
)  # fmt: skip
def test_arrays_with_channels(
    tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...] | None
) -> None:
    """Wherever the channels are, rows have them first, as torch's layers do; nothing is copied."""
    x = pixels(*shape)
    np.save(tmp_path / "a.npy", x)
    data = load(tmp_path / "a.npy")
    assert data.image_shape == expected
    assert isinstance(data.stored, np.memmap)
    last = len(shape) == 4 and shape[3] in (1, 3, 4)
    first = np.moveaxis(x, 3, 1) if last else x
    np.testing.assert_allclose(data.x.numpy(), first.reshape(5, -1) / 255, rtol=1e-6)
    older = load(tmp_path / "a.npy", rules=1).x.numpy()
    np.testing.assert_allclose(older, x.reshape(5, -1) / 255, rtol=1e-6)
