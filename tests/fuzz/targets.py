# SPDX-License-Identifier: MIT
"""Every kind of file: how a good one is made, how it is spoilt, and how it is read."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save as safetensors_bytes

from pyvae.cli import app, config
from pyvae.cli.run_folder import RunFolder
from pyvae.clustering import InvariantClustering
from pyvae.data import load
from pyvae.errors import UserError
from pyvae.mixture import BayesianGaussianMixture, GaussianMixture
from pyvae.models import from_pretrained
from pyvae.storage.tensors import digest
from pyvae.training.checkpoint import read_checkpoint
from tests.fuzz.hostile import NUMBERS, VALUES, bytes_changed, tree_changed
from tests.training.helpers import blobs, small_model, small_trainer

Draw = random.Random
X = np.arange(48, dtype=np.float32).reshape(8, 6) / 48
LABELS = np.arange(8) % 3


class Target(NamedTuple):
    """A file of a folder, what spoils it, and what reads it."""

    name: str
    spoil: Callable[[Draw, Path], None]
    read: Callable[[Path], object]


def make(folder: Path) -> None:
    """Write a good file of every kind."""
    np.save(folder / "a.npy", X)
    np.savez(folder / "a.npz", x=X, y=LABELS)
    np.savez_compressed(folder / "b.npz", x_train=X, y_train=LABELS)
    pixels = struct.pack(">HBBIII", 0, 8, 3, 8, 2, 3) + (X * 255).astype(np.uint8).tobytes()
    (folder / "a.idx3").write_bytes(pixels)
    (folder / "b.idx3.gz").write_bytes(gzip.compress(pixels))
    rows = (",".join(map(str, (*row, label))) for row, label in zip(X, LABELS, strict=True))
    (folder / "a.csv").write_text("a,b,c,d,e,f,label\n" + "\n".join(rows) + "\n")
    (folder / "b.csv.gz").write_bytes(gzip.compress((folder / "a.csv").read_bytes()))
    arrow = pa.table({name: X[:, i] for i, name in enumerate("abcdef")} | {"label": LABELS})
    pyarrow.parquet.write_table(arrow, folder / "a.parquet")
    pyarrow.feather.write_feather(arrow, str(folder / "a.arrow"), compression="uncompressed")
    cells = [
        [f"r{i}", *(f"{value:.5f}".replace(".", ",") for value in row)] for i, row in enumerate(X)
    ]
    table = "\n".join(";".join(row) for row in (["", "b", "c", "d", "e", "f", "kind"], *cells))
    (folder / "c.csv").write_text("# a remark\n" + table + "\n")
    (folder / "images").mkdir()
    for name in ("a.png", "b.png", "c.jpg"):
        Image.fromarray((np.arange(144).reshape(6, 8, 3)).astype(np.uint8)).save(
            folder / "images" / name
        )
    for run, changes in (("run", {}), ("em", {"prior_update": "em"})):
        model = small_model(learn_weights=True)
        trainer(folder / run, **changes).fit(model, blobs())
        model.save_pretrained(folder / run / "model")
    found = InvariantClustering(2, n_steps=2, n_refining_steps=1, n_init=1, random_state=0).fit(X)
    found.save(folder / "clusters")
    options = {"data": "digits", "labels": None, "split": "train", "lr": 0.1, "hidden": "8"}
    GaussianMixture(2, random_state=0).fit(X).save(folder / "mixture.safetensors")
    posterior = BayesianGaussianMixture(2, random_state=0).fit(X)
    posterior.save(folder / "posterior.safetensors")
    settings = {"format": "pyvae.run", "options": options, "image_shape": [2, 3]}
    (folder / "run" / "run.json").write_text(json.dumps(settings))
    (folder / "run.toml").write_text('data = "x"\nlr = 1e-3\nhidden = [8, 8]\nquiet = true\n')


def trainer(folder: Path, **changes: Any) -> Any:
    return small_trainer(output_dir=folder, epochs=2, schedule="constant", **changes)


def any_bytes(draw: Draw, path: Path) -> None:
    path.write_bytes(bytes_changed(draw, path.read_bytes()))


def npy_bytes(draw: Draw, content: bytes) -> bytes:
    """Write another header before the same numbers."""
    file = io.BytesIO()
    shape = tuple(draw.choice((*NUMBERS, True, 8, 8.0)) for _ in range(draw.randrange(4)))
    shape = draw.choice((shape, (8, 6), (-8, -6), (1,) * 40))
    kind = draw.choice(("<f4", "<f4", ">f8", "|b1", "<i8", "<c8", "|O", "<U9", "|V0", "(9,)f4"))
    header = {"descr": kind, "fortran_order": draw.choice((False, True, 3)), "shape": shape}
    text = (repr(header) + " " * 20 + "\n").encode()
    file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)
    return file.getvalue() + content[128:]


def npy_header(draw: Draw, path: Path) -> None:
    path.write_bytes(npy_bytes(draw, path.read_bytes()))


def npz_member(draw: Draw, path: Path) -> None:
    """Spoil an array inside, or the directory's sizes, with everything else right."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    name = draw.choice(list(members))
    change = draw.choice((npy_bytes, bytes_changed))
    members[name] = change(draw, members[name])
    packing = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(path, "w", packing) as new:
        for member, content in members.items():
            new.writestr(member, content)
    if draw.random() < 0.5:
        data = bytearray(path.read_bytes())
        at = data.rfind(b"PK\x01\x02") + draw.choice((8, 10, 16, 20, 24, 28, 42))
        data[at : at + 4] = struct.pack("<I", draw.choice((0, 1, 2**31, 2**32 - 1, 10**9)))
        path.write_bytes(data)


