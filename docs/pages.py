"""A hook of MkDocs: pages made of the texts that the repository has anyway, so that nothing is told twice.

README.md becomes a page per section; CONTRIBUTING.md, DECISIONS.md, CHANGELOG.md and the texts on clusters one page each; the
help of every subcommand one page. Links between these texts lead to their pages; a link to another file becomes its words.
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WHOLE = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "grid/DECISIONS.md": "decisions.md",
    "grid/clusters/README.md": "clusters.md",
    "grid/clusters/SECURITY.md": "security.md",
}
OWN_PAGE_FROM = "Your own data"
"""The first section of README.md that is a page of its own; those before it are the home page."""
LINK = re.compile(r"(!?)\[((?:[^\]\[]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```[^\n]*$", re.MULTILINE | re.DOTALL)


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub and the site both make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def readme_pages(text: str) -> dict[str, str]:
    """Page -> its text, of README.md."""
    first, *sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    pages, home = {"index.md": first}, True
    for section in sections:
        title = section.partition("\n")[0].removeprefix("## ")
        home = home and title != OWN_PAGE_FROM
        if home:
            pages["index.md"] += section
        else:
            pages[f"{slug(title)}.md"] = re.sub(r"^#(#+ )", r"\1", section, flags=re.MULTILINE)
    return pages


def texts() -> dict[str, tuple[str, str]]:
    """Page -> the file it is made of, and its text."""
    found = {
        page: ("README.md", text) for page, text in readme_pages((ROOT / "README.md").read_text(encoding="utf-8")).items()
    }
    found |= {page: (file, (ROOT / file).read_text(encoding="utf-8")) for file, page in WHOLE.items()}
    return found


def anchors(pages: Mapping[str, tuple[str, str]]) -> dict[tuple[str, str], str]:
    """(file, anchor) -> its page, for every heading of the texts; an empty anchor is the beginning of a file."""
    found: dict[tuple[str, str], str] = {}
    for page, (file, text) in pages.items():
        found.setdefault((file, ""), page)
        for heading in HEADING.findall(FENCE.sub("", text)):
            found.setdefault((file, slug(heading)), page)
    return found


def linked(text: str, file: str, known: Mapping[tuple[str, str], str], pictures: dict[str, Path]) -> str:
    """A text whose links lead within the site. `pictures` gets those that it shows. Raises ValueError for a dead link."""

    def change(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        if "://" in target:
            return found.group()
        path, _, anchor = target.partition("#")
        at = posixpath.normpath(posixpath.join(posixpath.dirname(file), path)) if path else file
        if not (ROOT / at).exists():
            raise ValueError(f"{file}: links to {target}, which is not there")
        if picture:
            pictures[f"pictures/{Path(at).name}"] = ROOT / at
            return f"![{words}](pictures/{Path(at).name})"
        if at not in {name for name, _ in known}:
            return words
        if (at, anchor) not in known:
            raise ValueError(f"{file}: links to {target}, which has no such heading")
        return f"[{words}]({known[at, anchor]}{f'#{anchor}' if anchor else ''})"

    parts = re.split(r"(^```.*?^```[^\n]*$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else LINK.sub(change, part) for part in parts)


def commands() -> str:
    """The help of every subcommand."""
    from dataprep.program import called
    from pain_grid.commands import COMMANDS, NAME, help_text

    lines = ["# Commands", "", "```", help_text(), "```", ""]
    for command in COMMANDS:
        with called(NAME if command.word else f"{NAME} {command.name}"):
            parser = command.module.parser()
        lines += [f"## {NAME} {command.name}", "", f"{command.about[0].upper()}{command.about[1:]}.", ""]
        lines += [f"Also `python -m {at}`.", ""] if (at := _module(command.at, command.word)) else []
        for part in _parsers(parser, command.word):
            lines += ["```", part.format_help().rstrip(), "```", ""]
    return "\n".join(lines)


def _module(at: str, word: str) -> str:
    """The `python -m` form of a subcommand; empty if it has none."""
    file = ROOT / (at.replace(".", "/") + ".py")
    if "__main__" in file.read_text(encoding="utf-8"):
        return at
    found = re.search(r'program\("([\w.]+)"\)', file.read_text(encoding="utf-8"))
    package = found.group(1) if found else ""
    return f"{package} {word}".strip() if package and (ROOT / package.replace(".", "/") / "__main__.py").exists() else ""


def _parsers(parser: Any, word: str) -> Iterator[Any]:
    """A parser and those of its subcommands; of the subcommand `word` alone, if there is one."""
    if not word:
        yield parser
    for action in parser._actions:
        if type(action).__name__ == "_SubParsersAction":
            yield from (inner for name, inner in action.choices.items() if not word or name == word)


def on_files(files: Any, config: Any) -> Any:
    """Called by MkDocs: adds the pages and the pictures that they show."""
    from mkdocs.structure.files import File

    sys.path.insert(0, str(ROOT))
    pages = texts()
    known, pictures = anchors(pages), {}
    for page, (file, text) in pages.items():
        files.append(File.generated(config, page, content=linked(text, file, known, pictures)))
    files.append(File.generated(config, "commands.md", content=commands()))
    for name, path in pictures.items():
        files.append(File.generated(config, name, content=path.read_bytes()))
    return files
