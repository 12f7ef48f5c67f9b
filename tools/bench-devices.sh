#!/usr/bin/env bash
# Pictures a second and calibration on 1, 2 and 4 devices, with random weights of a published size.
#   HEATKV_LIBTORCH=…/torch/lib tools/bench-devices.sh FOLDER [SIZE]
# FOLDER gets the model (16 GiB for infinity-2b, kept for the next run). Needs a build (./heatkv --version).
# Of the environment:
#   DEVICES (1 2 4)           numbers of devices that draw
#   COUNT (128), BATCH (4)    pictures, and those of a pass
#   CALIBRATE (1:128 4:512)   devices:prompts; as many prompts a device take as long where devices don't disturb each
#                             other; 1:512 4:512 takes five minutes more on H100s
#   BUDGETS (2.5% 100%)       of the cache
#   KIND (cuda)               cpu rehearses it: cpux2 is the CPU twice
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:?FOLDER}
size=${2:-infinity-2b}
heatkv=${HEATKV:-$here/heatkv}
model=$folder/$size
mkdir -p "$folder"
[ -d "$model" ] || "$heatkv" synth --like "$size" --dtype bf16 --vae --text -o "$model"

devices() {
  case ${KIND:-cuda} in
    cuda) seq -s, -f 'cuda:%.0f' 0 $(($1 - 1)) ;;
    *) echo "${KIND}x$1" ;;
  esac
}

# A number of the JSON on standard input.
number() { sed -n "s/^ *\"$1\" *: *\([0-9.]*\).*/\1/p" | head -1; }

# Pictures a second after the first pass of each device, which warms it up, by the dates of the files.
steady() {
  find "$folder/out" -name '*.png' -printf '%T@\n' | sort -n |
    awk -v first=$(($1 * ${BATCH:-4})) 'NR == first { from = $1 } END { printf "%.3f", (NR - first) / ($1 - from) }'
}

profile=$model/$size.heatkv.json
for part in ${CALIBRATE:-1:128 4:512}; do
  n=${part%:*}
  rm -f "$profile" "$profile.partial"
  seq -f 'a picture of number %.0f' 1 "${part#*:}" >"$folder/prompts.txt"
  "$heatkv" calibrate --model "$model" --device "$(devices "$n")" --prompts "$folder/prompts.txt" -q --json \
    -o "$profile" >"$folder/result.json"
  echo "calibration, $n devices, ${part#*:} prompts: $(number seconds <"$folder/result.json") s," \
    "$(number prompts_per_second <"$folder/result.json") prompts a second"
done
for budget in ${BUDGETS:-2.5% 100%}; do
  limit=()
  [ "$budget" = 100% ] || limit=(--kv-budget "$budget" --profile "$profile")
  for n in ${DEVICES:-1 2 4}; do
    rm -rf "$folder/out" && mkdir "$folder/out"
    "$heatkv" generate --model "$model" --device "$(devices "$n")" "a red apple" --count "${COUNT:-128}" \
      --batch "${BATCH:-4}" --seed 1 -q --json "${limit[@]}" -o "$folder/out/a.png" >"$folder/result.json"
    echo "$budget of the cache, $n devices, ${COUNT:-128} pictures, batch ${BATCH:-4}:" \
      "$(number draw_seconds <"$folder/result.json") s, $(steady "$n") pictures a second when warm" \
      "(loading $(number load_ms <"$folder/result.json") ms)"
  done
done
