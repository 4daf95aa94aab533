#!/usr/bin/env bash
# Builds what runs in browsers: the npm package in target/web/npm, and the page in
# target/web/site, ready to be served as it is. wasm-bindgen is installed into target/ in the
# version of Cargo.lock.
set -euo pipefail
cd "$(dirname "$0")/.."

out=target/web
rustup target list --installed | grep -q wasm32-unknown-unknown || rustup target add wasm32-unknown-unknown

version=$(grep -A1 '^name = "wasm-bindgen"$' Cargo.lock | sed -n 's/^version = "\(.*\)"/\1/p')
bindgen=$out/bindgen-$version
if [ ! -x "$bindgen/bin/wasm-bindgen" ]; then
    cargo install --quiet --root "$bindgen" --version "$version" wasm-bindgen-cli
fi

# wasm-bindgen reads the features from a section that the release profile strips.
RUSTFLAGS='-C target-feature=+simd128,+bulk-memory' CARGO_PROFILE_RELEASE_STRIP=debuginfo \
    CARGO_TARGET_DIR=$out/build \
    cargo build --release --locked -p dldl-web --target wasm32-unknown-unknown

rm -rf "$out/npm" "$out/site"
mkdir -p "$out/npm" "$out/site/dldl"
"$bindgen/bin/wasm-bindgen" --target web --no-typescript \
    --remove-name-section --remove-producers-section --out-dir "$out/npm" \
    "$out/build/wasm32-unknown-unknown/release/dldl_web.wasm"
cp crates/dldl-web/npm/* crates/dldl/LICENSE.md LICENSE-WEIGHTS LICENSE-MIT LICENSE-APACHE "$out/npm"
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = //p' Cargo.toml)
sed -i "s/\"version\": \".*\"/\"version\": $version/" "$out/npm/package.json"

# The page, with the engine that runs in it.
cp web/*.html web/*.css web/*.svg web/*.js "$out/site"
cp web/wasm/*.js "$out/site"
cp "$out"/npm/{index.js,dldl_web.js,dldl_web_bg.wasm} "$out/site/dldl"

wasm=$out/npm/dldl_web_bg.wasm
printf '%s: %s bytes, %s compressed\n' "$wasm" "$(wc -c <"$wasm")" "$(gzip -9 <"$wasm" | wc -c)"
