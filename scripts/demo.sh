#!/bin/sh
# Opens the app on the simulated camera; without a display, on a virtual one for 20 s.
set -eu
app=$1
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] || [ "$(uname)" = Darwin ]; then
    exec "$app" run synthetic:stereo
fi
echo "lingbot-live: no display; running 20 s on a virtual one, results go to demo/"
rm -rf demo
mkdir -p demo
xvfb-run --auto-servernum --server-args "-screen 0 1440x900x24" \
    "$app" run synthetic:stereo --duration 20 --reset \
    --screenshot demo/screenshot.png --snapshot demo/snapshot --stats demo/stats.json
echo "lingbot-live: wrote demo/screenshot.png, demo/snapshot/ and demo/stats.json"
