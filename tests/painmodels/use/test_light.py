"""A trained row with nothing but what `pain-grid[predict]` installs: from a wheel that travels with the model."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest

from painmodels.export import main as export
from painmodels.use.wheel import PREDICT, USED, write_wheel

pytestmark = pytest.mark.slow

PROJECT = tomllib.loads((Path(__file__).resolve().parents[3] / "pyproject.toml").read_text())["project"]

GUARD = """
import sys
sys.path.insert(0, {wheel!r})
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {refused!r}:
            raise ModuleNotFoundError(f"{{name}} is not part of pain-grid[predict]")
sys.meta_path.insert(0, Refuse())
import painmodels
assert {wheel!r} in painmodels.__file__
"""


def closure(requirements: list[str]) -> set[str]:
    """Names of all distributions that these requirements install here, theirs too."""
    found: set[str] = set()
    waiting = list(requirements)
    while waiting:
        from packaging.requirements import Requirement

        needed = Requirement(waiting.pop())
        name = needed.name.lower().replace("_", "-")
        if name in found or (needed.marker and not any(needed.marker.evaluate({"extra": e}) for e in ("", *needed.extras))):
            continue
        try:
            waiting += distribution(name).requires or []
        except PackageNotFoundError:
            continue  # for another system
        found.add(name)
    return found


def test_a_model_is_used_from_its_own_folder_without_ray_mlflow_and_optuna(
    tiny_grid: Path, tiny_data: Path, tmp_path: Path
) -> None:
    to = tmp_path / "model"
    assert export(["--run", str(tiny_grid), "--cell", "eda+ecg+video/all87/fold0", "--to", str(to)]) == 0
    (wheel,) = to.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    allowed = closure([*USED, *PREDICT])
    assert not allowed & {"ray", "mlflow", "optuna", "pandas", "scikit-learn"}
    refused = sorted(
        module
        for module, names in packages_distributions().items()
        if not {n.lower().replace("_", "-") for n in names} & allowed and module not in ("painmodels", "dataprep")
    )
    assert {"ray", "mlflow", "optuna", "pandas", "sklearn"} <= set(refused)
    guard = GUARD.format(wheel=str(tmp_path / "installed"), refused=refused)
    video = min((tiny_data / "video").rglob("*.mp4"))
    signals = tiny_data / "biosignals_filtered" / video.parent.name / f"{video.stem}_bio.csv"
    plot = tmp_path / "p.png"
    code = guard + "from painmodels.predict import main\n"
    code += f"raise SystemExit(main(['--model', {str(to)!r}, '--video', {str(video)!r}, '--signals', {str(signals)!r}, "
    code += f"'--plot', {str(plot)!r}]))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env={"PATH": ""})
    assert run.returncode == 0, run.stderr
    assert '"p_pain"' in run.stdout
    assert plot.stat().st_size > 10_000
    for part in ("Needs Python 3.11", "not Ray, MLflow or Optuna", "torch==", "not a medical device"):
        assert part in (to / "README.md").read_text()


def test_the_wheel_is_what_pip_takes_and_the_same_each_time(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = write_wheel(tmp_path / "a"), write_wheel(tmp_path / "b")
    assert one.read_bytes() == other.read_bytes()
    assert one.stat().st_size < 6e6
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(tmp_path / "t")]
    run = subprocess.run([*pip, f"{one}[predict]"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "t" / "painmodels" / "py.typed").is_file()
    text = next((tmp_path / "t").glob("*.dist-info/METADATA")).read_text()
    assert 'Requires-Dist: matplotlib>=3.10; extra == "predict"' in text
    assert "Requires-Dist: torch>=2.15\n" in text
    ray = [line for line in text.splitlines() if "ray[" in line]
    assert ray == ['Requires-Dist: ray[default,tune]>=2.60; extra == "grid"']


def test_an_installed_model_can_be_exported_again_with_the_same_wheel(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(tmp_path / "t")]
    wheel = write_wheel(tmp_path)
    subprocess.run([*pip, str(wheel)], check=True)
    (tmp_path / "again").mkdir()
    again = tmp_path / "again"
    code = f"from pathlib import Path; from painmodels.use.wheel import write_wheel; write_wheel(Path({str(again)!r}))"
    python, installed = [sys.executable, "-P", "-c", code], {"PYTHONPATH": str(tmp_path / "t")}
    run = subprocess.run(python, env=installed, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert needs_of(wheel) == needs_of(again / wheel.name)


def needs_of(wheel: Path) -> list[str]:
    """What a wheel asks for."""
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    return [line for line in text.splitlines() if line.startswith("Requires-Dist")]


def test_the_listed_packages_are_in_the_base_and_few_extras_beside_it() -> None:
    base = {re.split(r"[^\w-]", requirement)[0] for requirement in PROJECT["dependencies"]}
    listed = {"ray", "mlflow", "optuna", "torch", "torchvision", "retina-face", "decord", "numpy", "pandas", "pyarrow"}
    assert listed <= base
    assert set(PROJECT["optional-dependencies"]) == {"dev", "docs", "formats", "lsl", "onnx", "postgresql"}
