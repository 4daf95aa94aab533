#!/usr/bin/env bash
# Makes what a release consists of, in target/release-VERSION, and publishes nothing:
# archives with the binary for each target, the wheel, the npm package, the crates as cargo
# would upload them, the list of what is inside (CycloneDX), and checksums of all of it.
#
#   tools/release.sh            # all
#   tools/release.sh x86_64     # only archives for targets of this name, for a trial
#
# Needs cargo, rustup and python3; Zig, as the linker for other targets and old systems, comes from
# PyPI. docs/releasing.md has the steps before and after.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
    echo "error: $*" >&2
    exit 1
}

only=${1:-}
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
out=$PWD/target/release-$version
grep -q "^## $version" CHANGELOG.md || fail "CHANGELOG.md has no section $version"
if grep 'path = "crates/.*version = ' Cargo.toml | grep -v "version = \"$version\""; then
    fail "these versions in Cargo.toml are not $version"
fi
[ -z "$(git status --porcelain)" ] || fail "there are changes that are not committed"

rm -rf "$out"
mkdir -p "$out"
python3 -m venv target/release-tools
target/release-tools/bin/pip install --quiet cargo-zigbuild==0.24.1 ziglang==0.17.1 maturin==1.16.0
export PATH=$PWD/target/release-tools/bin:$PATH

# Manual pages and completions are the same for all targets.
cargo build --release --locked
shared=target/release-shared
rm -rf $shared
mkdir -p $shared/man $shared/completions
target/release/dldl generate man --out $shared/man
for shell in bash zsh fish powershell; do
    target/release/dldl generate $shell >"$shared/completions/dldl.$shell"
done

# glibc 2.17 is that of systems since 2014; the musl binary is static and runs everywhere.
for target in x86_64-unknown-linux-gnu.2.17 aarch64-unknown-linux-gnu.2.17 x86_64-unknown-linux-musl; do
    triple=${target%.2.17}
    case $triple in *"$only"*) ;; *) continue ;; esac
    rustup target list --installed | grep -q "^$triple$" || rustup target add "$triple"
    cargo zigbuild --release --locked --target "$target" --bin dldl
    name=dldl-$version-$triple
    mkdir -p "target/$name"
    cp -r "target/$triple/release/dldl" $shared/man $shared/completions README.md CHANGELOG.md \
        LICENSE-MIT LICENSE-APACHE LICENSE-WEIGHTS "target/$name"
    cp crates/dldl-face/weights/NOTICE.md "target/$name/LICENSE-DETECTORS.md"
    # The same bytes from the same commit.
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" \
        -C target -c "$name" | gzip -n9 >"$out/$name.tar.gz"
    rm -r "target/${name:?}"
done

if [ -z "$only" ]; then
    (cd python && CARGO_TARGET_DIR=$PWD/../target maturin build --locked --zig \
        --compatibility manylinux2014 --out "$out")
    tools/build_web.sh
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" \
        --transform 's/^npm/package/' -C target/web -c npm | gzip -n9 >"$out/dldl-$version-npm.tgz"
    # As `cargo publish --dry-run` for all at once: packs them, and builds each from its package.
    cargo package --workspace --locked --exclude dldl-testdata --exclude dldl-web --exclude dldl-python
    tools/sbom.py >"$out/dldl-$version.cdx.json"
fi

(cd "$out" && sha256sum -- * >SHA256SUMS && cat SHA256SUMS)
