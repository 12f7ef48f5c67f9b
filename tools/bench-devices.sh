#!/usr/bin/env bash
# Pictures a second and calibration on 1, 2 and 4 CUDA devices, with random weights of a published size.
#   HEATKV_LIBTORCH=…/torch/lib tools/bench-devices.sh FOLDER [SIZE]
# FOLDER gets the model (16 GiB for infinity-2b, kept for the next run). Needs a build (./heatkv --version).
# Of the environment: COUNT pictures (256), BATCH of a pass (4), PROMPTS of the calibration (64), DEVICES (1 2 4).
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:?FOLDER}
size=${2:-infinity-2b}
heatkv=${HEATKV:-$here/heatkv}
model=$folder/$size
mkdir -p "$folder"
[ -d "$model" ] || "$heatkv" synth --like "$size" --dtype bf16 --vae --text -o "$model"

devices() { seq -s, -f 'cuda:%.0f' 0 $(($1 - 1)); }

# Seconds that a command took between loading and its end are told by itself; the wall clock is beside.
timed() {
  local start end
  start=$(date +%s.%N)
  "$@"
  end=$(date +%s.%N)
  printf '%s %s\n' "$start" "$end" | awk '{ printf "%.2f s in all\n", $2 - $1 }'
}

prompts=$folder/prompts.txt
seq -f 'a picture of number %.0f' 1 "${PROMPTS:-64}" >"$prompts"
profile=$model/$size.heatkv.json
for n in ${DEVICES:-1 2 4}; do
  rm -f "$profile" "$profile.partial"
  echo "calibration of ${PROMPTS:-64} prompts on $n:"
  timed "$heatkv" calibrate --model "$model" --device "$(devices "$n")" --prompts "$prompts" -q --json \
    -o "$profile" | grep -E '"(seconds|prompts_per_second)"|in all'
done
for budget in 2.5% 100%; do
  limit=()
  [ "$budget" = 100% ] || limit=(--kv-budget "$budget")
  for n in ${DEVICES:-1 2 4}; do
    echo "${COUNT:-256} pictures, $budget of the cache, batch ${BATCH:-4}, on $n:"
    rm -rf "$folder/out" && mkdir "$folder/out"
    timed "$heatkv" generate --model "$model" --device "$(devices "$n")" "a red apple" --count "${COUNT:-256}" \
      --batch "${BATCH:-4}" --seed 1 -q --json "${limit[@]}" -o "$folder/out/a.png" |
      grep -E '"(load_ms|draw_seconds|pictures_per_second)"|in all'
  done
done
