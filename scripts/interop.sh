#!/usr/bin/env bash
# Record a short session and let other people's programs read it: `rerun mcap check` and `convert`.
# Rerun gets an environment of its own, since it may want other versions than the app.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${1:-python3}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
"$PYTHON" -m venv "$WORK/rerun"
"$WORK/rerun/bin/pip" install --quiet --progress-bar off rerun-sdk
"$PYTHON" -m lingbot_live record synthetic:stereo -o "$WORK/session.mcap" --frames 20 --refiner none
"$WORK/rerun/bin/rerun" mcap check "$WORK/session.mcap"
"$WORK/rerun/bin/rerun" mcap convert "$WORK/session.mcap" -o "$WORK/session.rrd"
"$WORK/rerun/bin/rerun" rrd print "$WORK/session.rrd" > "$WORK/printed.txt"
for wanted in \
    "depth/image - data columns: .*DepthImage:buffer" \
    "refined/image - data columns: .*DepthImage:buffer" \
    "camera_info - data columns: .*Pinhole:image_from_camera" \
    "color/image/compressed - data columns: .*EncodedImage:blob"; do
    grep -q "$wanted" "$WORK/printed.txt" || { echo "interop: Rerun shows no '$wanted'"; exit 1; }
done
echo "interop: Rerun reads colour, raw and refined depth, and the pinhole"
