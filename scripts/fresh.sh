#!/bin/sh
# Runs commands in a fresh clone on a Debian that has nothing yet; nothing of it stays.
#   scripts/fresh.sh trixie                                  make demo, then make test
#   scripts/fresh.sh bookworm "make demo TORCH=torch==2.13.0"  these commands instead
# As root, with debootstrap. MIRROR names another mirror, KEEP=1 keeps the folder. Uncommitted
# changes are not in the clone.
set -eu

# What the new system takes over from this one: certificates, names, pip's settings and the local
# folders that they name.
take_over() {
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" || return 1
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    for file in /etc/pip.conf /etc/xdg/pip "$HOME/.config/pip" "$HOME/.pip"; do
        [ -e "$file" ] || continue
        goal=$root/root/${file#"$HOME"/}
        case $file in /etc/*) goal=$root$file ;; esac
        mkdir -p "$(dirname "$goal")"
        cp -rL "$file" "$goal"
    done
    { env | grep '^PIP_'; cat "$root"/etc/pip.conf "$root"/etc/xdg/pip/* "$root"/root/.config/pip/* \
        "$root"/root/.pip/*; } 2>/dev/null | grep -oE 'file:///[^ ]+|/[^ =:]+' | sort -u |
        while read -r path; do
            # An index links to files beside its own folder.
            case $path in file://*) path=$(dirname "${path#file://}") ;; esac
            if [ -d "$path" ]; then see "$path"; fi
        done
}

see() { # a folder of this system, for reading only
    mountpoint -q "$root$1" && return
    mkdir -p "$root$1"
    mount --bind "$1" "$root$1"
    mount -o remount,bind,ro "$root$1"
}

inside() { # in a mount and process namespace of its own: all mounts and processes end with it
    debootstrap --variant=minbase --include=ca-certificates,git,make "$suite" "$root" \
        ${MIRROR:+"$MIRROR"} >"$root.log" 2>&1 || {
        tail -n 5 "$root.log"
        exit 1
    }
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    mount -t tmpfs tmpfs "$root/dev/shm"
    take_over
    [ -z "${LINGBOT_LIVE_TESTDATA:-}" ] || see "$LINGBOT_LIVE_TESTDATA"
    git clone --quiet --no-hardlinks . "$root/root/lingbot-live"
    for command in "$@"; do
        echo "fresh $suite: + $command"
        begun=$(date +%s)
        status=0
        env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
            $(env | grep -E '^(PIP_|LINGBOT_LIVE_|SSL_CERT_|REQUESTS_CA_|CURL_CA_|OPENBLAS_)[A-Z_]*=[^ ]*$') \
            $(env | grep -iE '^(https?|all|no)_proxy=[^ ]*$') \
            chroot "$root" sh -c "cd /root/lingbot-live && $command" || status=$?
        echo "fresh $suite: exit $status after $(($(date +%s) - begun)) s: $command"
        [ "$status" -eq 0 ] || exit "$status"
    done
}

if [ "${1:-}" = --inside ]; then
    suite=$2 root=$3
    shift 3
    inside "$@"
    exit
fi

suite=${1:?which Debian, such as bookworm or trixie}
shift
[ $# -gt 0 ] || set -- "make demo" "make test"
[ "$(id -u)" -eq 0 ] || { echo "fresh: must run as root"; exit 1; }
command -v debootstrap >/dev/null || { echo "fresh: apt-get install debootstrap"; exit 1; }
cd "$(dirname "$0")/.."
root=$(mktemp -d "${TMPDIR:-/var/tmp}/lingbot-live-$suite.XXXXXX")
chmod 755 "$root" # apt reads there as a user of its own
child=
clean() {
    trap '' INT TERM HUP
    [ -z "$child" ] || kill -KILL "$child" 2>/dev/null || true # unshare heeds no other; its child dies with it
    [ -z "$child" ] || wait "$child" 2>/dev/null || true
    [ -n "${KEEP:-}" ] && echo "fresh: kept $root" || rm -rf --one-file-system "$root" "$root.log"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
# In the background, since a shell waits for a command in front of it before it obeys a signal.
unshare --mount --pid --fork --kill-child sh scripts/fresh.sh --inside "$suite" "$root" "$@" &
child=$!
wait "$child"
