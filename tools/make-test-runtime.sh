#!/usr/bin/env bash
# Makes a folder that runs the tests of engine, verify and bench where there is neither Java nor Maven nor a network, such
# as on a cluster's GPU machine.
#
#   tools/make-test-runtime.sh [TARGET]      (default: engine/target/test-runtime)
#
# Build first (mvn package). There, with a PyTorch's libtorch:
#
#   HEATKV_LIBTORCH=…/torch/lib TARGET/bin/run-tests REPORTS -Dheatkv.device=cuda [-- CONSOLE_OPTIONS]
#
# REPORTS gets engine.txt and others.txt (failures, then the counts) and JUnit's XML. CONSOLE_OPTIONS go to JUnit's
# ConsoleLauncher in place of all classes, such as -c=io.heatkv.verify.KernelChecksTest.
# The embedded models lie in TARGET/models alone, so that they can be packed apart.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tools/find-jdk.sh"
jdk=$(find_jdk) || { echo "no JDK 25 or newer was found; set JAVA_HOME to one" >&2; exit 2; }
target=${1:-$root/engine/target/test-runtime}
modules="engine verify bench"
for built in models/emoji/target/classes models/emoji-512/target/classes testkit/target/classes engine/target/test-classes; do
  [ -d "$root/$built" ] || { echo "$built is missing; run mvn package first" >&2; exit 2; }
done
rm -rf "$target"
"$jdk/bin/jlink" --add-modules java.base,java.compiler,java.desktop,java.instrument,java.logging,java.management,java.net.http,java.xml,jdk.httpserver,jdk.management,jdk.unsupported,jdk.zipfs \
  --strip-debug --no-header-files --no-man-pages --compress zip-0 \
  --exclude-files="**/libjsound.so,**/libsplashscreen.so,**/libawt_xawt.so,**/classlist,**/jrt-fs.jar" --output "$target"

# JUnit itself comes as one jar with its launcher; libtorch is named at run time.
mkdir -p "$target/jars"
target=$(cd "$target" && pwd)
junit=$(sed -n 's:.*<junit.version>\(.*\)</junit.version>.*:\1:p' "$root/pom.xml")
(
  cd "$root"
  JAVA_HOME=$jdk mvn -B -q compile dependency:copy-dependencies -pl verify,bench -am -DincludeScope=test \
    -DexcludeGroupIds=io.github.heatkv,org.bytedeco,org.junit.jupiter,org.junit.platform \
    -DoutputDirectory="$target/jars"
  JAVA_HOME=$jdk mvn -B -q dependency:copy -N -DoutputDirectory="$target/jars" \
    -Dartifact="org.junit.platform:junit-platform-console-standalone:$junit"
)
zip -q -d "$target"/jars/tokenizers-*.jar '*/win-*' '*/osx-*' '*aarch64*' >/dev/null || true
# Stored, not deflated: the whole folder then packs to half of it.
for jar in "$target"/jars/*.jar; do
  mkdir "$target/unpacked"
  unzip -q "$jar" -d "$target/unpacked"
  rm "$jar"
  (cd "$target/unpacked" && zip -q -0 -r "$jar" .)
  rm -r "$target/unpacked"
done

# Tests read the sources and pages that they check from where they lie in a checkout.
mkdir -p "$target/checkout/docs" "$target/models"
(cd "$root" && cp -r --parents ./*/src/main/java engine/src/test/java "$target/checkout/")
for module in $modules testkit; do
  mkdir -p "$target/checkout/$module/target"
  cp -r "$root/$module"/target/*classes "$target/checkout/$module/target/"
done
# The same recordings lie in the engine's.
rm -rf "$target"/checkout/verify/target/test-classes/golden*
cp "$root"/docs/*.md "$target/checkout/docs/"
cp -r "$root/models/emoji/target/classes" "$target/models/emoji"
cp -r "$root/models/emoji-512/target/classes" "$target/models/emoji-512"

cat > "$target/bin/run-tests" <<'RUN'
#!/bin/sh
here=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
mkdir -p "$1"
reports=$(cd "$1" && pwd)
shift
properties=
while [ $# -gt 0 ] && [ "$1" != -- ]; do properties="$properties $1"; shift; done
[ "${1:-}" = -- ] && shift
cd "$here/checkout/engine" || exit 2
engine=target/test-classes:target/classes
others=../verify/target/test-classes:../bench/target/test-classes
main=../verify/target/classes:../bench/target/classes:../testkit/target/classes:$here/models/emoji-512

# Runs tests found on a class path: run NAME CLASSES CONSOLE_OPTIONS.
run() {
  name=$1 classes=$2
  shift 2
  # shellcheck disable=SC2086 # each property is a word of its own
  "$here/bin/java" --enable-native-access=ALL-UNNAMED -Xmx2g $properties \
    -cp "$classes:$here/models/emoji:$here/jars/*" \
    org.junit.platform.console.ConsoleLauncher execute "$@" --exclude-tag=fuzz --disable-banner \
    --disable-ansi-colors --details=summary --single-color --reports-dir="$reports/$name" \
    >"$reports/$name.txt" 2>"$reports/$name-errors.txt" || code=$?
  grep -E '^(  JUnit|    =>|Test run finished)|tests (found|skipped|successful|failed)' "$reports/$name.txt"
}
code=0
if [ $# -gt 0 ]; then
  run tests "$engine:$others:$main" "$@"
else
  # The engine's tests see the engine alone, as in a build.
  run engine "$engine" --scan-classpath=target/test-classes
  run others "$engine:$others:$main" "--scan-classpath=$others"
fi
exit $code
RUN
chmod +x "$target/bin/run-tests"
du -sm "$target" | awk '{print $1 " MB in " $2}'
