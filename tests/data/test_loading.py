# SPDX-License-Identifier: MIT
"""Every reader on a small file made here: what it returns, and what it says of a damaged one."""

from __future__ import annotations

import gzip
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from pyvae.data import Data, ReadingWarning, digits, load, shapes

IMAGES = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
LABELS = np.array([3, 1, 0, 2], dtype=np.uint8)


def idx_bytes(array: np.ndarray, code: int = 0x08) -> bytes:
    head = struct.pack(">HBB", 0, code, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_mnist(folder, *, zipped: bool = False) -> None:
    for part in ("train", "t10k"):
        for content, array in (("images-idx3", IMAGES), ("labels-idx1", LABELS)):
            name = f"{part}-{content}-ubyte"
            if zipped:
                (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array)))
            else:
                (folder / name).write_bytes(idx_bytes(array))


def write_npz(path, **arrays) -> None:
    np.savez(path, **arrays)


def test_digits_are_the_embedded_default():
    data = load("digits")
    assert data.x.shape == (1797, 64)
    assert data.x.dtype == torch.float32
    assert data.image_shape == (8, 8)
    assert data.unit_interval
    assert data.labels is not None
    assert torch.bincount(data.labels).tolist() == [
        178,
        182,
        177,
        183,
        181,
        182,
        181,
        179,
        174,
        180,
    ]
    torch.testing.assert_close(digits().x, data.x)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(("split", "times"), [("train", 1), ("test", 1), ("all", 2)])
def test_directory_of_idx_files(tmp_path, zipped, split, times):
    write_mnist(tmp_path, zipped=zipped)
    data = load(tmp_path, split=split)
    assert data.image_shape == (3, 2)
    expected = torch.from_numpy(IMAGES.reshape(4, 6)).float() / 255
    torch.testing.assert_close(data.x, expected.repeat(times, 1))
    assert data.labels is not None
    assert data.labels.tolist() == LABELS.tolist() * times


def test_one_idx_file_takes_the_labels_beside_it(tmp_path):
    write_mnist(tmp_path)
    data = load(tmp_path / "train-images-idx3-ubyte")
    assert data.labels is not None
    assert data.labels.tolist() == LABELS.tolist()
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    assert load(tmp_path / "train-images-idx3-ubyte").labels is None


@pytest.mark.parametrize(
    ("dtype", "code"),
    [("u1", 8), ("i1", 9), ("i2", 0x0B), ("i4", 0x0C), ("f4", 0x0D), ("f8", 0x0E)],
)
def test_every_idx_type(tmp_path, dtype, code):
    values = np.array([[0, 1], [2, 100]], dtype=dtype)
    (tmp_path / "t.idx2").write_bytes(idx_bytes(values, code))
    data = load(tmp_path / "t.idx2")
    np.testing.assert_allclose(data.x.numpy(), values.astype(np.float32))


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f4", "f8", "i4", "u2", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_mapped(tmp_path, dtype, order):
    values = np.asarray(np.arange(12).reshape(4, 3) % 7, dtype=dtype, order=order)
    np.save(tmp_path / "a.npy", values)
    data = load(tmp_path / "a.npy")
    assert isinstance(data.stored, np.memmap)
    np.testing.assert_allclose(data.x.numpy(), values.astype(np.float32))
    np.testing.assert_allclose(data.rows([2, 0]).numpy(), values[[2, 0]].astype(np.float32))


def test_a_mapped_file_much_larger_than_its_rows_is_not_read(tmp_path):
    # 40 GB that are a hole in the file system: reading them would take minutes, or the memory.
    path = tmp_path / "large.npy"
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (10**8, 100)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 4 * 10**10)
    data = load(path)
    assert len(data) == 10**8
    assert data.rows([10**8 - 1]).sum() == 0


def test_npz_parts_and_labels(tmp_path):
    x = IMAGES.reshape(4, 6) / 24
    write_npz(tmp_path / "a.npz", x_train=x, y_train=LABELS, x_test=x[:2], y_test=LABELS[:2])
    assert len(load(tmp_path / "a.npz")) == 4
    assert len(load(tmp_path / "a.npz", split="test")) == 2
    both = load(tmp_path / "a.npz", split="all")
    assert both.labels is not None
    assert both.labels.tolist() == [3, 1, 0, 2, 3, 1]
    write_npz(tmp_path / "b.npz", x=x, labels=LABELS)
    assert load(tmp_path / "b.npz").labels is not None


