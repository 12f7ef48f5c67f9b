#!/usr/bin/env bash
# Makes a folder that runs heatkv without an installed Java: a jlink image with the jars inside.
#
#   tools/make-runtime.sh [TARGET]      (default: cli/target/runtime)
#
# Build first (mvn package). The image holds the command, its libraries and, for this platform, the
# native ones of the tokenizer and ONNX Runtime; libtorch is named at run time by HEATKV_LIBTORCH, and
# a model by --model.
# With WITH_NATIVES=1 libtorch's CPU natives and the embedded models go in too (some 300 MB more).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tools/find-jdk.sh"
jdk=$(find_jdk) || { echo "no JDK 25 or newer was found; set JAVA_HOME to one" >&2; exit 2; }
target=${1:-$root/cli/target/runtime}
jars=$root/cli/target
[ -f "$jars/heatkv.jar" ] || { echo "$jars/heatkv.jar is missing; run mvn package first" >&2; exit 2; }
rm -rf "$target"
"$jdk/bin/jlink" --add-modules java.base,java.desktop,java.logging,java.management,java.naming,java.net.http,java.xml,jdk.httpserver,jdk.management,jdk.unsupported \
  --strip-debug --no-header-files --no-man-pages --compress zip-0 \
  --exclude-files="**/libjsound.so,**/libsplashscreen.so,**/libawt_xawt.so,**/classlist,**/jrt-fs.jar" --output "$target"
mkdir -p "$target/heatkv/lib"
cp "$jars/heatkv.jar" "$target/heatkv/"
for jar in "$jars"/lib/*.jar; do
  case $(basename "$jar") in
    pytorch-*|openblas-*|heatkv-model-*) [ "${WITH_NATIVES:-}" = 1 ] || continue ;;
  esac
  cp "$jar" "$target/heatkv/lib/"
done
# These jars bring every platform's library; this image needs its own.
for jar in "$target"/heatkv/lib/tokenizers-*.jar "$target"/heatkv/lib/onnxruntime-*.jar; do
  zip -q -d "$jar" '*/win-*' '*/osx-*' '*aarch64*' >/dev/null || true
done
cat > "$target/bin/heatkv" <<'RUN'
#!/bin/sh
here=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
# Arguments and file names are UTF-8, whatever the caller's locale.
export LC_ALL=C.UTF-8
# This and Java's options are as the launcher has them.
export GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0}
command=${1:-}
set -- -XX:-UsePerfData "-Xlog:aot*=off,cds*=off" -jar "$here/heatkv/heatkv.jar" "$@"
case $command in
  generate | schedule | heatmap | compare | inspect | doctor | completion | man | -*) set -- -XX:TieredStopAtLevel=1 -Xmn32m "$@" ;;
esac
callers="${JDK_JAVA_OPTIONS:-} ${JAVA_TOOL_OPTIONS:-} ${_JAVA_OPTIONS:-}"
case $callers in
  *-XX:+Use*GC* | *@* | *-XX:Flags=* | *-XX:VMOptionsFile=*) ;;
  *) set -- -XX:+UseSerialGC "$@" ;;
esac
# The classes that a picture needs on this machine, loaded and linked: half a second less at every start. They are kept
# after the first picture, beside whatever comes next.
archive=$here/heatkv/heatkv.aot
case $callers in
  *-Xshare* | *SharedArchiveFile* | *-XX:AOT*) ;;
  *)
    if [ -e "$archive" ]; then
      set -- "-XX:AOTCache=$archive" "$@"
    elif [ "$command" = generate ] && [ -w "$here/heatkv" ]; then
      made=$archive.$$
      # Java would tell of it on standard output.
      "$here/bin/java" -XX:+UnlockDiagnosticVMOptions -XX:-DisplayVMOutput -XX:AOTMode=record "-XX:AOTConfiguration=$made.seen" "$@"
      status=$?
      (
        [ $status -ne 0 ] ||
          { "$here/bin/java" -XX:AOTMode=create "-XX:AOTConfiguration=$made.seen" "-XX:AOTCache=$made" "$@" && mv "$made" "$archive"; }
        rm -f "$made"*
      ) >/dev/null 2>&1 &
      exit $status
    fi
    ;;
esac
exec "$here/bin/java" "$@"
RUN
chmod +x "$target/bin/heatkv"
du -sm "$target" | awk '{print $1 " MB in " $2}'
