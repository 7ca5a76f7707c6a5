"""Shell completion of `pain-grid`: subcommands, options and choices, read from the parsers once; no Python runs at a TAB."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dataprep.program import program

SHELLS = ("bash", "zsh", "fish")
FUNCTION = """_pain_grid() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} words=""
    if [ "$COMP_CWORD" -eq 1 ]; then
        words=%s
    else
        case "$command $prev" in
%s
        esac
        if [ -z "$words" ]; then
            case "$command" in
%s
            esac
            case "$cur" in -*) ;; *) words=$(printf '%%s\\n' $words | grep -v '^-') ;; esac
        fi
    fi
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _pain_grid pain-grid
"""


@dataclass
class Words:
    """What may follow a subcommand: `options` with what they are for, `choices` of an option, `first` without an option."""

    options: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)
    first: list[str] = field(default_factory=list)


def words_of(parser: argparse.ArgumentParser, word: str = "") -> Words:
    """The words of a command line; of its subcommand `word`, if one is named."""
    found = Words()
    for action in _actions(parser, word):
        choices = [str(choice) for choice in action.choices or ()]
        for option in action.option_strings:
            found.options[option] = (action.help or "").split(";")[0] % {"default": action.default}
            if choices:
                found.choices[option] = choices
        if not action.option_strings and not word:
            found.first += choices
    return found


def _actions(parser: argparse.ArgumentParser, word: str) -> Iterator[argparse.Action]:
    """The arguments of a command line, those of its subcommands too."""
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            yield action
            continue
        if not word:
            yield action
        for name, inner in action.choices.items():
            if not word or name == word:
                yield from inner._actions


def script(shell: str) -> str:
    """The script for a shell."""
    from pain_grid.commands import COMMANDS

    every = {command: words_of(command.module.parser(), command.word) for command in COMMANDS}
    if shell == "fish":
        lines = ["complete -c pain-grid -f -n __fish_use_subcommand"]
        lines += [f"complete -c pain-grid -n __fish_use_subcommand -a {c.name} -d {shlex.quote(c.about)}" for c in every]
        for command, words in every.items():
            start = f"complete -c pain-grid -n '__fish_seen_subcommand_from {command.name}'"
            for option, about in words.options.items():
                name = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
                chosen = f" -x -a '{' '.join(words.choices[option])}'" if option in words.choices else ""
                lines.append(f"{start} {name} -d {shlex.quote(about)}{chosen}")
            if words.first:
                lines.append(f"{start} -a '{' '.join(words.first)}'")
        return "\n".join(lines) + "\n"
    names = shlex.quote(" ".join(command.name for command in every))
    values = [
        f"            '{command.name} {option}') words={shlex.quote(' '.join(choices))} ;;"
        for command, words in every.items()
        for option, choices in words.choices.items()
    ]
    options = [
        f"                {command.name}) words={shlex.quote(' '.join([*words.options, *words.first]))} ;;"
        for command, words in every.items()
    ]
    begin = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return begin + FUNCTION % (names, "\n".join(values), "\n".join(options))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog=program("pain_grid.completion"),
        description="Print a script that completes pain-grid in a shell.",
        epilog='bash, zsh: eval "$(pain-grid completion bash)" in ~/.bashrc (zsh: ~/.zshrc)\n'
        "fish:      pain-grid completion fish > ~/.config/fish/completions/pain-grid.fish",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("shell", choices=SHELLS)
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    print(script(parser().parse_args(arguments).shell), end="")
    return 0
