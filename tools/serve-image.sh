#!/usr/bin/env bash
# Lays out what an image of heatkv serve holds on the CPU, every native library once:
#
#   tools/serve-image.sh FOLDER      (makes FOLDER/heatkv, libtorch, model, cache)
#
# Build first (mvn package). deploy/Dockerfile copies these; all of it may be read-only.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:?name the folder to write to}
. "$root/tools/find-jdk.sh"
jdk=$(find_jdk) || { echo "no JDK 25 or newer was found; set JAVA_HOME to one" >&2; exit 2; }
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
mkdir -p "$folder"
"$root/tools/make-runtime.sh" "$folder/heatkv"
HEATKV_CACHE=$unpacked "$jdk/bin/java" -jar "$root/cli/target/heatkv.jar" doctor >/dev/null
rm -rf "$folder/libtorch" "$folder/model" "$folder/cache"
mv "$unpacked"/libtorch-*/ "$folder/libtorch"
cp -r "$root/models/emoji/src/main/resources/io/heatkv/models/emoji" "$folder/model"
mkdir "$folder/cache"
# The tokenizer's library is unpacked here, once.
HEATKV_CACHE=$folder/cache HEATKV_LIBTORCH=$folder/libtorch "$folder/heatkv/bin/heatkv" doctor >/dev/null
chmod -R go-w "$folder"
du -sm "$folder" | awk '{print $1 " MB in " $2}'
