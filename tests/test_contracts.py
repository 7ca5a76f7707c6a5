"""What CONTRIBUTING says of imports is what the contracts of import-linter hold."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]


def test_contributing_and_the_contracts_agree() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    layers = next(c["layers"] for c in LINTER["contracts"] if c["type"] == "layers")
    assert f"`{' ← '.join(reversed(layers))}`" in text
    for package in ("ray", "mlflow"):
        contract = next(
            c
            for c in LINTER["contracts"]
            if c["source_modules" if c["type"] == "forbidden" else "layers"] == ["grid"]
            and c["forbidden_modules"] == [package]
        )
        allowed = {line.split(" -> ")[0] for line in contract["ignore_imports"]}
        importing = {
            f"grid.{file.stem}"
            for file in (ROOT / "grid").glob("*.py")
            if re.search(rf"^\s*(import {package}\b|from {package}\b)", file.read_text(), flags=re.M)
        }
        assert importing == allowed
    forbidden = [c for c in LINTER["contracts"] if c["type"] == "forbidden"]
    assert any(c["source_modules"] == ["dataprep"] and "torch" in c["forbidden_modules"] for c in forbidden)
    assert "torch is never imported in `dataprep`" in text
    assert "only by the modules that `[tool.importlinter]` in pyproject.toml names" in text
