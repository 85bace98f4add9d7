#!/usr/bin/env bash
# Builds what a release is made of into a folder, with SHA256SUMS:
#
#	packaging/dist.sh FOLDER [OS/ARCH…]
#
# Needs GNU tar. VERSION and COMMIT of the environment are the version's.
set -euo pipefail
out=$(realpath -m "$1")
shift
cd "$(dirname "$0")/.."
version=${VERSION:-v0.0.0-dev}
mkdir -p "$out"
stage=$(mktemp -d)
trap 'rm -r "$stage"' EXIT

# The completions are the same for every platform.
for program in skadi agentd; do
	packaging/build.sh "$program" "$(go env GOHOSTOS)" "$(go env GOHOSTARCH)" "$stage/$program.here"
	mkdir -p "$stage/completions/$program"
	for shell in bash zsh fish powershell; do
		"$stage/$program.here" completion "$shell" >"$stage/completions/$program/$program.${shell/powershell/ps1}"
	done
done

archive() { # PROGRAM OS ARCH
	local name=$1-$version-$2-$3 example=skadi.yaml.example exe=
	if [ "$1" = agentd ]; then example=agentd/agentd.yaml.example; fi
	if [ "$2" = windows ]; then exe=.exe; fi
	mkdir "$stage/$name"
	packaging/build.sh "$1" "$2" "$3" "$stage/$name/$1$exe"
	cp LICENSE README.md "$example" "$stage/$name/"
	cp -r docs "$stage/$name/docs"
	cp -r "$stage/completions/$1" "$stage/$name/completions"
	tar -C "$stage" --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
		--mtime="@${SOURCE_DATE_EPOCH:-0}" -cf - "$name" | gzip -n >"$out/$name.tar.gz"
	echo "$out/$name.tar.gz"
}

for platform in "$@"; do
	for program in skadi agentd; do
		archive "$program" "${platform%/*}" "${platform#*/}"
		if [ "${platform%/*}" = linux ]; then
			packaging/deb.sh "$program" "${platform#*/}" "$out"
		fi
	done
done
cd "$out"
shopt -s nullglob # not every platform has Debian packages
sha256sum -- *.tar.gz *.deb >SHA256SUMS
