# SPDX-License-Identifier: MIT
"""What calls the callbacks of a run: nothing of the run depends on whether there are any."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch

from pyvae.training.callbacks import Callback, CallbackError, TrainingState
from pyvae.training.loggers import Logging


class Hooks:
    """The callbacks of a run, called by the names of their methods."""

    def __init__(
        self, state: TrainingState, callbacks: Sequence[Callback], device: torch.device
    ) -> None:
        self._state, self._callbacks = state, callbacks
        self._devices = [device] if device.type == "cuda" else []

    def heard(self, hook: str) -> bool:
        """Tell whether there is a callback that does something there."""
        return bool(self._listening(hook))

    def call(self, hook: str, *args: Any) -> None:
        """Call the callbacks in their order.

        Raises
        ------
        CallbackError
            If one of them raises an exception; it is named.
        """
        for callback in self._listening(hook):
            try:
                self._call(callback, hook, *args)
            except Exception as error:
                raise CallbackError(self._told(callback, hook, error)) from error

    def failed(self, error: BaseException) -> None:
        """Tell all callbacks what the run ends by; what they raise themselves is a warning."""
        for callback in self._listening("on_exception"):
            try:
                self._call(callback, "on_exception", error)
            except Exception as another:
                told = self._told(callback, "on_exception", another)
                warnings.warn(told, RuntimeWarning, stacklevel=2)

    def _listening(self, hook: str) -> list[Callback]:
        idle = getattr(Callback, hook)
        return [found for found in self._callbacks if getattr(type(found), hook, None) is not idle]

    def _call(self, callback: Callback, hook: str, *args: Any) -> None:
        model = self._state.model
        training = model.training
        with torch.random.fork_rng(self._devices):
            getattr(callback, hook)(self._state, *args)
        if model.training is not training:
            model.train(training)

    def _told(self, callback: Callback, hook: str, error: Exception) -> str:
        named = callback.logger if isinstance(callback, Logging) else callback
        done, total = len(self._state.history), self._state.total_epochs
        where = f"{type(named).__name__}, {hook}, with {done} of {total} epochs done"
        return f"{where}: {type(error).__name__}: {error}"
