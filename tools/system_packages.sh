#!/usr/bin/env bash
# See that this machine has what pip cannot install, and print the Python to build .venv with.
#
# As root on Debian the missing packages are installed; anywhere else a message says what to install.
set -euo pipefail

say() { echo "setup: $*" >&2; }

find_python() {
  local name
  for name in "${PYTHON:-}" python3.11 python3 python3.12 python3.13 python; do
    [[ -n "$name" ]] || continue
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return 0
    fi
  done
  return 1
}

can_install() { [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null; }

python=$(find_python) || {
  say "Python 3.11 or newer is needed and was not found. Install it, or name it: make setup PYTHON=/path/to/python3.11"
  exit 1
}

missing=()
command -v bwrap >/dev/null || missing+=(bubblewrap)
command -v tesseract >/dev/null || missing+=(tesseract-ocr)
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
# The extra 'radiomics' is built from source.
command -v cc >/dev/null || missing+=(gcc libc6-dev)
"$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || missing+=(python3-dev)

if ((${#missing[@]})); then
  if can_install; then
    say "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    say "missing: ${missing[*]}. Install them (Debian: sudo apt-get install ${missing[*]})."
    say "Without bubblewrap there is no sandbox, and a node in strict mode refuses to run jobs."
    say "Without tesseract-ocr images whose pixels may show text are held."
    say "Without a C compiler and the headers of Python the extra 'radiomics' cannot be built."
  fi
fi

echo "$python"
