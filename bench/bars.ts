/** A bar chart as SVG, for light and for dark pages. */
export interface Panel {
  title: string;
  bars: readonly Bar[];
}

export interface Bar {
  name: string;
  value: number;
  /** The value, as it is to be read. */
  label: string;
  /** Of this service, not of a rival. */
  isOwn: boolean;
}

const WIDTH = 840;
const NAME_WIDTH = 210;
const LABEL_WIDTH = 70;
const BAR_HEIGHT = 18;
const ROW = 25;
const TITLE = 34;
const GAP = 18;
const CAPTION = 30;

// The page behind shows through, and the colours follow what its reader prefers.
const STYLE = `
    text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328 }
    .title { font-weight: 600; font-size: 14px }
    .caption { font-size: 11px; fill: #59636e }
    .own { fill: #0969da }
    .rival { fill: #afb8c1 }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .caption { fill: #9198a1 }
      .own { fill: #4493f8 }
      .rival { fill: #656c76 }
    }`;

export function drawBars(panels: readonly Panel[], caption: string): string {
  const parts: string[] = [];
  let y = 0;
  for (const { title, bars } of panels) {
    parts.push(text({ x: 0, y: y + 20, className: 'title', content: title }));
    y += TITLE;
    const most = Math.max(...bars.map(({ value }) => value));
    for (const bar of bars) {
      parts.push(drawBar(bar, bar.value / most, y));
      y += ROW;
    }
    y += GAP;
  }
  parts.push(text({ x: 0, y: y + 10, className: 'caption', content: caption }));
  const height = y + CAPTION;
  const summary = panels.map(({ title }) => title).join('; ');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escapeText(summary)}">
  <style>${STYLE}
  </style>
${parts.join('\n')}
</svg>
`;
}

function drawBar({ name, label, isOwn }: Bar, share: number, y: number): string {
  const width = Math.max(1, share * (WIDTH - NAME_WIDTH - LABEL_WIDTH));
  const base = y + 14;
  return [
    text({ x: NAME_WIDTH - 10, y: base, anchor: 'end', content: name }),
    `  <rect class="${isOwn ? 'own' : 'rival'}" x="${NAME_WIDTH}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" rx="2"/>`,
    text({ x: NAME_WIDTH + width + 8, y: base, content: label }),
  ].join('\n');
}

function text(options: {
  x: number;
  y: number;
  content: string;
  className?: string;
  anchor?: string;
}): string {
  const { x, y, content, className, anchor } = options;
  const attributes = [
    `x="${x.toFixed(1)}" y="${y}"`,
    ...(className === undefined ? [] : [`class="${className}"`]),
    ...(anchor === undefined ? [] : [`text-anchor="${anchor}"`]),
  ];
  return `  <text ${attributes.join(' ')}>${escapeText(content)}</text>`;
}

function escapeText(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
