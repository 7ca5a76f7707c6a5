"""The command `pain-grid`: one tree of help, a subcommand for every `python -m` form, completion in a real shell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dataprep.records import InputError
from pain_grid.commands import COMMANDS, main
from pain_grid.completion import SHELLS, script
from pain_grid.status import newest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("dataprep", "painmodels", "grid", "dashboards", "pain_grid")


def test_every_command_line_of_the_packages_is_a_subcommand() -> None:
    own = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if re.search(r"prog=|ArgumentParser\(\s*description", file.read_text())
    }
    options_of = {"grid.run.options": "grid.launch"}
    assert {options_of.get(at, at) for at in own} - {"pain_grid.commands"} == {command.at for command in COMMANDS}


def test_the_help_is_one_tree(capsys: pytest.CaptureFixture) -> None:
    assert main(["--help"]) == 0
    tree = capsys.readouterr().out
    for command in COMMANDS:
        assert f"\n  {command.name} " in tree
        with pytest.raises(SystemExit) as ended:
            main([command.name, "--help"])
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: pain-grid {command.name}")
    with pytest.raises(SystemExit) as ended:
        main(["lanch"])
    assert ended.value.code == 2
    assert "found 'lanch', expected 'launch'" in capsys.readouterr().err


def test_the_old_forms_name_themselves(capsys: pytest.CaptureFixture) -> None:
    from dataprep.faces import main as faces

    with pytest.raises(SystemExit):
        faces(["--help"])
    assert capsys.readouterr().out.startswith("usage: python -m dataprep.faces")


def completed(line: str, tmp_path: Path) -> set[str]:
    """What bash offers at the end of a line."""
    words = line.split(" ")
    file = tmp_path / "completion.bash"
    if not file.exists():
        file.write_text(script("bash"))
    array = " ".join(f"'{word}'" for word in words)
    code = f'. {file}; COMP_WORDS=({array}); COMP_CWORD={len(words) - 1}; _pain_grid; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_bash_completes_subcommands_options_and_choices(tmp_path: Path) -> None:
    assert completed("pain-grid st", tmp_path) == {"status", "stream"}
    assert completed("pain-grid launch --prot", tmp_path) == {"--protocol"}
    assert completed("pain-grid launch --all --protocol ", tmp_path) >= {"holdout", "loso", "sample", "subject"}
    assert completed("pain-grid tracking ", tmp_path) == {"sync", "ui"}
    assert completed("pain-grid predict x", tmp_path) == set()  # bash then offers files


@pytest.mark.parametrize("shell", [s for s in SHELLS if s != "bash"])
def test_other_shells_have_every_option(shell: str, tmp_path: Path) -> None:
    text = script(shell)
    assert all(command.name in text for command in COMMANDS)
    assert ("-l in-process" if shell == "fish" else "--in-process") in text
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: the script was written and not run")
    file = tmp_path / "script"
    file.write_text(text)
    assert subprocess.run([shell, "-n", str(file)]).returncode == 0


def test_status_takes_the_newest_folder(tmp_path: Path) -> None:
    for name, when in (("old", 1_000), ("new", 2_000)):
        (tmp_path / name / "store").mkdir(parents=True)
        os.utime(tmp_path / name / "store", (when, when))
    assert newest(tmp_path).name == "new"
    with pytest.raises(InputError, match="no result folder: name one"):
        newest(tmp_path / "old")
