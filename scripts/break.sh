#!/bin/sh
# Breaks the app in every way we know and prints what was tried, survived and lost; 1 if more was
# lost than is promised. Under 15 minutes; --short tries some of each kind, in about one.
#   scripts/break.sh [--short]
set -eu
cd "$(dirname "$0")/.."
exec .venv/bin/python tests/breaking.py "$@"
