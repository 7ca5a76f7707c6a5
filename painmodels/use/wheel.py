"""Writes this package as a wheel beside a model, so that the model can be used without the project's sources.

    pip install 'MODEL/pain_grid-0.1.0-py3-none-any.whl[predict]'

It holds the whole package, and asks for what a model in use needs (`USED`), with the extra `predict` for plots and for trunks of
torchvision, and with the extra `grid` for all else.

A wheel is a zip file of the packages as they are, with their metadata (the binary distribution format of PyPA); nothing is built.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import re
import tomllib
import zipfile
from email.message import Message
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from dataprep.records import InputError

NAME = "pain-grid"
PACKAGES = ("dataprep", "painmodels", "grid", "dashboards", "pain_grid")
LEFT_OUT = {"__pycache__", "pictures"}
USED = (
    "av",
    "decord",
    "h5py",
    "numpy",
    "onnxruntime",
    "opencv-contrib-python-headless",
    "pydantic",
    "safetensors",
    "scipy",
    "torch",
)
"""What a model in use needs."""
PREDICT = ("matplotlib", "torchvision")


def write_wheel(folder: Path) -> Path:
    """Write the wheel into `folder`; its path. The same packages give the same bytes."""
    about = metadata()
    version = about["Version"]
    info = f"pain_grid-{version}.dist-info"
    content = {f"{p.relative_to(root)}": p.read_bytes() for root, p in _files()}
    content[f"{info}/METADATA"] = about.as_string().encode("utf-8")
    content[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: pain-grid\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    content[f"{info}/entry_points.txt"] = b"[console_scripts]\npain-grid = pain_grid.commands:main\n"
    record = f"{info}/RECORD"
    lines = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in content.items()]
    content[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    path = folder / f"pain_grid-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            entry = zipfile.ZipInfo(name)  # 1980, so that bytes do not depend on when
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _root(package: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise InputError(f"package {package}: is not there, expected it beside painmodels")
    return Path(next(iter(found.submodule_search_locations)))


def _files() -> list[tuple[Path, Path]]:
    out = []
    for package in PACKAGES:
        root = _root(package)
        for path in sorted(root.rglob("*")):
            if path.is_file() and not LEFT_OUT & set(path.relative_to(root).parts) and path.suffix != ".pyc":
                out.append((root.parent, path))
    return out


def metadata() -> Message:
    """Name, version and requirements: of pyproject.toml where the packages lie beside it, else of what is installed."""
    table = _project()
    about = Message()
    about["Metadata-Version"] = "2.1"
    about["Name"], about["Version"], about["Summary"] = table["name"], table["version"], table["description"]
    about["Requires-Python"] = table["requires-python"]
    every = {re.split(r"[^\w.-]", requirement)[0]: requirement for requirement in table["dependencies"]}
    for name in USED:
        about["Requires-Dist"] = every[name]
    rest = [name for name in every if name not in USED]
    for extra, names in (("predict", PREDICT), ("grid", rest)):
        about["Provides-Extra"] = extra
        for name in names:
            about["Requires-Dist"] = f'{every[name]}; extra == "{extra}"'
    return about


def _project() -> dict[str, Any]:
    """The table [project] of pyproject.toml, or what an installed package says of the same. Raises InputError without either."""
    file = _root("painmodels").parent / "pyproject.toml"
    if file.is_file():
        table: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        return table
    try:
        about = distribution(NAME).metadata
    except PackageNotFoundError:
        raise InputError(f"{NAME}: is neither installed nor beside {file}") from None
    needed = [requirement for requirement in about.get_all("Requires-Dist") or [] if "extra ==" not in requirement]
    if "grid" in (about.get_all("Provides-Extra") or []):  # installed from the wheel of a model
        rest = [r for r in about.get_all("Requires-Dist") or [] if 'extra == "grid"' in r]
        needed += [r.rpartition(";")[0].strip() for r in rest]
    names = {"name": "Name", "version": "Version", "description": "Summary", "requires-python": "Requires-Python"}
    return {key: about[name] for key, name in names.items()} | {"dependencies": needed}


def needs() -> list[str]:
    """The packages a model in use needs, with the versions that are here: `numpy==2.3.1` …"""
    out = []
    for name in USED:
        try:
            out.append(f"{name}=={re.sub(r'[+].*', '', distribution(name).version)}")
        except PackageNotFoundError:
            out.append(name)
    return out
