#!/usr/bin/env bash
# Builds the release twice, in two folders, and compares all artifacts by artifact:compare; lists of materials have a time
# and a number of their own and are left out.
#
#   tools/check-reproducible.sh
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tools/find-jdk.sh"
JAVA_HOME=$(find_jdk) || { echo "no JDK 25 or newer was found; set JAVA_HOME to one" >&2; exit 2; }
export JAVA_HOME
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for copy in one "another folder"; do
  mkdir "$work/$copy"
  (cd "$root" && tar -c --exclude=target --exclude=.git --exclude=node_modules .) | tar -x -C "$work/$copy"
done
# The user's repository of Maven by links, but for our group, which a release would leave marks in.
own=$HOME/.m2/repository
for level in . io io/github; do
  mkdir -p "$work/repository/$level" "$own/$level"
  for entry in "$own/$level"/*; do
    case $level/${entry##*/} in
      ./io | io/github | io/github/heatkv) ;;
      *) [ ! -e "$entry" ] || ln -s "$entry" "$work/repository/$level/" ;;
    esac
  done
done
# Classes are compiled as by the launcher, and what tests need is left out.
options=(-B -q -Prelease -Dmaven.test.skip=true -Dspotless.check.skip=true -Dcompiler.checks=-g
  "-Dmaven.repo.local=$work/repository"
  -pl '!clients,!benchmarks')
(cd "$work/one" && mvn "${options[@]}" deploy)
(
  cd "$work/another folder"
  TZ=Asia/Tokyo mvn "${options[@]}" verify artifact:compare -Dreference.repo="file://$work/one/target/repository"
)
echo "both builds are equal"
