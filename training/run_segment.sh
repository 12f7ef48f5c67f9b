#!/bin/bash
# One segment of the transformer's training, for machines that only run short commands.
#
#   bash run_segment.sh DATA_DIR VAE_FILE WORK_DIR RESULT_DIR TOTAL_SECONDS SEGMENT_SECONDS [OPTIONS OF train_transformer.py]
#
# Call it again with the same arguments (and WORK_DIR kept) until it prints "finished".  After each
# segment RESULT_DIR holds usable averaged weights as res.tar.0, res.tar.1, ... (parts of 16 MB:
# cat res.tar.* | tar x), and after the last one extra.tar with the report and the sample grids.
set -e -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
data=$1; vae=$2; work=$3; result=$4; total=$5; segment=$6
mkdir -p "$work" "$result"
export PYTHONUNBUFFERED=1
tokenizer=$data/tokenizer.json
[ -f "$tokenizer" ] || tokenizer=$here/../models/emoji/src/main/resources/io/heatkv/models/emoji/text_encoder/tokenizer.json
status=0
python3 "$here/train_transformer.py" --data "$data" --tokenizer "$tokenizer" --vae "$vae" --out "$work/out" \
    --seconds "$total" --segment "$segment" --state "$work/state.pt" "${@:7}" 2>&1 | tee -a "$work/train.log" | grep -v Warn | tail -25 || status=$?
cp "$work/train.log" "$result/"
cd "$work/out"
tar cf "$work/res.tar" transformer.safetensors text_encoder
split -b 16000000 -d -a 1 "$work/res.tar" "$result/res.tar."
ls *.png >/dev/null 2>&1 && tar cf "$result/extra.tar" *.json *.txt *.png
ls -l "$result"
exit $status
