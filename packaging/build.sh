#!/usr/bin/env bash
# Builds a program, static, for one platform:
#
#	packaging/build.sh skadi|agentd OS ARCH FILE
#
# VERSION and COMMIT of the environment, if they are set, are what it says it is.
set -euo pipefail
program=$1 os=$2 arch=$3 file=$(realpath -m "$4")
cd "$(dirname "$0")/.."
cli=github.com/letserverrun/skadi/cli
case $program in
skadi) package=. flags="-s -w${VERSION:+ -X $cli.release=$VERSION}${COMMIT:+ -X $cli.commit=$COMMIT}" ;;
agentd) package=./agentd flags="-s -w${VERSION:+ -X main.version=$VERSION}${COMMIT:+ -X main.commit=$COMMIT}" ;;
esac
CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath -ldflags "$flags" -o "$file" "$package"
