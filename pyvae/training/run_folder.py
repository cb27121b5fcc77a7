# SPDX-License-Identifier: MIT
"""What a run leaves in its output folder while it goes."""

from __future__ import annotations

import importlib.util
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_fabric.loggers.tensorboard import TensorBoardLogger
from lightning_fabric.utilities.rank_zero import rank_zero_only

from pyvae.errors import WrongValue
from pyvae.storage.lock import locked
from pyvae.training.checkpoint import BEST_FILE, LAST_FILE, write_checkpoint
from pyvae.training.clusters import CLUSTERS

if TYPE_CHECKING:
    from pyvae.settings import TrainerSettings
    from pyvae.training.history import History
    from pyvae.training.loggers import Logger

_BEGUN = (LAST_FILE, BEST_FILE)


class RunFolder:
    """The folder's last and best checkpoint, its history, and the logger of TensorBoard, if any.

    Checkpoints are written at most every ``checkpoint_seconds``: any epoch's end is as good to
    resume from as another, so what a kill costs is time and never a different result.
    """

    def __init__(self, settings: TrainerSettings, path: Path, *, resume: bool) -> None:
        self.path = path
        if not resume:
            self._refuse_another_run()
        self._pause = settings.checkpoint_seconds
        self._written_at = -float("inf")
        self.loggers = _tensorboard(self.path, settings.tensorboard)

    @property
    def last(self) -> Path:
        """The checkpoint to resume from."""
        return self.path / LAST_FILE

    @property
    def best(self) -> Path:
        """The weights of the epoch with the highest bound."""
        return self.path / BEST_FILE

    def due(self) -> bool:
        """Tell whether it is time to write again."""
        return time.monotonic() - self._written_at >= self._pause

    def write(self, state: dict[str, Any], best: dict[str, Any] | None, history: History) -> None:
        """Write the checkpoints and the history that belongs to them.

        The best weights go first. A kill between the two leaves a best that the resumed run finds
        again at the same epoch; the other way round it would be lost.
        """
        if best is not None:
            write_checkpoint(self.best, best)
        write_checkpoint(self.last, state)
        history.save(self.path)
        shutil.rmtree(self.path / CLUSTERS, ignore_errors=True)  # the checkpoint has them
        self._written_at = time.monotonic()

    def _refuse_another_run(self) -> None:
        found = [name for name in _BEGUN if (self.path / name).exists()]
        if found:
            raise WrongValue(
                f"output folder {self.path} holds another run ({', '.join(found)}); go on with it "
                "(resume=True) or choose another folder"
            )


@contextmanager
def run_folder(settings: TrainerSettings, *, resume: bool) -> Iterator[RunFolder | None]:
    """Hold the run's folder, made where it is missing, against all other runs; None for none.

    Raises
    ------
    ValueError
        If it cannot be made or written to, or a run is going there, or has been.
    """
    if settings.output_dir is None:
        yield None
        return
    path = Path(settings.output_dir).expanduser()
    # Of several processes that train together the first one writes, and holds the lock for all.
    first = getattr(rank_zero_only, "rank", 0) == 0
    with ExitStack() as held:
        try:
            path.mkdir(parents=True, exist_ok=True)
            if first:
                held.enter_context(locked(path))
        except OSError as error:
            raise WrongValue(
                f"output folder {path} cannot be written to ({error.strerror}); choose another"
            ) from error
        yield RunFolder(settings, path, resume=resume)


def _tensorboard(folder: Path, wanted: bool | None) -> tuple[Logger, ...]:
    installed = importlib.util.find_spec("tensorboard") is not None
    if wanted and not installed:
        raise WrongValue("tensorboard=True, but it is not installed; pip install tensorboard")
    if wanted is False or not installed:
        return ()
    log = folder / "tensorboard"
    if log.is_symlink():
        raise WrongValue(f"{log} is a symbolic link, which no run of pyvae made; delete it")
    # Without a metric that is none, which its table of hyperparameters would need.
    return (TensorBoardLogger(folder, name="", version=log.name, default_hp_metric=False),)
