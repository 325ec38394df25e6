#!/usr/bin/env bash
# Installs zsh and fish for the completion tests, jq for an example in the help, and systemd for the unit
# in examples/deploy. Without root and apt-get it installs nothing; tests that need these programs are skipped.
set -eu
missing=()
for program in zsh fish jq; do
    command -v "$program" >/dev/null || missing+=("$program")
done
command -v systemd-analyze >/dev/null || missing+=(systemd)
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "note: ${missing[*]} not installed; installing them needs root and apt-get" >&2
    exit 0
fi
apt-get update -q >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
