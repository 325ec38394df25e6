#!/usr/bin/env bash
# Downloads ElasticMQ for its tests; with --install, as root, also installs Java and Maven.
# If the download fails, the script says so and succeeds; the tests are then skipped.
set -eu
cd "$(dirname "$0")/elasticmq"
target=../cache/elasticmq
version=$(sed -n 's:.*<version>\([0-9.]*[0-9]\)</version>.*:\1:p' pom.xml | tail -n 1)
if [ -f "$target/elasticmq-server_2.13-$version.jar" ]; then
    exit 0
fi
if ! command -v mvn >/dev/null || ! command -v java >/dev/null; then
    if [ "${1:-}" = --install ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get -qq update
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y default-jdk-headless maven >/dev/null
    else
        echo "elasticmq: needs java and mvn (Debian: default-jre-headless, maven); its tests will be skipped"
        exit 0
    fi
fi
rm -rf "$target"
if mvn -q -B -Dstyle.color=never dependency:copy-dependencies -DoutputDirectory="$target" -DincludeScope=runtime; then
    echo "elasticmq $version downloaded"
else
    rm -rf "$target"
    echo "elasticmq: mvn could not download it; its tests will be skipped"
fi
