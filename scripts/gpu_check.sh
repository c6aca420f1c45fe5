#!/bin/sh
# Runs every test marked gpu, and `bench --gpu`, and leaves one JSON with all of it; in six minutes.
#   scripts/gpu_check.sh wheels          where there are packages: fetch the small ones
#   scripts/gpu_check.sh [OUT.json]      on the machine with the GPU, which may have no network
#   DEVICE=cpu scripts/gpu_check.sh      try the same without a GPU
# The GPU's machine holds torch, NumPy, OpenCV, pytest, hypothesis, typer, rich, safetensors,
# requests and filelock; PYTHON names its Python. What else is needed comes from build/gpu-wheels.
set -eu

cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
DEVICE=${DEVICE:-gpu}
FOR=${FOR:-3.12} # Python of the machine with the GPU
WHEELS=build/gpu-wheels
SMALL="platformdirs psutil packaging pytest-timeout pytest-xdist execnet lz4 zstandard mcap tomli-w"

if [ "${1:-}" = wheels ]; then
    mkdir -p "$WHEELS"
    # shellcheck disable=SC2086
    "$PYTHON" -m pip download --quiet --no-deps --only-binary=:all: --python-version "$FOR" \
        --dest "$WHEELS" $SMALL
    ls -l "$WHEELS"
    exit
fi

out=${1:-build/gpu-check.json}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$(dirname "$out")" "$work/site"
# A wheel is an archive of what stands in site-packages; pip need not be there.
for wheel in "$WHEELS"/*.whl; do
    [ -e "$wheel" ] && "$PYTHON" -m zipfile -e "$wheel" "$work/site"
done
export PYTHONPATH="$PWD:$work/site" PYTHONDONTWRITEBYTECODE=1

status=0
# Files by name: collecting all would import what this machine lacks.
# shellcheck disable=SC2046
timeout 200 "$PYTHON" -m pytest -m gpu -q -p no:cacheprovider \
    --junitxml "$work/tests.xml" $(grep -rlE 'mark(s=|\.).*gpu|TORCH' tests --include='test_*.py') \
    || status=$?
few=""
[ "$DEVICE" = gpu ] || few="--tokens 48" # a CPU is slow
# shellcheck disable=SC2086
timeout 150 "$PYTHON" -m lingbot_live.cli.main bench "--$DEVICE" --rounds 10 $few \
    --json "$work/bench.json" || status=$?
"$PYTHON" scripts/gpu_report.py "$out" "$work/tests.xml" "$work/bench.json"
exit "$status"
