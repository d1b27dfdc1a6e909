// A peer under the pointer shows whom it is fed by (in colour) and whom it feeds (in ink).
for (const map of document.querySelectorAll('svg.map')) {
  const feeds = [...map.querySelectorAll('.feed')];
  const show = (id) => {
    map.classList.toggle('focus', id !== undefined);
    for (const f of feeds) {
      f.classList.toggle('in', f.dataset.t === id);
      f.classList.toggle('out', f.dataset.f === id);
    }
  };
  map.addEventListener('pointerover', (e) => { if (e.target.dataset.p) show(e.target.dataset.p); });
  map.addEventListener('pointerout', () => show(undefined));
}
