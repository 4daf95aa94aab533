"""Write crates/dldl-data/tests/data/pillow_resize.json: a pattern downscaled and
upscaled by Pillow's BILINEAR, which antialiases like `dldl_data::resize`.

    python tools/golden_data.py        (needs numpy and Pillow)
"""

import json
import pathlib

import numpy as np
from PIL import Image


def pattern(n):
    y, x = np.mgrid[:n, :n]
    values = [(x * x + 3 * y * y + 7 * x * y + 50 * c) % 251 for c in range(3)]
    return np.stack(values, axis=-1).astype(np.uint8)


cases = []
for start, end in [(40, 7), (33, 20), (24, 23), (9, 16), (224, 5)]:
    small = Image.fromarray(pattern(start)).resize((end, end), Image.Resampling.BILINEAR)
    cases.append({"from": start, "to": end, "rgb": np.asarray(small).ravel().tolist()})

out = pathlib.Path(__file__).parents[1] / "crates/dldl-data/tests/data/pillow_resize.json"
out.parent.mkdir(parents=True, exist_ok=True)
out.write_text("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
