#!/usr/bin/env bash
# Builds a program, static, for one platform:
#
#	packaging/build.sh skadi|agentd OS ARCH FILE
set -euo pipefail
program=$1 os=$2 arch=$3 file=$(realpath -m "$4")
cd "$(dirname "$0")/.."
package=. flags="-s -w"
if [ "$program" = agentd ]; then
	package=./agentd
elif [ -n "${COMMIT:-}" ]; then
	flags+=" -X github.com/letserverrun/skadi/cli.commit=$COMMIT"
fi
CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath -ldflags "$flags" -o "$file" "$package"
