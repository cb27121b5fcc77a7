# SPDX-License-Identifier: MIT
"""Two runs in one folder: the second is refused while the first lives, however it is started."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pyvae.errors import UserError
from pyvae.models import GMVAE
from tests.storage.test_lock import held_elsewhere
from tests.training.helpers import blobs, small_model, small_trainer


@pytest.mark.parametrize("resume", [False, True, "auto"])
def test_the_trainer_keeps_out(tmp_path: Path, resume: bool | str) -> None:
    trainer = small_trainer(output_dir=tmp_path)
    if resume:
        trainer.fit(small_model(), blobs())
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with held_elsewhere(tmp_path), pytest.raises(UserError, match="in use: another run is going"):
        trainer.fit(small_model(), blobs(), resume=resume)
    assert (
        before.items()
        <= {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}.items()
    )


def test_a_run_holds_its_folder_to_its_end(tmp_path: Path) -> None:
    """A run within a run's own step, as a stand-in for another at the same time."""
    inner = small_trainer(output_dir=tmp_path)
    refused: list[str] = []

    class Nosy(torch.utils.data.Dataset):
        """Data that try to train, in another thread, when they are looked at."""

        def __len__(self) -> int:
            return 32

        def __getitem__(self, index: int) -> torch.Tensor:
            import threading

            def fit() -> None:
                try:
                    inner.fit(small_model(), blobs())
                except UserError as error:
                    refused.append(str(error))

            if not refused:
                thread = threading.Thread(target=fit)
                thread.start()
                thread.join()
            return blobs()[index]

    small_trainer(output_dir=tmp_path).fit(small_model(), Nosy())
    assert len(refused) == 1
    assert "in use" in refused[0]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_links_in_a_run_folder_are_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    folder = tmp_path / "run"
    trainer = small_trainer(output_dir=folder)
    trainer.fit(small_model(), blobs())
    names = ("best.ckpt", "history.csv", "history.json", ".last.ckpt.part", ".history.csv.part")
    for name in names:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(victim)
    (folder / "best.ckpt").unlink()
    trainer.fit(small_model(), blobs(), resume=True)
    assert victim.read_bytes() == b"precious"
    assert not [path for path in folder.iterdir() if path.is_symlink()]


def test_a_saved_model_follows_no_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", ".config.json.part"):
        (folder / name).symlink_to(victim)
    small_model().save_pretrained(folder)
    assert victim.read_bytes() == b"precious"
    assert GMVAE.from_pretrained(folder).num_components == 3
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors"}
