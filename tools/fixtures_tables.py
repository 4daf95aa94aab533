"""Write crates/dldl-data/tests/data/{cfd,scut-fbp}.xlsx: workbooks with the layout
of the published ones and invented numbers, by a library independent of the reader.

    python tools/fixtures_tables.py        (needs openpyxl)
"""

import pathlib

from openpyxl import Workbook

out = pathlib.Path(__file__).parents[1] / "crates/dldl-data/tests/data"
out.mkdir(parents=True, exist_ok=True)

# CFD 3: a codebook, then sheets with variable numbers in row 7, the header in row 8
# and an empty row before the first person.
book = Workbook()
codebook = book.active
codebook.title = "CFD 3.0 Codebook"
codebook.append(["VarID", "VarLabel", "Description"])
codebook.append(["R013", "Attractive", "1-7 Likert, relative to others of the same race and gender"])
head = ["Model", "EthnicitySelf", "GenderSelf", "AgeSelf", "AgeRated", "Attractive", "NoseWidth"]
people = {
    "CFD U.S. Norming Data": [
        ["AF-200", "A", "F", 24, 32.571429, 4.111111, 210],
        ["BM-001", "B", "M", None, 27, 3.5, 220],
        ["WF-003", "W", "F", 30, 29.25, 2.75, 200],
        ["LM-204", "L", "M", 22, 25.5, None, 215],
    ],
    "CFD-I U.S. Norming Data": [["IF601-519", "I", "F", 21, 26.0, 5.0, 205]],
}
for title, rows in people.items():
    sheet = book.create_sheet(title)
    sheet["A1"] = "Chicago Face Database"
    for column, label in enumerate(head, 1):
        if column > 1:
            sheet.cell(7, column, f"V{column:03}")
        sheet.cell(8, column, label)
    for line, row in enumerate(rows, 10):
        for column, value in enumerate(row, 1):
            sheet.cell(line, column, value)
book.save(out / "cfd.xlsx")

# SCUT-FBP: a header, then number, mean and standard deviation.
book = Workbook()
sheet = book.active
sheet.append(["#Image", "Attractiveness label", "Standard deviation"])
for i in range(1, 51):
    score = {7: None, 9: 55}.get(i, round(2.5 + 0.0125 * i, 4))
    sheet.append([i, score, 0.75])
book.save(out / "scut-fbp.xlsx")
