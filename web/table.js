// The table of all faces, shown, copied and saved.

/** The lines of the table, the names of the columns first. */
export function rows(pictures) {
  const faces = pictures.flatMap(({ file, record }) =>
    (record?.faces ?? []).map((face, i) => ({ name: file.name, face, number: i + 1 })));
  const thresholds = faces.find(({ face }) => face.age)?.face.age.at_least ?? [];
  const columns = [
    'picture', 'face', 'age', 'low', 'high',
    ...thresholds.map(({ threshold }) => `at least ${threshold}`),
    'quality', 'x', 'y', 'width', 'height',
  ];
  const lines = faces.map(({ name, face, number }) => {
    const { age } = face;
    const probability = (_, i) => age?.at_least?.[i]?.probability ?? '';
    return [
      name, number, age?.value ?? '', age?.interval.low ?? '', age?.interval.high ?? '',
      ...thresholds.map(probability), face.quality, ...face.box,
    ];
  });
  return [columns, ...lines];
}

/** Lines as text, with cells in quotes where they need it. */
export function csv(lines, separator) {
  const cell = (value) => {
    const text = String(value);
    return /["\t\n\r,]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return lines.map((line) => line.map(cell).join(separator)).join('\r\n') + '\r\n';
}
