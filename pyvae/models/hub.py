# SPDX-License-Identifier: MIT
"""Saved models on the Hugging Face Hub, by ``pip install 'pyvae[hub]'``."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pyvae.errors import NotFound, WrongValue
from pyvae.models.files import CONFIG_FILE, WEIGHTS_FILE

_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_CARD = """---
library_name: pyvae
---

A {kind} of pyvae (`pip install pyvae`).

```python
from pyvae.models import from_pretrained

model = from_pretrained("{name}")
```
"""


def local(path: str | Path, revision: str | None) -> Path:
    """Give the folder of a saved model: the path, or what the Hub has by that name.

    That is of a string ``"user/model"`` where no such folder is, and of these files alone: the
    config and the weights, in which nothing is executed.

    Raises
    ------
    FileNotFoundError
        If the Hub has no such model, or cannot be reached and it was never fetched before.
    ValueError
        If a revision is asked for of a folder, or huggingface_hub is not installed.
    """
    folder = Path(path).expanduser()
    remote = isinstance(path, str) and not folder.exists() and _NAME.fullmatch(path) is not None
    if not remote or (revision is None and find_spec("huggingface_hub") is None):
        if revision is not None:
            raise WrongValue(f"revision={revision!r} of {path}, which is no model of the Hub")
        return folder
    _require_library()
    from huggingface_hub import snapshot_download

    wanted = [CONFIG_FILE, WEIGHTS_FILE]
    try:
        return Path(snapshot_download(str(path), revision=revision, allow_patterns=wanted))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise NotFound(
            f"{path}: no such folder, and the Hub gives no model of this name ({reason})"
        ) from error


def push(
    model: Any,
    name: str,
    *,
    private: bool,
    revision: str | None,
    message: str,
    token: str | None,
) -> str:
    """Upload what has ``save_pretrained``, with a card if there is none; gives an address."""
    if _NAME.fullmatch(name) is None:
        raise WrongValue(f"{name!r} is no name of a model on the Hub; expected 'user/model'")
    _require_library()
    from huggingface_hub import HfApi

    api = HfApi(library_name="pyvae", token=token)
    api.create_repo(name, private=private, exist_ok=True)
    with TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        if not api.file_exists(name, "README.md", revision=revision):
            card = _CARD.format(kind=type(model).__name__, name=name)
            Path(folder, "README.md").write_text(card, encoding="utf-8")
        done = api.upload_folder(
            repo_id=name, folder_path=folder, revision=revision, commit_message=message
        )
    return str(done.commit_url)


def _require_library() -> None:
    if find_spec("huggingface_hub") is None:
        raise WrongValue(
            "models of the Hub need huggingface_hub, which is not installed: "
            "pip install 'pyvae[hub]'"
        )
