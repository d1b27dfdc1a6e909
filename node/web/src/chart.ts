// A small time chart in SVG: one or two lines over the last minutes. Styled in style.css.

import { type History, areaPath, linePath, roundTop } from "./history";

const ns = "http://www.w3.org/2000/svg";
const width = 320;
const height = 84;
const leastSpanMs = 30_000;

export interface Line {
  history: History;
  /** CSS class of the line. */
  name: string;
}

export class Chart {
  private readonly svg = document.createElementNS(ns, "svg");
  private readonly label = document.createElement("span");
  private readonly paths: { line: SVGPathElement; area: SVGPathElement }[];

  constructor(
    host: HTMLElement,
    private readonly lines: Line[],
    private readonly describe: (top: number) => string,
    private readonly floor: number,
  ) {
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("role", "img");
    for (const share of [0, 0.5, 1]) {
      const grid = document.createElementNS(ns, "path");
      grid.setAttribute("class", "grid");
      grid.setAttribute("d", `M0 ${height * share}H${width}`);
      this.svg.append(grid);
    }
    this.paths = lines.map(({ name }) => {
      const area = document.createElementNS(ns, "path");
      area.setAttribute("class", `area ${name}`);
      const line = document.createElementNS(ns, "path");
      line.setAttribute("class", `trace ${name}`);
      this.svg.append(area, line);
      return { line, area };
    });
    this.label.className = "top";
    host.append(this.svg, this.label);
  }

  draw(now: number, description: string): void {
    const top = roundTop(Math.max(this.floor, ...this.lines.map((l) => l.history.max())) * 1.05);
    const span = Math.max(...this.lines.map((l) => l.history.age(now, leastSpanMs)));
    const frame = { width, height, now, span, top };
    this.lines.forEach(({ history }, i) => {
      this.paths[i]!.line.setAttribute("d", linePath(history, frame));
      this.paths[i]!.area.setAttribute("d", areaPath(history, frame));
    });
    this.label.textContent = this.describe(top);
    this.svg.setAttribute("aria-label", description);
  }
}
