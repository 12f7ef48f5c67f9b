#!/usr/bin/env bash
# What Spark adds to a picture on the CPU: heatkv generate and the batch job by turns, with the embedded model, the
# same prompts, passes and threads. A picture's time is the difference of a long and a short run by the difference of
# their pictures: what each run takes once (Java, the session, the model) is in both and cancels out.
#   tools/spark-overhead.sh FOLDER
# Of the environment: SHORT (4) and LONG (36) pictures, BATCH of a pass (4), BUDGET (100%), TURNS (3).
# Needs a quiet machine.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:?FOLDER}
short=${SHORT:-4} long=${LONG:-36} batch=${BATCH:-4} budget=${BUDGET:-100%} turns=${TURNS:-3}
cores=$(nproc)
mkdir -p "$folder"

prompts() { seq -f 'a red apple with a green leaf, number %.0f' 1 "$1" >"$folder/prompts.txt"; }

alone() {
  "$here/heatkv" generate --prompts "$folder/prompts.txt" --batch "$batch" --kv-budget "$budget" --device cpu \
    --threads "$cores" --seed 1 --quiet -o "$folder/out/a.png"
}

# One task that has all cores, as the command has.
spark() {
  SPARK_MASTER="local[$cores]" JDK_JAVA_OPTIONS="-Dspark.task.cpus=$cores" \
    "$here/spark/run-local.sh" "$folder/prompts.txt" "$folder/out" batch="$batch" budget="$budget" device=cpu \
    partitions=1 seed=1
}

# Seconds of a run into an empty folder.
seconds() {
  local start
  rm -rf "$folder/out" && mkdir "$folder/out"
  start=$(date +%s.%N)
  "$1" >"$folder/log.txt" 2>&1 || { cat "$folder/log.txt" >&2; return 1; }
  echo "$start $(date +%s.%N)" | awk '{ printf "%.3f", $2 - $1 }'
}

# Builds what isn't built, and reads every file once.
prompts 1
seconds alone >/dev/null
seconds spark >/dev/null
for turn in $(seq "$turns"); do
  for way in alone spark; do
    prompts "$short"
    least=$(seconds "$way")
    prompts "$long"
    most=$(seconds "$way")
    echo "$turn $way $least $most" |
      awk -v n=$((long - short)) '{ printf "%d %-5s %8.2f s %8.2f s %8.1f ms a picture\n", $1, $2, $3, $4, ($4 - $3) / n * 1000 }'
  done
done | tee "$folder/turns.txt"
# Each turn's two were neighbours in time.
awk '$2 == "alone" { alone = $7 } $2 == "spark" { print ($7 / alone - 1) * 100 }' "$folder/turns.txt" | sort -n |
  awk '{ each[NR] = $1 } END { printf "Spark adds %.1f %% a picture (median of %d turns, %.1f to %.1f)\n", each[int((NR + 1) / 2)], NR, each[1], each[NR] }'
