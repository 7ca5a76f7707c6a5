"""Weight files of the backbones: importing published ones, and where they are kept.

    python -m painmodels.weights import FILE --as alexnet-fer-bn [--out PATH]

reads a PyTorch `.pth` (tensors only: a file that would run code is refused; wrapped or prefixed as people publish them), a
MatConvNet `.mat` or a safetensors file, checks the name and shape of every tensor, and writes safetensors and a provenance
JSON beside it, by default to `$PAIN_GRID_WEIGHTS/<name>.safetensors` (`~/.cache/pain-grid` if the variable is not set).
Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dataprep.faults import guarded
from dataprep.outputs import check_output
from dataprep.program import program
from painmodels.trunks.backbones import BACKBONES
from painmodels.trunks.weight_cache import import_weights, provenance


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog=program("painmodels.weights"), description="Import published weight files of the trunks."
    )
    commands = p.add_subparsers(dest="command", required=True)
    importing = commands.add_parser("import", help="check a published weight file and copy it to the cache")
    importing.add_argument("file", type=Path, help="a .pth, .mat or .safetensors file")
    importing.add_argument("--as", dest="name", required=True, choices=list(BACKBONES), help="the backbone it belongs to")
    importing.add_argument("--out", type=Path, help="file to write instead of the default cache")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Gives 0, or 1 after printing what is wrong."""
    options = parser().parse_args(arguments)
    return guarded(lambda: _command(options))


def _command(options: argparse.Namespace) -> int:
    if options.out:
        for path in (options.out, options.out.with_suffix(".json")):
            if path.absolute().parent.is_dir():
                check_output("--out", path, inputs=[options.file])
    path = import_weights(options.file, options.name, out=options.out)
    print(f"{path}\n{provenance(options.name, path)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
