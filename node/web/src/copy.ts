// Buttons that copy a text.

import { say } from "./dom";

export interface Source {
  text: string;
  /** What to select where the browser does not let the page copy by itself. */
  element: HTMLElement;
}

const restoreMs = 2500;

export function copyFrom(button: HTMLButtonElement, source: () => Source): void {
  let restore = 0;
  let name = "";
  button.addEventListener("click", () => {
    void copyText(source()).then((ok) => {
      if (restore === 0) name = button.textContent ?? "";
      say(button, ok ? "Copied" : "Press Ctrl+C");
      clearTimeout(restore);
      restore = window.setTimeout(() => {
        restore = 0;
        say(button, name);
      }, restoreMs);
    });
  });
}

async function copyText({ text, element }: Source): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // The clipboard interface is for secure origins; a page opened over the LAN is none.
    if (element instanceof HTMLInputElement) {
      element.focus();
      element.select();
    } else {
      getSelection()?.selectAllChildren(element);
    }
    return document.execCommand("copy");
  }
}
