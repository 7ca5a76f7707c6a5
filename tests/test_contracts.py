"""What CONTRIBUTING says of imports is what the contracts of import-linter hold."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("dataprep", "painmodels", "grid", "dashboards", "pain_grid")
OWN = ("self", "cls", "other")
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]


def test_contributing_and_the_contracts_agree() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    layers = next(c["layers"] for c in LINTER["contracts"] if c["type"] == "layers")
    assert f"`{' ← '.join(reversed(layers))}`" in text
    for package, room in (("ray", "execute"), ("mlflow", "tracking")):
        importing = {
            file.parent.name
            for file in (ROOT / "grid").rglob("*.py")
            if re.search(rf"^\s*(import {package}\b|from {package}\b)", file.read_text(), flags=re.M)
        }
        assert importing == {room}
        assert any(c.get("forbidden_modules") == [package] and c["source_modules"] == ["grid"] for c in LINTER["contracts"])
    forbidden = [c for c in LINTER["contracts"] if c["type"] == "forbidden"]
    assert any(c["source_modules"] == ["dataprep"] and "torch" in c["forbidden_modules"] for c in forbidden)
    assert "torch is never imported in `dataprep`" in text
    assert "in `grid/execute/ray_*` alone, MLflow in `grid/tracking` alone" in text


def test_no_class_is_longer_than_150_lines() -> None:
    found = {}
    for package in (*PACKAGES, "tests"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and node.end_lineno:
                    lines = node.end_lineno - node.lineno + 1
                    if lines > 150:
                        found[f"{file.relative_to(ROOT)}: {node.name}"] = lines
    assert not found


def test_nobody_reaches_for_a_private_name() -> None:
    """Of another module, or of an object that is not itself: neither a test nor the code. argparse's have no other name."""
    found, foreign = [], {"_actions"}
    files = [file for package in (*PACKAGES, "tests") for file in (ROOT / package).rglob("*.py")]
    defined = {
        name for file in files for name in re.findall(r"(?:def |class |self\.|^)(_[a-z]\w*)", file.read_text("utf-8"), re.M)
    }
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                found += [(file.name, node.lineno, a.name) for a in node.names if a.name in defined - foreign]
            if isinstance(node, ast.Attribute) and node.attr in defined - foreign and ast.unparse(node.value) not in OWN:
                found.append((file.name, node.lineno, node.attr))
    assert not found


def test_nothing_waits_for_a_package_that_it_does_not_need() -> None:
    """PyTorch and OpenCV take seconds to import, scipy.stats one: a report needs none of them, a worker not the last."""
    loaded = "import sys, dashboards.report; print({'torch', 'cv2', 'mlflow', 'ray', 'scipy.stats'} & set(sys.modules))\n"
    loaded += (
        "import grid.run.session; print({'mlflow', 'ray', 'scipy.stats', 'scipy.signal', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    assert done.stdout.split() == ["set()", "set()"], done.stderr


def test_a_worker_starts_without_what_most_work_does_not_need() -> None:
    """A run starts with as many of them as there are processors, and the actor that they ask comes before them."""

    def loaded(module: str, names: str) -> str:
        code = f"import sys, {module}; print(set({names!r}.split()) & set(sys.modules))"
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip()

    assert loaded("grid.execute.ray_tune", "scipy.stats scipy.signal scipy.interpolate mlflow sklearn") == "set()"
    preparing = "grid.execute.ray_preparer, grid.execute.ray_blocks"
    assert loaded(preparing, "ray.tune pandas scipy mlflow sklearn") == "set()"
    assert loaded("grid.execute.ray_mailbox", "torch numpy pandas scipy grid.plan ray.tune") == "set()"


def test_no_record_of_five_fields_or_more_is_filled_by_position() -> None:
    """But `Command`, whose calls are the rows of a table."""
    trees = {
        file: ast.parse(file.read_text(encoding="utf-8")) for package in PACKAGES for file in (ROOT / package).rglob("*.py")
    }
    nodes = [(file, node) for file, tree in trees.items() for node in ast.walk(tree)]
    made = {
        n.name for _, n in nodes if isinstance(n, ast.ClassDef) and any("dataclass" in ast.dump(d) for d in n.decorator_list)
    }
    calls = [
        (file, n) for file, n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id in made
    ]
    assert not [
        f"{file.relative_to(ROOT)}: line {n.lineno}" for file, n in calls if len(n.args) > 4 and n.func.id != "Command"
    ]
