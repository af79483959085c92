#!/usr/bin/env bash
# Fuzzes the parsers for a while.
#
#   tools/fuzz.sh SECONDS [TARGET...]
#
# Builds the preset `fuzz` (clang 19 with libFuzzer) and runs each target (default: all) for SECONDS
# over its committed corpus, one after another. New inputs go to a temporary folder and are thrown
# away; a finding is kept in build/fuzz/findings, and the exit status is then 1. Turn a finding into
# a test beside the code and, if it is small, into a file of fuzz/corpus/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ $# -lt 1 || ! $1 =~ ^[0-9]+$ ]]; then
  echo "usage: tools/fuzz.sh SECONDS [TARGET...]" >&2
  exit 2
fi
seconds=$1
shift
mapfile -t all < <(sed -n 's/^EW_FUZZ(\(.*\))$/\1/p' fuzz/targets.def)
targets=("$@")
if [[ ${#targets[@]} -eq 0 ]]; then targets=("${all[@]}"); fi
for target in "${targets[@]}"; do
  if [[ " ${all[*]} " != *" $target "* ]]; then
    echo "no target '$target'; there are: ${all[*]}" >&2
    exit 2
  fi
done

cmake --preset fuzz > /dev/null
cmake --build --preset fuzz --target edgewise_plugin_hdf5 edgewise_plugin_data "${targets[@]/#/fuzz_}"

# Debian's sanitizers look only for a symbolizer of their own version.
if [[ -z ${ASAN_SYMBOLIZER_PATH:-} ]]; then
  ASAN_SYMBOLIZER_PATH=$(command -v llvm-symbolizer || true)
  export ASAN_SYMBOLIZER_PATH
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
findings=build/fuzz/findings
mkdir -p "$findings"
status=0
for target in "${targets[@]}"; do
  mkdir -p "$scratch/$target"
  options=(-max_total_time="$seconds" -timeout=20 -rss_limit_mb=2500 -malloc_limit_mb=1024
           -max_len=65536 -artifact_prefix="$findings/$target-" -print_final_stats=1)
  if [[ -f fuzz/dict/$target.dict ]]; then options+=(-dict="fuzz/dict/$target.dict"); fi
  corpora=("$scratch/$target")
  if [[ -d fuzz/corpus/$target ]]; then corpora+=("fuzz/corpus/$target"); fi
  asan=${ASAN_OPTIONS:-}
  # Forking gets slower with all memory that the parent holds.
  if [[ $target == h5_file || $target == keras_zip ]]; then asan=quarantine_size_mb=4:$asan; fi
  # A child that the target forks may crash; only the parent may not.
  if TMPDIR=$scratch ASAN_OPTIONS=$asan build/fuzz/bin/fuzz_"$target" "${options[@]}" "${corpora[@]}" \
      > "$scratch/$target.log" 2>&1; then
    result=ok
    find "$findings" -name "$target-*" -empty -delete  # of children, which may not write files
  else
    result=FINDING
    status=1
    cp "$scratch/$target.log" "$findings/$target.log"
    tail -n 40 "$scratch/$target.log"
  fi
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$scratch/$target.log")
  covered=$(grep -o 'cov: [0-9]*' "$scratch/$target.log" | tail -n 1 || true)
  echo "$target: $result, ${seconds} s, ${runs:-?} runs, ${covered:-cov: ?}"
done
exit $status
