#!/bin/sh
# Installs the Debian packages named as arguments that are missing; says what it does.
set -eu
command -v dpkg-query >/dev/null 2>&1 || {
    echo "lingbot-live: not a Debian system; if something is missing, install what these Debian"
    echo "packages hold: $*"
    exit 0
}
missing=""
for package in "$@"; do
    status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
sudo=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
        echo "lingbot-live: as root, run: apt-get install$missing"
        exit 1
    }
    sudo="sudo"
fi
echo "lingbot-live: installing system packages:$missing"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# shellcheck disable=SC2086 # a list of words on purpose
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