def idx_header(draw: Draw, path: Path) -> None:
    packed = path.suffix == ".gz"
    data = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    data[2] = draw.choice((8, 9, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F))
    for at in (4, 8, 12):
        if draw.random() < 0.5:
            data[at : at + 4] = struct.pack(">I", draw.choice((0, 1, 2, 8, 2**31, 2**32 - 1)))
    path.write_bytes(gzip.compress(data) if packed else data)


def csv_cell(draw: Draw, path: Path) -> None:
    packed = path.suffix == ".gz"
    text = (gzip.decompress(path.read_bytes()) if packed else path.read_bytes()).decode()
    mark = ";" if ";" in text else ","
    cells = text.split(mark)
    hostile = ("nan", "1e400", "1_0", "١", '"', "\0", "", "x\n", "1" * 400, "-1", "1e12", "9" * 19,
               "NA", "1,234", "a,b;c", "#", "0", " ", "\r", "\t|")  # fmt: skip
    for _ in range(draw.choice((1, 2))):
        cells[draw.randrange(len(cells))] = draw.choice(hostile)
    content = mark.join(cells).encode()
    path.write_bytes(gzip.compress(content) if packed else content)


def json_file(draw: Draw, path: Path) -> None:
    text = json.dumps(tree_changed(draw, json.loads(path.read_text())))
    if draw.random() < 0.1:
        text = "[" * draw.choice((100, 10**4, 10**5))
    path.write_text(text)


def weights(draw: Draw, path: Path) -> None:
    """Change tensors or the config, in both files alike, and make the digest anew."""
    state, text = read_tensors(path)
    if draw.random() < 0.5:
        saved = json.loads(text)
        text = json.dumps({**saved, "config": tree_changed(draw, saved["config"])})
        path.with_name("config.json").write_text(text)
    else:
        state = tensors_changed(draw, state)
    write_tensors(path, state, text)


def headed_tensors(draw: Draw, path: Path) -> None:
    """Change tensors or what the header says, and make the digest anew."""
    state, text = read_tensors(path)
    if draw.random() < 0.7:
        text = json.dumps(tree_changed(draw, json.loads(text)))
    else:
        state = tensors_changed(draw, state)
    write_tensors(path, state, text)


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], str]:
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return state, file.metadata()["config"]


def write_tensors(path: Path, state: dict[str, torch.Tensor], text: str) -> None:
    header = {"config": text, "sha256": digest(state)}
    path.write_bytes(safetensors_bytes(state, metadata=header))


