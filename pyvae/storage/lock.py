# SPDX-License-Identifier: MIT
"""One run, one folder: a lock that the operating system holds, and lets go when a process dies.

It is on a file in the folder (flock), not in it: what a killed run left behind locks nothing.
"""

from __future__ import annotations

import os
import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from pyvae.errors import WrongValue
from pyvae.storage.writing import NO_LINKS, remove_leftovers

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class Use(NamedTuple):
    """What a folder is locked for: the lock's name, and the files that go with it."""

    name: str
    files: re.Pattern[str]


RUN = Use(".run.lock", re.compile(r"(last|best)\.ckpt|(run|metrics|history)\.json|.+\.(csv|png)"))
FIT = Use(".fit.lock", re.compile(r"fit\.json|neighbors\.safetensors|run-\d+(-step)?\.safetensors"))
MODEL = Use(".model.lock", re.compile(r"config\.json|model\.safetensors"))

# Who holds a lock may take it again, further down in the same run; another thread may not.
_held: ContextVar[frozenset[Path]] = ContextVar("held", default=frozenset())
_descriptors: set[int] = set()


@contextmanager
def locked(folder: Path, use: Use = RUN, *, wait: bool = False) -> Iterator[None]:
    """Hold a folder's lock, and delete what a killed holder left half-written.

    Parameters
    ----------
    folder
        Where it is; it must exist.
    use
        What for: a run, or the saving of a model.
    wait
        Wait for another holder to end, instead of raising. Where there are no locks, do without
        and without a warning.

    Raises
    ------
    ValueError
        If somebody else holds it.
    OSError
        If the folder cannot be written to.
    """
    path = folder.resolve() / use.name
    if path in _held.get():
        yield
        return
    owner, descriptor = os.getpid(), _acquired(path, wait=wait)
    token = _held.set(_held.get() | {path})
    try:
        if descriptor is not None:
            _descriptors.add(descriptor)
            remove_leftovers(folder, use.files)
        yield
    finally:
        _held.reset(token)
        # A process that was forked off may come here too: the lock is not its own.
        if descriptor is not None and os.getpid() == owner:
            with suppress(OSError):
                path.unlink()
            _descriptors.discard(descriptor)
            os.close(descriptor)


def _acquired(path: Path, *, wait: bool) -> int | None:
    """Return the descriptor that holds the lock; None where the system has no locks."""
    while True:
        descriptor = _opened(path)
        try:
            if fcntl is None:
                raise NotImplementedError
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(descriptor)
            raise WrongValue(
                f"output folder {path.parent} is in use: another run is going there; wait for its "
                "end, or choose another folder"
            ) from None
        except (OSError, NotImplementedError) as error:
            os.close(descriptor)
            if not wait:
                _say_missing(path, error)
            return None
        # The last holder has deleted the file: what is locked must be what the next one opens.
        if _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        flags = os.O_RDWR | os.O_CREAT | NO_LINKS | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(path, flags, 0o666)
    except OSError:
        if path.is_symlink():
            raise WrongValue(
                f"{path} is a symbolic link, which no run of pyvae made; delete it"
            ) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise WrongValue(f"{path} is no plain file, which no run of pyvae made; delete it")
    return descriptor


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _say_missing(path: Path, error: Exception) -> None:
    reason = f" ({error.strerror})" if isinstance(error, OSError) else ""
    warnings.warn(
        f"there are no file locks here{reason}: see to it that no other run writes to "
        f"{path.parent}",
        RuntimeWarning,
        stacklevel=4,
    )


def _let_go() -> None:
    """Close the locks in a forked process, such as a loader's, which may outlive the run."""
    for descriptor in _descriptors:
        with suppress(OSError):
            os.close(descriptor)
    _descriptors.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
