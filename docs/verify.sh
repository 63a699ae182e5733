#!/bin/sh
# Checks one checkpoint with coreutils and openssl: verify.sh CHECKPOINT KEY.pem
# Says what was signed, and ends with 0, when the key signed it. docs/audit-format.md, "Checkpoints".
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
head -n 3 "$1" >"$work/text"
test -z "$(head -n 4 "$1" | tail -n 1)"
id=$(openssl pkey -pubin -in "$2" -outform DER | sha256sum | cut -c 1-8)
tail -n +5 "$1" | cut -d ' ' -f 3 | while read -r line; do
  echo "$line" | base64 -d >"$work/line"
  if [ "$(head -c 4 "$work/line" | od -A n -t x1 | tr -d ' ')" = "$id" ]; then
    tail -c +5 "$work/line" >"$work/signature"
    test "$(wc -c <"$work/signature")" -le 72 # openssl would not look at what is behind
    openssl dgst -sha256 -verify "$2" -signature "$work/signature" "$work/text" || exit 1
    touch "$work/good"
  fi
done
test -e "$work/good"
cat "$work/text"
