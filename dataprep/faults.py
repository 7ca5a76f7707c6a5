"""The kinds of errors and the exit code of each.

| kind        | is                                                                         | the work                     | exit |
|-------------|----------------------------------------------------------------------------|------------------------------|------|
| `recording` | one file's fault (`RecordingError`, raised by readers and decoders alone)  | the recording is quarantined | 0    |
| `machine`   | the machine's                                                              | retried, then failed         | 1    |
| `diverged`  | a fit's whose loss is no number (a trial of a search: scored as the worst) | failed                       | 1    |
| `input`     | a wrong argument, setting, data set or weight file (`InputError`)          | never begun                  | 2    |
| `bug`       | anything else: this program's                                              | retried, then failed         | 3    |

A failure is never stored and never makes a training set smaller. Where several happened, 3 beats 1 beats 2; 130 is an
interruption.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from dataprep.home import home
from dataprep.records import InputError, RecordingError

RECORDING, MACHINE, DIVERGED, INPUT, BUG = "recording", "machine", "diverged", "input", "bug"
EXIT = {RECORDING: 0, MACHINE: 1, DIVERGED: 1, INPUT: 2, BUG: 3}
GRAVEST = (BUG, MACHINE, DIVERGED, INPUT, RECORDING)
INTERRUPTED = 130
_OF_MACHINE = ("OutOfMemoryError", "AcceleratorError", "ProcessDied")
_DEVICE_WORDS = ("CUDA", "cuDNN", "NCCL", "DefaultCPUAllocator", "out of memory")


@dataclass(frozen=True)
class Failure:
    """What went wrong, as plain data that travels between processes. `kind` is one of the five, or empty for nothing."""

    kind: str = ""
    reason: str = ""

    @property
    def again(self) -> bool:
        """Whether another try may succeed."""
        return self.kind in (MACHINE, BUG)


def classify(error: BaseException) -> str:
    """The kind of an error."""
    if isinstance(error, RecordingError):
        return RECORDING
    if isinstance(error, InputError):
        return INPUT
    if type(error).__name__ == "DivergedError":
        return DIVERGED
    if isinstance(error, OSError | MemoryError) or type(error).__name__ in _OF_MACHINE:
        return MACHINE
    if type(error).__module__.startswith("ray."):
        return MACHINE
    if isinstance(error, RuntimeError) and any(word in str(error) for word in _DEVICE_WORDS):
        return MACHINE
    return BUG


def failure(error: BaseException) -> Failure:
    """An error as data: its message alone where it was written for people, with its type otherwise."""
    kind = classify(error)
    told = kind in (RECORDING, INPUT, DIVERGED)
    return Failure(kind, str(error) if told else f"{type(error).__name__}: {error}")


def exit_code(kinds: Iterable[str]) -> int:
    """The code of the gravest kind; 0 for none."""
    met = set(kinds)
    return next((EXIT[kind] for kind in GRAVEST if kind in met), 0)


def guarded(command: Callable[[], int], *, kept: str = "", log: Callable[[], Path | None] = lambda: None) -> int:
    """Run a command and give its exit code; an error becomes a sentence on the standard error.

    `kept` says what is not lost where the machine failed or the user interrupted. The traceback of a bug goes into the folder
    that `log` names, or to the standard error. GRID_TRACEBACK in the environment lets every error through.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # the name of a file may be no UTF-8
    home()
    try:
        return command()
    except KeyboardInterrupt:
        print(f"\ninterrupted{f': {kept}' if kept else ''}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of the output has gone, as `head` does
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - it must outlive this block: Python flushes it at its end
        return 0
    except Exception as error:
        if os.environ.get("GRID_TRACEBACK"):
            raise
        kind = classify(error)
        if kind == BUG:
            print(bug_text(error, log()), file=sys.stderr)
        elif kind == MACHINE:
            said = failure(error).reason if not isinstance(error, OSError) else str(error)
            print(f"error: {said}{f'; {kept}' if kept else ''}", file=sys.stderr)
        else:
            print(f"error: {error}", file=sys.stderr)
        return exit_code([INPUT if kind == RECORDING else kind])  # the one file that a command was given


def bug_text(error: BaseException, folder: Path | None) -> str:
    """Print that the error is a bug of this program, and the file with its traceback."""
    trace = "".join(traceback.format_exception(error))
    said = f"{type(error).__name__}: {error}"
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / "bug.txt"
            file.write_text(trace, encoding="utf-8", errors="backslashreplace")
            return f"error: this is a bug in this program ({said}); its traceback is in {file}"
        except OSError:
            pass
    return f"{trace}error: this is a bug in this program ({said}); please report the lines above"
