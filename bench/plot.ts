/** Cost against size as SVG: both axes logarithmic, so that what grows with the objects is a line of slope one. */

export interface Line {
  readonly name: string;
  /** x: kernel objects, y: milliseconds; both above 0. */
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

const WIDTH = 720;
const HEIGHT = 440;
const MARGIN = { top: 44, right: 150, bottom: 52, left: 64 };
/** Okabe and Ito: told apart by the colour-blind, too. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#000000'];
/** Between two labels at the ends of lines. */
const LABEL_HEIGHT = 15;

export function plot(title: string, lines: readonly Line[]): string {
  const points = lines.flatMap((line) => line.points);
  const x = axis(
    points.map((point) => point.x),
    MARGIN.left,
    WIDTH - MARGIN.right,
  );
  const y = axis(
    points.map((point) => point.y),
    HEIGHT - MARGIN.bottom,
    MARGIN.top,
  );
  const grid = [
    ...x.ticks.map((tick) =>
      [
        `<path d="M${x.at(tick)} ${MARGIN.top}V${HEIGHT - MARGIN.bottom}" stroke="#ddd"/>`,
        `<text x="${x.at(tick)}" y="${HEIGHT - MARGIN.bottom + 18}" text-anchor="middle">${tick}</text>`,
      ].join(''),
    ),
    ...y.ticks.map((tick) =>
      [
        `<path d="M${MARGIN.left} ${y.at(tick)}H${WIDTH - MARGIN.right}" stroke="#ddd"/>`,
        `<text x="${MARGIN.left - 8}" y="${y.at(tick) + 4}" text-anchor="end">${tick}</text>`,
      ].join(''),
    ),
  ];
  const curves = lines.map((line, index) => {
    const path = line.points.map((point, n) => `${n === 0 ? 'M' : 'L'}${x.at(point.x)} ${y.at(point.y)}`);
    const colour = COLOURS[index % COLOURS.length];
    const dots = line.points.map(
      (point) => `<circle cx="${x.at(point.x)}" cy="${y.at(point.y)}" r="3" fill="${colour}"/>`,
    );
    return `<path d="${path.join('')}" fill="none" stroke="${colour}" stroke-width="2"/>${dots.join('')}`;
  });
  const middle = (MARGIN.left + WIDTH - MARGIN.right) / 2;
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<title>${title}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<text x="${middle}" y="22" text-anchor="middle" font-size="15">${title}</text>`,
    ...grid,
    `<text x="${middle}" y="${HEIGHT - 12}" text-anchor="middle">kernel objects (addresses, routes, rules)</text>`,
    `<text transform="translate(16 ${HEIGHT / 2}) rotate(-90)" text-anchor="middle">ms</text>`,
    ...curves,
    ...labels(lines, y.at),
    '</svg>',
  ].join('\n')}\n`;
}

interface Axis {
  /** Where a value is, in the picture's units. */
  readonly at: (value: number) => number;
  /** Powers of ten. */
  readonly ticks: readonly number[];
}

function axis(values: readonly number[], from: number, to: number): Axis {
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.ceil(Math.log10(Math.max(...values)));
  return {
    at: (value) => Math.round((from + ((Math.log10(value) - low) / (high - low)) * (to - from)) * 10) / 10,
    ticks: Array.from({ length: high - low + 1 }, (_, index) => Number((10 ** (low + index)).toPrecision(1))),
  };
}

/** At the ends of the lines, none over another. */
function labels(lines: readonly Line[], at: (value: number) => number): readonly string[] {
  const wanted = lines
    .map(({ name, points }, index) => ({
      name,
      colour: COLOURS[index % COLOURS.length],
      y: at(points.at(-1)?.y ?? 1),
    }))
    .toSorted((a, b) => a.y - b.y);
  let least = Number.NEGATIVE_INFINITY;
  return wanted.map(({ name, colour, y }) => {
    least = Math.max(y, least + LABEL_HEIGHT);
    return `<text x="${WIDTH - MARGIN.right + 10}" y="${least + 4}" fill="${colour}">${name}</text>`;
  });
}
