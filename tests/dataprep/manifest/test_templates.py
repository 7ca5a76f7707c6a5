"""Templates of tables for data sets without a reader: told what is missing, and read once it is filled in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataprep.datasets import recognise
from dataprep.manifest.command import TEMPLATES, main
from dataprep.records import InputError
from dataprep.signals.files import prepare_signals


@pytest.mark.parametrize("name", sorted(folder.name for folder in TEMPLATES.iterdir()))
def test_a_template_is_read_once_it_is_filled_in(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data"
    assert main(["--template", name, str(folder)]) == 0
    with pytest.raises(InputError, match="FILL IT IN"):
        recognise(folder)
    settings = folder / "dataset.toml"
    text = settings.read_text()
    for key, value in (("length_s", "5.5"), ("rate_hz", "100"), ("delimiter", '";"')):
        text = text.replace(f'{key} = "FILL IT IN"', f"{key} = {value}")
    for n in range(4):
        text = text.replace('column = "FILL IT IN"', f'column = "c{n}"', 1)
    assert "FILL IT IN" not in text.replace("what says FILL IT IN", "")
    settings.write_text(text)
    with pytest.raises(InputError, match="a header and no rows"):
        recognise(folder)
    t = np.arange(3000) / 100
    rows = (";".join(f"{np.sin(v + n):.4f}" for n in range(4)) for v in t)
    (folder / "p1.csv").write_text("\n".join(["c0;c1;c2;c3", *rows]) + "\n")
    with open(folder / "manifest.csv", "a") as stream:
        stream.write("a,p1,no_pain,p1.csv,2.0,,,left\nb,p1,P3,p1.csv,12.5,,,left\n")
    data = recognise(folder)
    trials, defects = data.read_trials(folder)
    x_NTC, ids, broken = prepare_signals(trials, data)
    assert (ids, defects, broken, data.population) == (("a", "b"), (), (), name)
    np.testing.assert_allclose(x_NTC[1, 5:-5, 0], np.sin(12.5 + np.arange(138) / 25)[5:-5], atol=0.02)
    assert main(["--template", name, str(folder)]) == 2
    assert "is there already" in capsys.readouterr().err
