#!/usr/bin/env bash
# Installs the SQS clients for tests/clients; with --install, as root, Node too.
# If one cannot be installed, the script says so and succeeds; its tests are then skipped.
set -eu
cd "$(dirname "$0")/.."
. .ci/environment.sh
wanted=.ci/clients target=.ci/cache/clients
mkdir -p "$target"

# A file is copied after everything that it lists is installed.
is_there() { cmp -s "$wanted/$1" "$target/$1"; }
fetched() { cp "$wanted/$1" "$target/$1" && echo "clients: $1 installed"; }
skipped() { echo "clients: $1 could not install $2; its tests will be skipped"; }

for name in python query-protocol; do
    if ! is_there "$name.txt"; then
        make_environment "$target/$name"
        if "$target/$name/bin/python" -m pip install -q -r "$wanted/$name.txt"; then
            fetched "$name.txt"
        else
            skipped pip "$name.txt"
        fi
    fi
done

if ! is_there package-lock.json; then
    if ! command -v npm >/dev/null && [ "${1:-}" = --install ] && [ "$(id -u)" = 0 ] &&
        command -v apt-get >/dev/null; then
        apt-get -qq update
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y nodejs npm >/dev/null
    fi
    if ! command -v npm >/dev/null || [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
        echo "clients: sqs-consumer needs npm and Node 20 or newer; its tests will be skipped"
        exit 0
    fi
    mkdir -p "$target/node"
    cp "$wanted/package.json" "$wanted/package-lock.json" "$target/node/"
    if npm ci --prefix "$target/node" --loglevel=error --no-audit --no-fund; then
        fetched package-lock.json
    else
        skipped npm package-lock.json
    fi
fi
