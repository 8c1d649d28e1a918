#!/usr/bin/env bash
# On a machine of Google Cloud: installs gcsfuse, and makes /gcs for a user. Run by tpu_vm.sh, as root.
set -euo pipefail
# Pinned, as all versions are.
version=3.12.1
if ! command -v gcsfuse >/dev/null; then
  releases=https://github.com/GoogleCloudPlatform/gcsfuse/releases/download
  package=/tmp/gcsfuse_${version}_amd64.deb
  curl --silent --show-error --fail --location "$releases/v$version/${package##*/}" --output "$package"
  # A machine that has just started is often busy with updates of its own, which lock others out.
  for _ in {1..30}; do
    # update: for fuse, which it needs
    if apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes "$package"; then
      break
    fi
    sleep 10
  done
  command -v gcsfuse >/dev/null
fi
mkdir -p /gcs
chown "$1" /gcs
