#!/usr/bin/env bash
# All that waits for a GPU, in under eight minutes, into one JSON file.
#
#     tests/benchmarks/gpu.sh OUT.json [--cpu]
#
# The CUDA tests; 60 packed LSTMs against 60 one after another; the face detector and the trunks in batches; two fits that
# share the GPU; one fold of every method. A step that fails or takes too long is told in the file, and the rest goes on.
# Exit status: 0 all steps were done, 1 some were not, 3 there is no CUDA device (--cpu: the same steps, smaller, on the CPU,
# to see that they run). PYTHON names the interpreter; otherwise it is that of .venv, or python3.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-$( [ -x .venv/bin/python ] && echo .venv/bin/python || echo python3 )}
PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} exec "$python" tests/benchmarks/gpu.py "$@"
