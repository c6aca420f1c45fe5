#!/bin/sh
# Installs the Debian packages named as arguments that are missing; says what it does.
set -eu
command -v dpkg-query >/dev/null 2>&1 || {
    echo "lingbot-live: not a Debian system; if something is missing, install what these Debian"
    echo "packages hold: $*"
    exit 0
}
# Also the names that a package provides: Debian 13 calls libglib2.0-0 libglib2.0-0t64.
here=$(dpkg-query -W -f '${db:Status-Status}, ${Package}, ${Provides}\n' |
    sed -n 's/^installed,//p' | sed 's/([^)]*)//g' | tr ', ' '\n\n')
missing=""
for package in "$@"; do
    echo "$here" | grep -qxF "$package" || missing="$missing $package"
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
