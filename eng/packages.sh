# What the build and the tests need beyond the .NET SDK, as a Debian package each. Sourced by ./test.

# program (or file) : package : what it is for
needed='clang:clang:linking the native command
/usr/include/zlib.h:zlib1g-dev:linking the native command
/usr/include/openssl/ssl.h:libssl-dev:linking OpenSSL into the native command
cmake:cmake:linking OpenSSL into the native command
strace:strace:the order of writes and the faults of a disk
flock:util-linux:a lock that another program holds
mount:mount:full and read-only disks
/usr/lib/python3/dist-packages/cryptography:python3-cryptography:the Python side of the vault
zsh:zsh:its completion
fish:fish:its completion
mkfs.ext4:e2fsprogs:a disk that does not answer
jq:jq:the shapes of --json
pg_createcluster:postgresql:the shared store on PostgreSQL
etcd:etcd-server:records in an etcd cluster
etcdctl:etcd-client:users and compactions of that cluster
openssl:openssl:certificates of servers and clients'

missing_packages() {
  printf '%s\n' "$needed" | while IFS=: read -r have package purpose; do
    case $have in
      /*) [ -e "$have" ] ;;
      *) command -v "$have" >/dev/null 2>&1 ;;
    esac || printf '%s:%s\n' "$package" "$purpose"
  done
}

require_sdk() {
  if ! command -v dotnet >/dev/null 2>&1 || ! dotnet --list-sdks | grep -q '^1[0-9]\.'; then
    echo "needs the .NET SDK 10: https://dotnet.microsoft.com/download" >&2
    exit 1
  fi
}

install_packages() {
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  names=$(printf '%s\n' "$missing" | cut -d: -f1 | sort -u | tr '\n' ' ')
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "== installing $names"
    if apt-get -qq update >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $names >/dev/null; then
      return 0
    fi
  fi

  echo "== missing, and not installed by this script:"
  printf '%s\n' "$missing" | sed 's/^\([^:]*\):/   \1, for /'
  echo "   on Debian or Ubuntu: sudo apt-get install $names"
  echo "   what needs them is skipped"
}

# shows what a command says only when it fails
quietly() {
  if ! output=$("$@" 2>&1); then
    printf '%s\n' "$output" >&2
    return 1
  fi
}
