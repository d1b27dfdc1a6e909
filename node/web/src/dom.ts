/** The element with this id; index.html has them all. */
export function byId<T extends Element = HTMLElement>(id: string): T {
  const e = document.getElementById(id);
  if (!e) throw new Error(`index.html lacks #${id}`);
  return e as unknown as T;
}

/** Writes text only where it changed, so that screen readers and selections are left in peace. */
export function say(e: Element, text: string): void {
  if (e.textContent !== text) e.textContent = text;
}

export function show(e: HTMLElement, visible: boolean): void {
  if (e.hidden === visible) e.hidden = !visible;
}
