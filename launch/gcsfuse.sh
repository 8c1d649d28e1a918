#!/usr/bin/env bash
# On a machine of Google Cloud: installs gcsfuse, and makes /gcs for a user. Run by tpu_vm.sh, as root.
set -euo pipefail
if ! command -v gcsfuse >/dev/null; then
  apt=https://packages.cloud.google.com/apt
  key=/usr/share/keyrings/cloud.google.asc
  curl --silent --show-error --fail "$apt/doc/apt-key.gpg" --output "$key"
  echo "deb [signed-by=$key] $apt gcsfuse-$(lsb_release -cs) main" >/etc/apt/sources.list.d/gcsfuse.list
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes gcsfuse
fi
mkdir -p /gcs
chown "$1" /gcs
