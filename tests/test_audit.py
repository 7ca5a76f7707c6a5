"""`make audit` never takes silence for good news.

A stand-in writes pip-audit's reports in the form of version 2.10: which answers its service gives cannot be arranged.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GOOD = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"], "aliases": [], "description": ""}]}
UNKNOWN = {"name": "c", "skip_reason": "Dependency not found on PyPI and could not be audited: c (1)"}


@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        ([GOOD], 0, "1 of 1 pinned versions were looked up"),
        ([GOOD, BAD, UNKNOWN], 1, "b 2: CVE-1, fixed in 3"),
        ([GOOD, UNKNOWN], 3, "not audited: 1 versions could not be looked up, the first: Dependency not found on PyPI"),
        (None, 3, "not audited: pip-audit could not ask the advisory service: OSError: no network"),
    ],
)
def test_exit_codes_and_messages(answers: list | None, code: int, said: str, tmp_path: Path) -> None:
    report = json.dumps({"dependencies": answers})
    write = f"import sys; open(sys.argv[sys.argv.index('--output') + 1], 'w').write({report!r})"
    (tmp_path / "pip_audit.py").write_text(write if answers else "raise OSError('no network')")
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci/audit")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
