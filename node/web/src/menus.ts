// The menus of sounds and qualities, which are there only where there is a choice.

import type { Choice } from "./choice";
import { byId, show } from "./dom";
import type { Player } from "./player";

const sound = byId<HTMLSelectElement>("sound");
const quality = byId<HTMLSelectElement>("quality");

export class Menus {
  constructor(private readonly player: Player) {
    sound.addEventListener("change", () => player.chooseSound(sound.value));
    quality.addEventListener("change", () => player.chooseQuality(quality.value));
  }

  render(): void {
    const { player } = this;
    fill(sound, player.sounds, player.sound);
    fill(quality, player.qualities, player.quality);
    show(byId("sound-choice"), sound.length > 1);
    show(byId("quality-choice"), quality.length > 1);
  }
}

/** Changes only what is another: an open menu would close. */
function fill(menu: HTMLSelectElement, choices: readonly Choice[], chosen: string): void {
  const same = menu.length === choices.length && choices.every((c, i) => menu.options[i]!.value === c.id);
  if (!same) menu.replaceChildren(...choices.map((c) => new Option(c.label, c.id)));
  if (document.activeElement !== menu || !same) menu.value = chosen;
}
