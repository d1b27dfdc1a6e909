// The stripes below the ring of neighbours: a sentence, a row of coloured cells with the numbers of those they go to,
// and all of it as a table.

import { byId, say, show } from "./dom";
import { shortId } from "./format";
import type { Stripe } from "./status";
import { colour, stripeRows, stripesLine, woven } from "./stripes";

export class Loom {
  private shown = "";

  /** @param stripes may be empty: nothing is shown then. */
  render(stripes: readonly Stripe[]): void {
    const there = woven(stripes);
    show(byId("stripes"), there);
    if (!there) return;
    const shown = JSON.stringify(stripes);
    if (shown === this.shown) return;
    this.shown = shown;
    say(byId("stripes-line"), stripesLine(stripes));
    const cells = byId("stripe-cells");
    while (cells.children.length > stripes.length) cells.lastElementChild?.remove();
    stripes.forEach((s, i) => {
      const cell = cells.children[i] ?? cells.appendChild(document.createElement("span"));
      say(cell, s.children > 0 ? String(s.children) : "·");
      (cell as HTMLElement).style.setProperty("--stripe", colour(i, stripes.length));
      (cell as HTMLElement).dataset.fed = String(s.parent !== "");
      (cell as HTMLElement).title = `Stripe ${i + 1}: ${s.parent ? `from ${shortId(s.parent)}` : "from nobody"}, to ${s.children}`;
    });
    const body = byId("stripe-rows");
    while (body.children.length > stripes.length) body.lastElementChild?.remove();
    stripeRows(stripes).forEach((row, i) => {
      const tr = body.children[i] ?? body.appendChild(document.createElement("tr"));
      row.forEach((text, j) => {
        let cell = tr.children[j];
        if (!cell) {
          cell = document.createElement(j === 0 ? "th" : "td");
          if (j === 0) cell.setAttribute("scope", "row");
          tr.append(cell);
        }
        say(cell, text);
      });
    });
  }
}
