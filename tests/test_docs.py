"""The pages of the documentation site are made of the repository's own texts, and their links lead somewhere."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_pages", ROOT / "docs" / "pages.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_link_of_the_texts_leads_to_a_page_or_a_file(pages: ModuleType) -> None:
    texts = pages.texts()
    known, pictures = pages.anchors(texts), {}
    for file, text in texts.values():
        assert pages.linked(text, file, known, pictures)
    assert all(path.is_file() for path in pictures.values())
    assert known["README.md", "the-mlflow-mirror"] == "reading-the-results.md"


@pytest.mark.parametrize("text", ["[a](gone.md)", "[a](#no-such-heading)", "[a](CONTRIBUTING.md#no-such-heading)"])
def test_a_dead_link_is_refused(pages: ModuleType, text: str) -> None:
    with pytest.raises(ValueError, match=r"README\.md: links to"):
        pages.linked(text, "README.md", pages.anchors(pages.texts()), {})


def test_code_is_not_changed_and_links_to_code_become_words(pages: ModuleType) -> None:
    known = pages.anchors(pages.texts())
    assert pages.linked("```\n[a](gone.md)\n```", "README.md", known, {}) == "```\n[a](gone.md)\n```"
    assert pages.linked("see [it](Makefile)", "README.md", known, {}) == "see it"
    assert pages.linked("[it](../DECISIONS.md)", "grid/clusters/README.md", known, {}) == "[it](decisions.md)"


def test_workflows_run_what_the_makefile_has(pages: ModuleType) -> None:
    targets = {line.split(":")[0] for line in (ROOT / "Makefile").read_text().splitlines() if ":" in line}
    for file in (ROOT / ".github" / "workflows").glob("*.yml"):
        jobs = yaml.safe_load(file.read_text())["jobs"]
        commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
        made = [command.split()[1] for command in commands if command.startswith("make ")]
        assert made
        assert set(made) <= targets
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    check = (ROOT / "Makefile").read_text()
    assert all(hook["entry"].removeprefix(".venv/").split()[0].split("/")[-1] in check for hook in hooks)
