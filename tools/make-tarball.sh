#!/usr/bin/env bash
# Makes heatkv-VERSION-linux-x86_64.tar.gz and its checksum: a folder that runs heatkv without Java, from any place on
# Linux x86-64 with glibc 2.35 or newer and libstdc++; with the embedded model, the CPU natives, manual pages and a completion.
#
#   tools/make-tarball.sh [FOLDER]      (default: cli/target)
#
# Build first (mvn package).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mkdir -p "${1:-$root/cli/target}" && cd "${1:-$root/cli/target}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
WITH_NATIVES=1 "$root/tools/make-runtime.sh" "$work/heatkv" >/dev/null
heatkv=$work/heatkv/bin/heatkv
version=$("$heatkv" --version | sed -n 's/^heatkv //p')
name=heatkv-$version-linux-x86_64
mv "$work/heatkv" "$work/$name"
heatkv=$work/$name/bin/heatkv
share=$work/$name/share
mkdir -p "$share/man/man1" "$share/bash-completion/completions"
"$heatkv" completion >"$share/bash-completion/completions/heatkv"
"$heatkv" man >"$share/man/man1/heatkv.1"
sed -n '/^\.SH COMMANDS/,/^\.SH EXIT/s/^\\fB\(.*\)\\fR$/\1/p' "$share/man/man1/heatkv.1" | sed 's/\\-/-/g' |
  while read -r command; do "$heatkv" man "$command" >"$share/man/man1/heatkv-$command.1"; done
cp "$root"/{LICENSE,NOTICE,README.md} "$work/$name/"
(
  cd "$work"
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=2026-01-01T00:00Z -c "$name" | gzip -n >"$folder/$name.tar.gz"
)
cd "$folder"
sha256sum "$name.tar.gz" | tee "$name.tar.gz.sha256"
