#!/usr/bin/env bash
# Puts Debian's promtool into a folder, without installing its server: get-promtool.sh FOLDER
set -euo pipefail
folder=$(realpath "${1:?expected a folder}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download --quiet prometheus > /dev/null || { apt-get update --quiet > /dev/null && apt-get download --quiet prometheus > /dev/null; }
dpkg-deb -x prometheus_*.deb .
install -m 755 usr/bin/promtool "$folder/"
