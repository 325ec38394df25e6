#!/usr/bin/env bash
# Installs the shells for which completion is tested, and jq for the examples of the help, where that can be done; tests of others skip.
set -eu
missing=()
for shell in zsh fish jq; do
    command -v "$shell" >/dev/null || missing+=("$shell")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "note: ${missing[*]} not installed, and this is no place to install them" >&2
    exit 0
fi
apt-get update -q >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
