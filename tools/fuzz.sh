#!/usr/bin/env bash
# Fuzzes the targets of crates/dldl-fuzz with libFuzzer and AddressSanitizer, one after the other,
# and adds a line for each to fuzz/log.csv. Begins with the committed corpus and goes on with
# what earlier runs found in fuzz/corpus.
#
#   tools/fuzz.sh 3600                 # an hour for every target
#   tools/fuzz.sh 60 recipe weights    # a minute for two of them
#
# Needs a nightly compiler and cargo-fuzz (`cargo install cargo-fuzz`). A finding is in
# fuzz/artifacts/TARGET: mend it, and copy it into crates/dldl-fuzz/corpus/TARGET, where
# the tests replay it.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:?seconds for each target}
shift
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    mapfile -t targets < <(sed -n 's/^name = "\(.*\)"/\1/p' fuzz/Cargo.toml | tail -n +2)
fi
[ -f fuzz/log.csv ] || echo 'date,commit,target,seconds,executions,coverage,features,findings' >fuzz/log.csv

for target in "${targets[@]}"; do
    corpus=fuzz/corpus/$target
    mkdir -p "$corpus" "fuzz/artifacts/$target"
    cp -n "crates/dldl-fuzz/corpus/$target"/* "$corpus" 2>/dev/null || true
    case $target in
    jpeg) cp -n crates/dldl-face/tests/data/pictures/*.jpg "$corpus" ;;
    bmp-gif) cp -n crates/dldl-face/tests/data/pictures/*.{bmp,gif} "$corpus" ;;
    png | webp | heic | jxl | tiff) cp -n crates/dldl-face/tests/data/pictures/*."$target" "$corpus" ;;
    esac
    before=$(find "fuzz/artifacts/$target" -type f | wc -l)
    log=$(mktemp)
    # The next finding is looked for too: `ignore_crashes` needs a process of its own.
    cargo +nightly fuzz run --fuzz-dir fuzz "$target" -- -max_total_time="$seconds" -fork=1 \
        -ignore_crashes=1 -ignore_timeouts=1 -ignore_ooms=1 -rss_limit_mb=2048 -timeout=20 \
        -max_len=65536 >"$log" 2>&1 || true
    after=$(find "fuzz/artifacts/$target" -type f | wc -l)
    last=$(grep -E '^#[0-9]+: cov:' "$log" | tail -1)
    field() { sed -n "s/.* $1: \([0-9]*\).*/\1/p" <<<"$last"; }
    executions=$(sed -n 's/^#\([0-9]*\):.*/\1/p' <<<"$last")
    line=$(date +%F),$(git rev-parse --short HEAD),$target,$seconds,$executions,$(field cov),$(field ft),$((after - before))
    echo "$line" | tee -a fuzz/log.csv
    [ -n "$last" ] || tail -20 "$log" >&2
    rm "$log"
done
