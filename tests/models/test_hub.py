# SPDX-License-Identifier: MIT
"""Models on the Hugging Face Hub, of which a folder stands in for the network."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError

from pyvae.models import GMVAE, VAE, from_pretrained


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Repositories as folders; what is called must have the library's signatures."""
    root = tmp_path / "hub"

    def create_repo(self: Any, repo_id: str, **options: Any) -> None:
        assert options["exist_ok"]
        (root / repo_id).mkdir(parents=True, exist_ok=True)
        (root / repo_id / "private").write_text(str(options["private"]))

    def file_exists(self: Any, repo_id: str, filename: str, **options: Any) -> bool:
        return (root / repo_id / filename).exists()

    def upload_folder(self: Any, *, repo_id: str, folder_path: str, **options: Any) -> Any:
        shutil.copytree(folder_path, root / repo_id, dirs_exist_ok=True)
        return SimpleNamespace(commit_url=f"hub:{repo_id}:{options['commit_message']}")

    def snapshot_download(repo_id: str, **options: Any) -> str:
        assert options["allow_patterns"] == ["config.json", "model.safetensors"]
        if options["revision"] == "gone" or not (root / repo_id).exists():
            raise LocalEntryNotFoundError("nothing was fetched\nbefore")
        return str(root / repo_id)

    for fake in (create_repo, file_exists, upload_folder):
        real = getattr(huggingface_hub.HfApi, fake.__name__)
        monkeypatch.setattr(
            huggingface_hub.HfApi, fake.__name__, create_autospec(real, side_effect=fake)
        )
    real = huggingface_hub.snapshot_download
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", create_autospec(real, side_effect=snapshot_download)
    )
    return root


def test_there_and_back(hub: Path) -> None:
    model = GMVAE(12, 2, num_components=3).eval()
    assert model.push_to_hub("me/digits", private=True, message="First") == "hub:me/digits:First"
    assert (hub / "me/digits/private").read_text() == "True"
    card = (hub / "me/digits/README.md").read_text()
    assert 'model = from_pretrained("me/digits")' in card
    x = torch.rand(5, 12)
    for again in (from_pretrained("me/digits"), GMVAE.from_pretrained("me/digits", revision="v1")):
        assert isinstance(again, GMVAE)
        torch.testing.assert_close(again.predict_proba(x), model.predict_proba(x), rtol=0, atol=0)


def test_a_card_of_ones_own_is_kept(hub: Path) -> None:
    VAE(12, 2).push_to_hub("me/vae")
    (hub / "me/vae/README.md").write_text("Mine")
    VAE(12, 2).push_to_hub("me/vae")
    assert (hub / "me/vae/README.md").read_text() == "Mine"


def test_a_folder_goes_first(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    VAE(12, 3).save_pretrained("me/vae")
    VAE(12, 2).push_to_hub("me/vae")
    assert from_pretrained("me/vae").latent_dim == 3
    with pytest.raises(ValueError, match="revision='v1' of me/vae, which is no model of the Hub"):
        from_pretrained("me/vae", revision="v1")


def test_what_is_not_there(hub: Path) -> None:
    words = r"me/gone: no such folder, and the Hub gives no model .* \(nothing was fetched before\)"
    with pytest.raises(FileNotFoundError, match=words):
        from_pretrained("me/gone")
    with pytest.raises(FileNotFoundError, match="not there; pass the folder"):
        from_pretrained(Path("me/gone"))  # a path is no name
    with pytest.raises(FileNotFoundError, match="not there; pass the folder"):
        from_pretrained("a/path/of/folders")
    for name in ("digits", "a/b/c", "me/", "me/a b", "https://me/a"):
        with pytest.raises(ValueError, match="expected 'user/model'"):
            VAE(12, 2).push_to_hub(name)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyvae.models.hub.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="not there; pass the folder"):
        from_pretrained("me/digits")
    for call in (
        lambda: from_pretrained("me/digits", revision="v1"),
        lambda: VAE(12, 2).push_to_hub("me/digits"),
    ):
        with pytest.raises(ValueError, match=r"not installed: pip install 'pyvae\[hub\]'"):
            call()
