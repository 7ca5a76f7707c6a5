"""The versions of packages and the commit of this program that made a result."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

REPORTED_VERSIONS = ("ray", "mlflow", "torch", "torchvision", "numpy", "pandas", "onnxruntime", "decord", "retina-face")
RECORDED_VERSIONS = ("torch", "numpy", "scikit-learn", "scipy", "av", "onnxruntime")
"""What results are computed with; in the manifest of every artefact."""


@cache
def made_by() -> dict[str, str]:
    """The versions and the commit that make an artefact in this process; its device is added where it is known."""
    versions = {name: version_of(name) for name in RECORDED_VERSIONS}
    return {"python": platform.python_version(), **versions, "commit": code_version()}


def version_of(package: str) -> str:
    """The version of a package, also of the variants that are installed under another name."""
    for name in (package, f"{package}-gpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "not installed under this name"


def code_version() -> str:
    """The commit of this program's own checkout, or the version of the installed package."""
    here = Path(__file__).resolve().parents[2]
    try:
        # an environment inside somebody's repository is not this program's checkout: git must know this very file
        git = ["git", "-C", str(here)]
        ours = subprocess.run([*git, "ls-files", "--error-unmatch", "grid/run/session.py"], capture_output=True, timeout=10)
        asked = subprocess.run([*git, "describe", "--always", "--dirty"], capture_output=True, text=True, timeout=10)
        if ours.returncode == 0 and asked.returncode == 0:
            return asked.stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        pass
    return version_of("pain-grid")