def tensors_changed(draw: Draw, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    changed = tree_changed(draw, state)
    changed = changed if isinstance(changed, dict) else {}
    return {str(n): v.contiguous().clone() for n, v in changed.items() if can_be_saved(v)}


def can_be_saved(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and not value.is_meta and value.numel() < 10**6


def checkpoint(draw: Draw, path: Path) -> None:
    """Change what is in it, or the bytes of the archive, and make the digest anew."""
    buffer = io.BytesIO()
    if draw.random() < 0.75:
        torch.save(tree_changed(draw, read_checkpoint(path)), buffer)
        payload = buffer.getvalue()
    else:
        payload = path.read_bytes().partition(b"\n")[2]
        with zipfile.ZipFile(io.BytesIO(payload)) as old, zipfile.ZipFile(buffer, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                spoilt = name.endswith("data.pkl") or draw.random() < 0.05
                new.writestr(name, bytes_changed(draw, content) if spoilt else content)
        payload = draw.choice((buffer.getvalue(), bytes_changed(draw, payload)))
    sha256 = hashlib.sha256(payload).hexdigest().encode()
    path.write_bytes(b"pyvae checkpoint 1 sha256 " + sha256 + b"\n" + payload)


def read_data(path: Path) -> None:
    data = load(path)
    data.rows(slice(0, 4))
    assert len(data) * data.num_features <= 10**7, data.stored.shape


def read_table(path: Path) -> None:
    """Read it by every kind of options."""
    for options in ({}, {"missing": "keep", "drop": [1]}, {"label_column": 1, "header": True},
                    {"delimiter": " "}, {"decimal": ","}, {"rules": 1}):  # fmt: skip
        try:
            load(path, **options).rows(slice(0, 4))
        except UserError as error:
            if str(path) not in str(error):
                raise RuntimeError("the refusal names no file") from error
    read_data(path)


def png_header(draw: Draw, path: Path) -> None:
    """Promise another size, depth or colour, with the check that belongs to it."""
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", *(draw.choice((0, 1, 6, 8, 5000, 2**31 - 1)) for _ in "hw"))
    data[24:26] = bytes((draw.choice((1, 2, 4, 8, 16, 255)), draw.choice((0, 2, 3, 4, 6))))
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)


def read_images(path: Path) -> None:
    read_data(path.parent)


def read_model(path: Path) -> None:
    model = from_pretrained(path.parent).to(torch.float32)
    bound = model.elbo(torch.rand(2, model.input_dim), num_samples=1)
    assert bound.total.shape == (2,)


def read_clustering(path: Path) -> None:
    found = InvariantClustering.load(path)
    x = torch.rand(2, *found.classifier_.shape)
    assert found.predict_proba(x).shape == (2, found.classifier_.num_clusters)


def read_mixture(path: Path) -> None:
    found = GaussianMixture.load(path)
    assert np.isfinite(found.score_samples(found.means_)).all()


def read_posterior(path: Path) -> None:
    found = BayesianGaussianMixture.load(path)
    assert not np.isnan(found.score_samples(found.means_)).any()


def read_run(path: Path) -> None:
    """Resume, and train for one more epoch."""
    changes = {"prior_update": "em"} if path.parent.name == "em" else {}
    model = small_model(seed=1, learn_weights=True)
    found = small_trainer(output_dir=path.parent, epochs=3, schedule="constant", **changes)
    found.fit(model, blobs(), resume=True)


def read_settings(path: Path) -> None:
    RunFolder(path.parent).read_settings()


def read_options(path: Path) -> None:
    config.read(path, app.train)


def copied(source: Path, folder: Path) -> None:
    """Start again from good files."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)


ARRAYS = ("a.npy", "a.npz", "b.npz", "a.idx3", "b.idx3.gz", "a.csv", "b.csv.gz")
CHECKPOINTS = ("run/last.ckpt", "em/last.ckpt", "run/best.ckpt")
TARGETS = (
    *(Target(name, any_bytes, read_data) for name in ARRAYS),
    *[Target(name, any_bytes, read_data) for name in ("a.parquet", "a.arrow")] * 2,
    Target("a.npy", npy_header, read_data),
    *(Target(name, npz_member, read_data) for name in ("a.npz", "b.npz")),
    *(Target(name, idx_header, read_data) for name in ("a.idx3", "b.idx3.gz")),
    *(Target(name, csv_cell, read_data) for name in ("a.csv", "b.csv.gz")),
    *(Target(name, csv_cell, read_table) for name in ("a.csv", "c.csv")),
    Target("c.csv", any_bytes, read_table),
    *(Target(f"images/{name}", any_bytes, read_images) for name in ("a.png", "b.png", "c.jpg")),
    *(Target(f"images/{name}", png_header, read_images) for name in ("a.png", "b.png")),
    Target("run/model/config.json", json_file, read_model),
    Target("run/model/config.json", any_bytes, read_model),
    Target("run/model/model.safetensors", any_bytes, read_model),
    *[Target("run/model/model.safetensors", weights, read_model)] * 4,
    Target("clusters", any_bytes, read_clustering),
    *[Target("clusters", headed_tensors, read_clustering)] * 3,
    Target("mixture.safetensors", any_bytes, read_mixture),
    *[Target("mixture.safetensors", headed_tensors, read_mixture)] * 2,
    Target("posterior.safetensors", any_bytes, read_posterior),
    *[Target("posterior.safetensors", headed_tensors, read_posterior)] * 2,
    Target("run/last.ckpt", any_bytes, read_run),
    *[Target(name, checkpoint, read_run) for name in CHECKPOINTS] * 3,
    Target("run/run.json", json_file, read_settings),
    Target("run/run.json", any_bytes, read_settings),
    Target("run/run.json", json_file, read_options),
    Target("run.toml", any_bytes, read_options),
)
assert VALUES
