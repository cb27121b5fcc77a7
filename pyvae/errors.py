# SPDX-License-Identifier: MIT
"""The errors that are raised for users: of what they asked for, and of the files they gave.

The command line shows these as the user's, and nothing else: any other exception is a defect.
"""

from __future__ import annotations


class UserError(Exception):
    """A mistake of the user's; its text says what was expected, what came and the way out."""


class WrongValue(UserError, ValueError):
    """An argument, or a part of a file, that is out of its range or of another form."""


class WrongType(UserError, TypeError):
    """An argument of another type."""


class NotFound(UserError, FileNotFoundError):
    """A file or a folder that is not there."""
