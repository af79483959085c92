#!/usr/bin/env bash
# Installs the packages that docs/dependencies.md lists, where they are missing.
#
#   tools/setup.sh [SET...]      sets: build test demo (the default), analyse, cross, fleet, keras, rtsp,
#                                service, small
#
# Runs as root, or through sudo as a user. Does nothing, quickly, when everything is there.
# Exit status: 0 done, 1 a package could not be installed or is too old, 2 an unknown set.
set -euo pipefail
cd "$(dirname "$0")/.."

sets=("$@")
[ ${#sets[@]} -gt 0 ] || sets=(build test demo)

# Prints "package minimum" for every table row of the set.
rows_of() {
  awk -F'|' -v set="$1" '$2 ~ /^ `.*` $/ { gsub(/[ `]/, "", $2); gsub(/ /, "", $3); gsub(/ /, "", $4)
                           if ($3 == set) print $2, $4 }' docs/dependencies.md
}

declare -A minimum=()
for set in "${sets[@]}"; do
  rows=$(rows_of "$set")
  if [ -z "$rows" ]; then
    echo "setup: no set '$set' in docs/dependencies.md" >&2
    exit 2
  fi
  while read -r package version; do minimum[$package]=$version; done <<<"$rows"
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "setup: no apt here; install the packages of docs/dependencies.md: ${!minimum[*]}" >&2
  exit 0
fi

# Fills `missing`, and `old` with packages below their minimum version.
look() {
  local -A found=()
  local package version status
  while read -r package status version; do
    if [ "$status" = installed ]; then found[$package]=$version; fi
  done < <(dpkg-query -W -f='${Package} ${db:Status-Status} ${Version}\n' "${!minimum[@]}" 2>/dev/null)
  missing=() old=()
  for package in "${!minimum[@]}"; do
    if [ -z "${found[$package]:-}" ]; then
      missing+=("$package")
    elif dpkg --compare-versions "${found[$package]}" lt "${minimum[$package]}"; then
      old+=("$package ${found[$package]} (needs ${minimum[$package]})")
    fi
  done
}

look
if [ ${#missing[@]} -gt 0 ]; then
  echo "setup: installing ${missing[*]}"
  root=()
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "setup: needs root or sudo for: apt-get install ${missing[*]}" >&2
      exit 1
    fi
    root=(sudo)
    [ -t 0 ] || root=(sudo -n)
  fi
  apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
  "${root[@]}" "${apt[@]}" update
  "${root[@]}" "${apt[@]}" install -y --no-install-recommends "${missing[@]}"
  look
fi
if [ ${#missing[@]} -gt 0 ] || [ ${#old[@]} -gt 0 ]; then
  for package in "${missing[@]}"; do echo "setup: $package is not installed" >&2; done
  for package in "${old[@]}"; do echo "setup: $package" >&2; done
  exit 1
fi
echo "setup: all ${#minimum[@]} packages of ${sets[*]} are there"
