# SPDX-License-Identifier: MIT
"""The PEP 517 build backend: scikit-build-core, told where torch is.

A build in isolation does not see the torch of the environment that pyvae is being installed into,
and asking for torch as a build requirement would download gigabytes for a few header files. The
interpreter that runs the build is that environment's own, though, so ``sysconfig`` still names its
site-packages folder, and torch can be found there without importing it. Only where there is none
is torch asked for.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import site
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    Settings = dict[str, "list[str] | str"] | None

MINIMUM_TORCH = (2, 10)
REQUIREMENT = "torch>=2.10"
COMPILERS = ("c++", "g++", "clang++")


def torch_version(folder: Path) -> tuple[int, int] | None:
    """Return torch's (major, minor) read from ``folder``, or None if no torch is there."""
    try:
        text = (folder / "version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"^__version__ = ['\"](\d+)\.(\d+)", text, re.MULTILINE)
    return (int(found[1]), int(found[2])) if found else None


def _sees_system_packages() -> bool:
    """Tell whether packages outside the environment being installed into are visible in it."""
    if sys.prefix == sys.base_prefix:
        return True
    settings = Path(sys.prefix, "pyvenv.cfg")
    text = settings.read_text(encoding="utf-8") if settings.is_file() else ""
    return bool(re.search(r"^include-system-site-packages\s*=\s*true", text, re.M | re.I))


def _site_folders() -> Iterator[str]:
    """Yield the folders of the environment being installed into, nearest first."""
    yield sysconfig.get_path("purelib")
    yield sysconfig.get_path("platlib")
    if not _sees_system_packages():
        return
    yield site.getusersitepackages()
    base = {"base": sys.base_prefix, "platbase": sys.base_prefix}
    yield sysconfig.get_path("purelib", vars=base)
    yield sysconfig.get_path("platlib", vars=base)


def _candidates() -> Iterator[Path]:
    """Yield folders that may be the torch package: what Python can import comes first."""
    spec = importlib.util.find_spec("torch")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        yield Path(folder)
    for folder in _site_folders():
        yield Path(folder, "torch")


def find_torch() -> Path | None:
    """Return the folder of the torch to build against, or None if there is none.

    ``PYVAE_TORCH_DIR`` overrides the search. Exits with one sentence if what it names, or what
    the search finds, cannot be built against.
    """
    override = os.environ.get("PYVAE_TORCH_DIR")
    if override:
        folder = Path(override).resolve()
        if torch_version(folder) is None:
            raise SystemExit(
                f"PYVAE_TORCH_DIR={override} holds no torch package (there is no version.py with "
                "torch's version in it); set it to what "
                "`python -c 'import torch; print(torch.__path__[0])'` prints."
            )
    else:
        folder = next((f for f in _candidates() if torch_version(f) is not None), None)
    version = folder and torch_version(folder)
    if version and version < MINIMUM_TORCH:
        raise SystemExit(
            f"pyvae needs torch 2.10 or newer, but {folder} is torch {version[0]}.{version[1]}; "
            f"type `pip install --upgrade '{REQUIREMENT}'`, then install pyvae again."
        )
    return folder


def check_platform() -> None:
    """Exit with one sentence where pyvae is not supported."""
    if sys.platform == "win32":
        raise SystemExit(
            "pyvae supports Linux (x86-64, aarch64) and macOS (Apple silicon); on Windows, install "
            "it inside WSL: type `wsl --install`, then `pip install .` in the Linux shell."
        )


def _named(setting: str, config_settings: Settings) -> bool:
    """Tell whether CMake is told of a setting (a pattern) by another way than ours."""
    named = (os.environ.get("CMAKE_ARGS", ""), os.environ.get("SKBUILD_CMAKE_DEFINE", ""))
    return bool(re.search(setting, f"{named} {config_settings}"))


def check_compiler(config_settings: Settings = None) -> None:
    """Exit with one sentence where there is no C++ compiler and none was named to CMake."""
    if _named("CMAKE_CXX_COMPILER|CMAKE_TOOLCHAIN_FILE", config_settings):
        return
    if os.environ.get("CMAKE_TOOLCHAIN_FILE"):
        return
    cxx = shlex.split(os.environ.get("CXX", ""))[:1]
    if not any(shutil.which(name) for name in cxx or COMPILERS):
        raise SystemExit(
            f"pyvae needs a C++20 compiler and found none (looked for {', '.join(cxx or COMPILERS)}"
            "); type `sudo apt-get install g++` on Debian or Ubuntu, `sudo dnf install gcc-c++` on "
            "Fedora, `xcode-select --install` on macOS, then install pyvae again."
        )


def cuda_setting(config_settings: Settings = None) -> dict[str, list[str] | str]:
    """Return what CMake is told of CUDA kernels: ``PYVAE_CUDA``, or AUTO in a folder built before.

    Exits with one sentence if the variable holds something else than AUTO, ON or OFF.
    """
    value = os.environ.get("PYVAE_CUDA") or "AUTO"
    if value.upper() not in ("AUTO", "ON", "OFF"):
        raise SystemExit(
            f"PYVAE_CUDA={value}: expected AUTO (CUDA kernels where torch has CUDA and nvcc is "
            "found), ON or OFF; set it to one of these or unset it."
        )
    if not os.environ.get("PYVAE_CUDA") and _named(r"PYVAE_CUDA\b", config_settings):
        return {}
    return {"cmake.define.PYVAE_CUDA": value.upper()}


def _with_torch(config_settings: Settings) -> Settings:
    """Return the settings with torch's folder handed to CMake."""
    check_platform()
    folder = find_torch()
    if folder is None:
        raise SystemExit(
            "pyvae needs torch 2.10 or newer to build and found none in "
            f"{sysconfig.get_path('purelib')}; type `pip install '{REQUIREMENT}'`, then install "
            "pyvae again."
        )
    check_compiler(config_settings)
    settings: dict[str, list[str] | str] = {"cmake.define.PYVAE_TORCH_DIR": str(folder)}
    return {**(config_settings or {}), **settings, **cuda_setting(config_settings)}


def _torch_requirement(config_settings: Settings) -> list[str]:
    """Return torch as a requirement where there is none, after all checks that need no torch."""
    check_platform()
    check_compiler(config_settings)
    cuda_setting(config_settings)
    return [] if find_torch() else [REQUIREMENT]


# The hooks of PEP 517 and PEP 660. scikit-build-core is imported inside them, so that the
# sentences above need nothing but the standard library.


def get_requires_for_build_sdist(config_settings: Settings = None) -> list[str]:
    """Return what building an sdist needs."""
    from scikit_build_core import build

    return build.get_requires_for_build_sdist(config_settings)


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """Return what building a wheel needs: torch only where the environment has none."""
    torch = _torch_requirement(config_settings)
    from scikit_build_core import build

    return build.get_requires_for_build_wheel(config_settings) + torch


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    """Return what an editable build needs: torch only where the environment has none."""
    torch = _torch_requirement(config_settings)
    from scikit_build_core import build

    return build.get_requires_for_build_editable(config_settings) + torch


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: Settings = None
) -> str:
    """Write the metadata without building."""
    from scikit_build_core import build

    return build.prepare_metadata_for_build_wheel(metadata_directory, config_settings)


def prepare_metadata_for_build_editable(
    metadata_directory: str, config_settings: Settings = None
) -> str:
    """Write the metadata without building."""
    from scikit_build_core import build

    return build.prepare_metadata_for_build_editable(metadata_directory, config_settings)


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    """Build an sdist; this needs neither torch nor a compiler."""
    from scikit_build_core import build

    return build.build_sdist(sdist_directory, config_settings)


def build_wheel(
    wheel_directory: str,
    config_settings: Settings = None,
    metadata_directory: str | None = None,
) -> str:
    """Build a wheel against the torch that ``find_torch`` finds."""
    settings = _with_torch(config_settings)
    from scikit_build_core import build

    return build.build_wheel(wheel_directory, settings, metadata_directory)


def build_editable(
    wheel_directory: str,
    config_settings: Settings = None,
    metadata_directory: str | None = None,
) -> str:
    """Build for an editable installation; objects stay in ``build/`` for the next time."""
    settings = _with_torch(config_settings)
    from scikit_build_core import build

    return build.build_editable(wheel_directory, settings, metadata_directory)
