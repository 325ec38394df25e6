#!/usr/bin/env bash
# Installs the shells that completion is tested in, jq for an example of the help, and systemd for the
# unit in examples/deploy, where that can be done; the tests of what is missing skip.
set -eu
missing=()
for program in zsh fish jq; do
    command -v "$program" >/dev/null || missing+=("$program")
done
command -v systemd-analyze >/dev/null || missing+=(systemd)
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "note: ${missing[*]} not installed, and this is no place to install them" >&2
    exit 0
fi
apt-get update -q >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