def test_bytes_of_zeros_and_ones_are_not_scaled(tmp_path):
    write_npz(tmp_path / "binary.npz", x=np.arange(192, dtype=np.uint8).reshape(3, 64) % 2)
    data = load(tmp_path / "binary.npz")
    assert data.x.max() == 1
    assert data.image_shape == (8, 8)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv"])
@pytest.mark.parametrize("header", ["", "width,label,height\n"])
def test_csv(tmp_path, name, header):
    text = header + "1.5,2,-3e1\n\n0,1,4\n"
    text = text.replace(",", "\t") if name.endswith("tsv") else text
    content = text.encode("utf-8-sig")
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    data = load(tmp_path / name, label_column="label" if header else None)
    if header:
        assert data.labels is not None
        assert data.labels.tolist() == [2, 1]
        assert data.x.tolist() == [[1.5, -30], [0, 4]]
    else:
        assert data.labels is None
        assert data.x.tolist() == [[1.5, 2, -30], [0, 1, 4]]


@pytest.mark.parametrize("name", ["l.npy", "l.csv", "labels-idx1-ubyte"])
def test_labels_from_a_file_of_their_own(tmp_path, name):
    np.save(tmp_path / "x.npy", np.ones((4, 2)))
    if name == "l.npy":
        np.save(tmp_path / name, LABELS)
    elif name == "l.csv":
        (tmp_path / name).write_text("label\n" + "\n".join(map(str, LABELS)))
    else:
        (tmp_path / name).write_bytes(idx_bytes(LABELS))
    data = load(tmp_path / "x.npy", labels=tmp_path / name)
    assert data.labels is not None
    assert data.labels.tolist() == LABELS.tolist()


def test_data_is_a_torch_dataset():
    loader = torch.utils.data.DataLoader(digits(), batch_size=64)
    batches = list(loader)
    torch.testing.assert_close(torch.cat(batches), digits().x)
    torch.testing.assert_close(digits()[-1], digits().x[-1])
    with pytest.raises(IndexError, match="row 1797 of 1797"):
        digits()[1797]


