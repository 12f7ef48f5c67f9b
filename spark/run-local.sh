#!/usr/bin/env bash
# Draws a file of prompts with Spark in this process, from a checkout alone: Spark comes from Maven.
#   spark/run-local.sh PROMPTS OUT [NAME=VALUE …]
# leaves OUT/png/000001.png … and OUT/pictures.parquet. Options: see docs/spark.md.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[ $# -ge 2 ] || { echo "usage: spark/run-local.sh PROMPTS OUT [NAME=VALUE …]" >&2; exit 2; }
. "$root/tools/find-jdk.sh"
JAVA_HOME=$(find_jdk) || { echo "no JDK 25 or newer was found; set JAVA_HOME to one" >&2; exit 2; }
export JAVA_HOME SPARK_LOCAL_IP=${SPARK_LOCAL_IP:-127.0.0.1}
# As the command's launcher has it: tensors in huge pages.
export GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0}
path=$root/spark/target/class-path
# Built when it isn't, or a source is newer.
if [ ! -f "$path" ] || [ -n "$(find "$root"/{engine,eval,models,spark}/{pom.xml,src/main} -newer "$path" -print -quit 2>/dev/null)" ]; then
  echo "building (once; fetches Spark, 300 MB, the first time) …" >&2
  (cd "$root" && mvn -B -q -Dmaven.test.skip=true -Dspotless.check.skip=true -Dcompiler.checks=-g -pl spark -am \
    -Prun-local package) >&2
fi
exec "$JAVA_HOME/bin/java" @"$root/spark/java-options" --enable-native-access=ALL-UNNAMED \
  "-Dspark.master=${SPARK_MASTER:-local[2]}" -Dspark.ui.enabled=false -Dspark.driver.host=127.0.0.1 \
  -Dspark.driver.bindAddress=127.0.0.1 -Dspark.log.level=WARN \
  -cp "$(echo "$root"/spark/target/heatkv-spark-*.jar):$(cat "$path")" io.heatkv.spark.GenerateJob "$@"
