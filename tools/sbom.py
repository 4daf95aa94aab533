#!/usr/bin/env python3
"""What is in the default binary, as a CycloneDX 1.6 list (JSON) from cargo's metadata and
Cargo.lock: names, versions, licenses, checksums, and who needs whom.

    tools/sbom.py > sbom.json
    tools/sbom.py --check       # docs/dependencies.md has every direct dependency, and no other

Needs only Python and cargo."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def metadata(*more):
    command = ["cargo", "metadata", "--format-version", "1", "--locked", *more]
    return json.loads(subprocess.check_output(command, cwd=ROOT))


def in_binary(data):
    """The packages of the binary with its default features, and their normal dependencies."""
    tree = ["cargo", "tree", "-p", "dldl-cli", "-e", "normal", "--locked", "--prefix", "none", "-f", "{p}"]
    lines = subprocess.check_output(tree, cwd=ROOT, text=True).splitlines()
    names = {tuple(line.split()[:2]) for line in lines if line}
    packages = {p["id"]: p for p in data["packages"] if (p["name"], "v" + p["version"]) in names}
    edges = {}
    for node in data["resolve"]["nodes"]:
        if node["id"] in packages:
            normal = [d["pkg"] for d in node["deps"]
                      if d["pkg"] in packages and any(k["kind"] is None for k in d["dep_kinds"])]
            edges[node["id"]] = sorted(normal)
    return packages, edges


def sbom():
    data = metadata()
    packages, edges = in_binary(data)
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    checksums = {(p["name"], p["version"]): p.get("checksum") for p in lock["package"]}
    reference = {i: f"pkg:cargo/{p['name']}@{p['version']}" for i, p in packages.items()}
    components = []
    for i, package in sorted(packages.items(), key=lambda item: reference[item[0]]):
        component = {
            "type": "library", "bom-ref": reference[i], "name": package["name"],
            "version": package["version"], "purl": reference[i],
        }
        license = package["license"]
        # A slash is how crates wrote "or" before SPDX expressions.
        if license:
            component["licenses"] = [{"expression": re.sub(r" ?/ ?", " OR ", license)}]
        elif package["license_file"]:
            component["licenses"] = [{"license": {"name": f"see {package['license_file']}"}}]
        checksum = checksums.get((package["name"], package["version"]))
        if checksum:
            component["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        components.append(component)
    binary = next(i for i, p in packages.items() if p["name"] == "dldl-cli")
    version = packages[binary]["version"]
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": "dldl", "name": "dldl", "version": version}},
        "components": components,
        "dependencies": [{"ref": "dldl", "dependsOn": [reference[binary]]}] + [
            {"ref": reference[i], "dependsOn": [reference[d] for d in needs]}
            for i, needs in sorted(edges.items(), key=lambda item: reference[item[0]])],
    }


def check():
    members = metadata("--no-deps")["packages"]
    ours = {p["name"] for p in members}
    used = {d["name"] for p in members for d in p["dependencies"]} - ours
    page = (ROOT / "docs" / "dependencies.md").read_text()
    cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    listed = {name.strip() for cell in cells for name in cell.split(",")} - {"crate"}
    for name in sorted(used - listed):
        print(f"docs/dependencies.md lacks {name}", file=sys.stderr)
    for name in sorted(listed - used):
        print(f"docs/dependencies.md has {name}, which no crate uses", file=sys.stderr)
    sys.exit(used != listed)


if sys.argv[1:] == ["--check"]:
    check()
elif sys.argv[1:]:
    sys.exit(__doc__)
print(json.dumps(sbom(), indent=1))