GOOD_IDX = idx_bytes(IMAGES)
GOOD_LABELS = idx_bytes(LABELS)
DAMAGED = {
    "empty.npy": (b"", "empty file"),
    "empty.csv": (b"", "empty file"),
    "a.idx3": (b"\x00\x00", "ends at byte 2"),
    "b.idx3": (b"\x01\x02\x08\x03" + GOOD_IDX[4:], "bytes 0 to 3 are 0x01020803"),
    "c.idx3": (GOOD_IDX[:9], "ends at byte 9, inside the 16 bytes"),
    "d.idx3": (GOOD_IDX[:-1], "40 bytes in all, but the file ends at byte 39"),
    "e.idx3": (GOOD_IDX + b"x", "40 bytes in all, but the file goes on to byte 41"),
    "f.idx3": (idx_bytes(IMAGES[:0]), "holds no numbers"),
    "g.idx3": (GOOD_IDX[:4] + b"\xff" * 12 + GOOD_IDX[16:], "ends at byte 40"),
    "a.idx3.gz": (gzip.compress(GOOD_IDX)[:-9], "damaged gzip file"),
    "b.idx3.gz": (GOOD_IDX, "damaged gzip file"),
    "c.idx3.gz": (gzip.compress(GOOD_IDX[:-1]), "unpacked file ends at byte 39"),
    "a.npy": (b"no numpy at all", "no readable .npy header at byte 0"),
    "a.npz": (b"PK no zip", "damaged .npz file"),
    "a.csv": (b"1,2\n3,x\n", "line 2, column 2 is 'x'"),
    "b.csv": (b"1,2\n3\n", "line 2 has 1 cells where the first has 2"),
    "c.csv": (
        b"a,b\n1,2\n3,\n",
        r"line 3, column 2 \(b\) is missing \(''\); .*--missing marginalize",
    ),
    "d.csv": (b"1,2\n3,nan\n", "line 2, column 2 is missing .'nan'.; expected a finite number"),
    "e.csv": (b"1,2\n\xff,4\n", "byte 4 is no UTF-8"),
    "f.csv": (b"a,b\n", "holds no row of numbers"),
    "g.csv": (b"x,label\n1,2\n3,-1\n", "label of row 1 .* is -1;"),
    "h.csv": (b"x,label\n1,2\n3,1.5\n", "label of row 1 .* is 1.5"),
    "i.csv": (b"1,inf\n", "line 1, column 2 is 'inf'"),
    "a.jpg": (b"1,2\n", "unsupported kind of file; expected 'digits', a directory"),
    "plain": (b"1,2\n", "unsupported kind of file"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_named_with_the_place(tmp_path, name):
    content, message = DAMAGED[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}: .*{message}"):
        load(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda v: np.save("a.npy", v[:, 0].astype(str)), "numbers of type <U"),
        (lambda v: np.save("a.npy", v.astype(object)), "numbers of type object"),
        (lambda v: np.save("a.npy", v + 1j), "numbers of type complex128"),
        (lambda v: np.save("a.npy", v[:0]), "holds no numbers"),
        (lambda v: np.save("a.npy", v[:, :0]), "holds no numbers"),
        (lambda v: write_npz("a.npz", other=v), "no examples for split 'train' among .* other"),
        (lambda v: write_npz("a.npz", x=v.astype(object)), "Object arrays"),
        (lambda v: write_npz("a.npz", x=v.astype(str)), "numbers of type <U"),
        (lambda v: write_npz("a.npz", x=v, y=LABELS[:3]), r"labels of shape \(3,\) for the 4"),
        (lambda v: write_npz("a.npz", x=v, y=LABELS / 2), "label of row 0 .* is 1.5"),
        (lambda v: write_npz("a.npz", x=np.where(v == 3, np.nan, v)), "row 1, column 1 .* is nan"),
        (lambda v: write_npz("a.npz", x=np.where(v == 7, np.inf, v)), "row 3, column 1 .* is inf"),
    ],
)
def test_wrong_numbers_are_named_with_the_row(tmp_path, monkeypatch, make, message):
    monkeypatch.chdir(tmp_path)
    make(np.arange(8.0).reshape(4, 2))
    name = next(tmp_path.iterdir()).name
    with pytest.raises(ValueError, match=f"{name}: .*{message}"):
        load(name)


def test_rows_of_a_mapped_file_are_checked_when_they_are_read(tmp_path):
    values = np.zeros((10, 3))
    values[7, 2] = np.inf
    np.save(tmp_path / "a.npy", values)
    data = load(tmp_path / "a.npy")
    assert data.rows([1, 2]).sum() == 0
    for index in ([1, 7], slice(5, 9), torch.tensor([7])):
        with pytest.raises(ValueError, match=r"a.npy: row 7, column 2 .* is inf"):
            data.rows(index)
    with pytest.raises(ValueError, match=r"a.npy: row 7, column 2"):
        data.verified()


@pytest.mark.parametrize("keep", [7, 90, 127, 150])
def test_truncated_npy(tmp_path, keep):
    np.save(tmp_path / "a.npy", np.zeros((4, 3)))
    path = tmp_path / "a.npy"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"a.npy: .*(at byte 0|224 bytes in all.*at byte 150)"):
        load(path)


