#!/bin/sh
# Installs what is missing on Debian and its kin. Groups:
#   --run      to build and run the command (default)
#   --test     --run, and what the tests need
#   --python   --test, and python3 (its standard library alone)
#   --tidy     --python, and clang-format, clang-tidy
#   --clang    --test, and clang with its sanitizers and libFuzzer
#   --aarch64  --test, and the cross compiler, arm64 libraries and qemu-user
#   --all      all of these
# Says nothing and needs no rights when nothing is missing.
set -eu

run="gcc libc6-dev cmake ninja-build pkg-config libpcre2-dev libutf8proc-dev libedit-dev libjpeg-dev libpng-dev
     zlib1g-dev libwebp-dev libtiff-dev libopenjp2-7-dev"
test="libcmocka-dev xz-utils"
python="python3"
tidy="$python clang-format clang-tidy"
clang="clang libclang-rt-dev llvm"
aarch64="gcc-aarch64-linux-gnu qemu-user libc6-dev:arm64 libpcre2-dev:arm64 libutf8proc-dev:arm64 libedit-dev:arm64
         libjpeg-dev:arm64 libpng-dev:arm64 zlib1g-dev:arm64 libwebp-dev:arm64 libtiff-dev:arm64 libopenjp2-7-dev:arm64
         libcmocka-dev:arm64"

want=$run
for group in "$@"; do
    case $group in
    --run) ;;
    --test) want="$want $test" ;;
    --python) want="$want $test $python" ;;
    --tidy) want="$want $test $tidy" ;;
    --clang) want="$want $test $clang" ;;
    --aarch64) want="$want $test $aarch64" ;;
    --all) want="$want $test $tidy $clang $aarch64" ;;
    *) echo "$0: unknown group $group" >&2; exit 2 ;;
    esac
done

# A tool that is there in another way (own build of cmake, clang as cc, ...) is good enough.
has() {
    case $1 in
    gcc) command -v cc ;;
    cmake | clang | clang-format | clang-tidy | python3) command -v "$1" ;;
    ninja-build) command -v ninja ;;
    pkg-config) command -v pkg-config ;;
    gcc-aarch64-linux-gnu) command -v aarch64-linux-gnu-gcc ;;
    qemu-user) command -v qemu-aarch64 ;;
    llvm) command -v llvm-symbolizer ;;
    xz-utils) command -v xz ;;
    libpcre2-dev) pkg-config --exists libpcre2-8 ;;
    libutf8proc-dev) pkg-config --exists libutf8proc ;;
    libedit-dev) pkg-config --exists libedit ;;
    libjpeg-dev) pkg-config --exists libjpeg ;;
    libpng-dev) pkg-config --exists libpng ;;
    zlib1g-dev) pkg-config --exists zlib ;;
    libwebp-dev) pkg-config --exists libwebp ;;
    libtiff-dev) pkg-config --exists libtiff-4 ;;
    libopenjp2-7-dev) pkg-config --exists libopenjp2 ;;
    libcmocka-dev) pkg-config --exists cmocka ;;
    *) dpkg-query -W -f='${Status}\n' "$1" | grep -q 'ok installed' ;;
    esac >/dev/null 2>&1
}

missing=
for package in $want; do
    has "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "Quern needs these, under their Debian names; please install them:$missing" >&2
    exit 1
fi
root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
        echo "Not root, and there is no sudo. Please run: apt-get install$missing" >&2
        exit 1
    }
    root=sudo
fi
echo "Installing:$missing" >&2
case $missing in
*:arm64*) $root dpkg --add-architecture arm64 ;;
esac
{
    $root apt-get -q update || echo "apt-get update failed; going on with the lists at hand" >&2
    # shellcheck disable=SC2086 # a list of words
    $root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing
} >&2
