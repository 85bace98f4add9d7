#!/usr/bin/env bash
# Makes the Debian package of a program in a folder, and prints its path:
#
#	packaging/deb.sh skadi|agentd amd64|arm64 FOLDER
#
# VERSION and COMMIT of the environment are the version's. With SOURCE_DATE_EPOCH
# the same source makes the same bytes.
set -euo pipefail
program=$1 arch=$2 out=$(realpath -m "$3")
cd "$(dirname "$0")/.."
stage=$(mktemp -d)
trap 'rm -r "$stage"' EXIT
packaging/build.sh "$program" linux "$arch" "$stage/$program"

# The unit and the completions are the program's own, which has to run here.
here=$stage/$program
if [ "$(go env GOHOSTOS)/$(go env GOHOSTARCH)" != "linux/$arch" ]; then
	here=$stage/here
	packaging/build.sh "$program" "$(go env GOHOSTOS)" "$(go env GOHOSTARCH)" "$here"
fi
"$here" service install --print --program "/usr/bin/$program" --user "$program" -c "/etc/skadi/$program.yaml" >"$stage/$program.service"
for shell in bash zsh fish; do
	"$here" completion "$shell" >"$stage/completion.$shell"
done
cp -r docs "$stage/docs"
chmod -R u=rwX,go=rX "$stage/docs"
if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then # nfpm leaves what is in a folder its own times
	find "$stage/docs" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
fi
for file in postinst prerm postrm "$program.yaml"; do
	sed "s|@program@|$program|g; s|@stage@|$stage|g; s|@arch@|$arch|g; s|@version@|${VERSION:-v0.0.0-dev}|g" \
		"packaging/$file" >"$stage/$file"
done
mkdir -p "$out"
go tool -modfile=.ci/pack.mod nfpm package -f "$stage/$program.yaml" -p deb -t "$out" | sed -n 's/^created package: //p'
