#!/usr/bin/env bash
# Fetches the clients of others for tests/clients; with --install, as root, Node too.
# Where it cannot, it says so and ends well: those tests are skipped with a reason then.
set -eu
cd "$(dirname "$0")/.."
. .ci/environment.sh
wanted=.ci/clients target=.ci/cache/clients
mkdir -p "$target"

# What a file lists is there once the file has been copied beside it.
is_there() { cmp -s "$wanted/$1" "$target/$1"; }
fetched() { cp "$wanted/$1" "$target/$1" && echo "clients: $1 fetched"; }

for name in python query-protocol; do
    if ! is_there "$name.txt"; then
        make_environment "$target/$name"
        "$target/$name/bin/python" -m pip install -q -r "$wanted/$name.txt"
        fetched "$name.txt"
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
    npm ci --prefix "$target/node" --silent --no-audit --no-fund
    fetched package-lock.json
fi