def test_damaged_npz_member(tmp_path):
    write_npz(tmp_path / "a.npz", x=np.arange(1000.0).reshape(100, 10))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[4000] ^= 0xFF
    (tmp_path / "a.npz").write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"a.npz: damaged"):
        load(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes(bytes(content[:4000]))
    with pytest.raises(ValueError, match=r"a.npz: damaged"):
        load(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x.npy", b"no array")
    with pytest.raises(ValueError, match=r"b.npz: "):
        load(tmp_path / "b.npz")


def test_label_file_of_another_length_is_named(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS[:3]))
    message = r"t10k-labels-idx1-ubyte: labels of shape \(3,\) for the 4 examples of .*t10k-images"
    for source, split in ((tmp_path, "all"), (tmp_path / "t10k-images-idx3-ubyte", "train")):
        with pytest.raises(ValueError, match=message):
            load(source, split=split)
    with pytest.raises(ValueError, match=r"labels of shape \(3,\) for the 1797 examples"):
        load("digits", labels=tmp_path / "t10k-labels-idx1-ubyte")


def test_the_digits_are_those_of_the_package_wherever_one_is(tmp_path, monkeypatch):
    """A run's folder may be called so; a path to it is a path."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "digits"
    folder.mkdir()
    write_mnist(folder)
    with pytest.warns(ReadingWarning, match=r"^digits: the data that come with .*; ./digits is"):
        assert len(load("digits")) == 1797
    for path in ("./digits", folder, Path("digits")):
        assert len(load(path)) < 1797


def test_missing_paths_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.npy: no such file"):
        load(tmp_path / "nowhere.npy")
    with pytest.raises(FileNotFoundError, match="holds no train images; expected an IDX file"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"l.npy: no such label file"):
        load("digits", labels=tmp_path / "l.npy")


def test_split_mistakes(tmp_path):
    with pytest.raises(ValueError, match="split is 'dev'; expected one of train, test, all"):
        load("digits", split="dev")
    with pytest.raises(
        ValueError, match="digits: is not split into parts; load it with --split train"
    ):
        load("digits", split="test")
    write_npz(tmp_path / "a.npz", x_train=np.ones((3, 2)), x_test=np.ones((3, 4)))
    with pytest.raises(ValueError, match="examples have different shapes"):
        load(tmp_path / "a.npz", split="all")


def test_labels_must_fit_the_examples():
    with pytest.raises(ValueError, match="2 examples but labels of shape"):
        Data(np.ones((2, 3)), labels=torch.zeros(3, dtype=torch.int64))


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8", "i2", "u4", "i8"])
def test_images_of_0_to_255_are_scaled_as_bytes_are(tmp_path, dtype):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3, 4))
    for name, kind in (("bytes", "u1"), ("others", dtype)):
        np.save(tmp_path / f"{name}.npy", pixels.astype(kind))
    found = load(tmp_path / "others.npy")
    assert torch.equal(found.x, load(tmp_path / "bytes.npy").x)
    assert found.unit_interval


IMAGE_LIKE = np.random.default_rng(0).uniform(0, 255, (6, 3, 4))


@pytest.mark.parametrize(
    ("stored", "scaled"),
    [
        (IMAGE_LIKE, True),
        (IMAGE_LIKE.reshape(6, 3, 4, 1), True),
        (IMAGE_LIKE.reshape(6, 2, 2, 3), True),
        ((IMAGE_LIKE / 16).round(), True),
        (IMAGE_LIKE / 16, False),
        (IMAGE_LIKE / 255, False),
        ((IMAGE_LIKE > 99).astype("i4"), False),
        (IMAGE_LIKE - 1, False),
        (IMAGE_LIKE + 9, False),
        (IMAGE_LIKE.reshape(6, 12), False),
        (IMAGE_LIKE.round().reshape(6, 12, 1), False),
        (IMAGE_LIKE.round()[:, :, 0].astype("i4"), False),
        (np.random.default_rng(0).integers(0, 256, (6, 784)).astype("f4"), False),
        (np.random.default_rng(0).integers(0, 256, (6, 784)).astype("i4"), False),
        (np.random.default_rng(0).integers(0, 256, (6, 784)).astype("u1"), True),
        (np.random.default_rng(0).integers(0, 256, (6, 9)).astype("u1"), False),
        (np.random.default_rng(0).integers(0, 256, (6, 65)).astype("u1"), False),
    ],
)
def test_what_is_an_image_of_0_to_255(tmp_path, stored, scaled):
    np.save(tmp_path / "x.npy", stored)
    assert load(tmp_path / "x.npy").scale == (1 / 255 if scaled else 1.0)


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
def test_images_may_begin_black(tmp_path, monkeypatch, dtype):
    monkeypatch.setattr(shapes, "_READ", 24)
    stored = np.zeros((6, 3, 4), dtype)
    stored[4:] = 200
    np.save(tmp_path / "x.npy", stored)
    assert load(tmp_path / "x.npy").scale == 1 / 255
