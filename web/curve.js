// A distribution as a drawing: the probabilities by age, the interval and the estimate.

const WIDTH = 320;
const HEIGHT = 96;
const [LEFT, RIGHT, TOP, BOTTOM] = [8, 8, 6, 24];
const SVG = 'http://www.w3.org/2000/svg';

/** An SVG element of an estimate with its `distribution`. */
export function curve(age, label) {
  const { min, step, probabilities } = age.distribution;
  const max = min + step * (probabilities.length - 1);
  const x = (years) => LEFT + ((years - min) / (max - min)) * (WIDTH - LEFT - RIGHT);
  const base = HEIGHT - BOTTOM;
  const highest = Math.max(...probabilities);
  const y = (p) => base - (p / highest) * (base - TOP);
  const points = probabilities.map((p, i) => `${x(min + i * step).toFixed(1)} ${y(p).toFixed(1)}`);
  const svg = element('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': label });
  svg.append(
    element('line', { class: 'axis', x1: x(min), x2: x(max), y1: base, y2: base }),
    element('path', { class: 'curve', d: `M${x(min)} ${base}L${points.join('L')}L${x(max)} ${base}Z` }),
    element('line', {
      class: 'interval', x1: x(age.interval.low), x2: x(age.interval.high), y1: base, y2: base,
    }),
    element('line', { class: 'value', x1: x(age.value), x2: x(age.value), y1: TOP, y2: base + 4 }),
  );
  for (let years = Math.ceil(min / 20) * 20; years <= max; years += 20) {
    const text = element('text', { x: Math.min(Math.max(x(years), 10), WIDTH - 12), y: HEIGHT - 6 });
    text.textContent = years;
    svg.append(text);
  }
  return svg;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
