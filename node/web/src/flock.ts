// Starlings on a canvas, for the times when there is no picture. Each bird minds its seven nearest
// neighbours, whatever their distance (Ballerini et al., PNAS 2008): as the program's nodes do.

interface Bird {
  x: number;
  y: number;
  vx: number;
  vy: number;
  /** 0 far, 1 near: size and brightness. */
  depth: number;
}

const neighbours = 7;

export class Flock {
  private readonly birds: Bird[] = [];
  private readonly context: CanvasRenderingContext2D | null;
  private readonly still = matchMedia("(prefers-reduced-motion: reduce)");
  private frame = 0;
  private running = false;
  private width = 0;
  private height = 0;
  private time = 0;
  private last = 0;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly count = 150,
  ) {
    this.context = canvas.getContext("2d");
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.still.addEventListener("change", () => this.again());
    document.addEventListener("visibilitychange", () => this.again());
  }

  run(on: boolean): void {
    if (on === this.running) return;
    this.running = on;
    this.canvas.hidden = !on;
    this.again();
  }

  private again(): void {
    cancelAnimationFrame(this.frame);
    if (!this.running || document.hidden) return;
    this.resize();
    if (this.birds.length === 0) this.gather();
    if (this.still.matches) this.draw();
    else this.frame = requestAnimationFrame((t) => this.tick(t));
  }

  private resize(): void {
    const { clientWidth: w, clientHeight: h } = this.canvas;
    if (w === 0 || h === 0 || (w === this.width && h === this.height)) return;
    const ratio = Math.min(2, devicePixelRatio);
    this.canvas.width = w * ratio;
    this.canvas.height = h * ratio;
    this.context?.setTransform(ratio, 0, 0, ratio, 0, 0);
    for (const b of this.birds) {
      b.x *= w / (this.width || w);
      b.y *= h / (this.height || h);
    }
    this.width = w;
    this.height = h;
    if (this.running && this.still.matches && this.birds.length > 0) this.draw();
  }

  /** Birds begin as one cloud already on the wing, and fly a little before they are seen. */
  private gather(): void {
    for (let i = 0; i < this.count; i++) {
      const a = Math.random() * 2 * Math.PI;
      const r = Math.sqrt(Math.random());
      this.birds.push({
        x: this.width * (0.5 + 0.28 * r * Math.cos(a)),
        y: this.height * (0.42 + 0.24 * r * Math.sin(a)),
        vx: 40 + Math.random() * 20,
        vy: (Math.random() - 0.5) * 30,
        depth: Math.random(),
      });
    }
    for (let i = 0; i < 90; i++) this.step(1 / 30);
  }

  private tick(t: number): void {
    // Thirty steps a second are smooth enough for distant birds.
    if (t - this.last >= 30) {
      this.step(Math.min(0.05, (t - this.last) / 1000));
      this.last = t;
      this.draw();
    }
    this.frame = requestAnimationFrame((n) => this.tick(n));
  }

  private step(dt: number): void {
    this.time += dt;
    const { birds, width: w, height: h } = this;
    const scale = Math.min(w, h * 1.8) / 700;
    const speed = 75 * Math.max(0.6, scale);
    const room = 15 * Math.max(0.55, scale);
    // The flock is drawn towards a point that wanders, and so it turns as one.
    const gx = w * (0.5 + 0.24 * Math.sin(this.time * 0.31) * Math.cos(this.time * 0.11));
    const gy = h * (0.35 + 0.13 * Math.sin(this.time * 0.43 + 1));
    for (const b of birds) {
      const near: { d: number; o: Bird }[] = [];
      for (const o of birds) {
        if (o === b) continue;
        const d = (o.x - b.x) ** 2 + (o.y - b.y) ** 2;
        if (near.length < neighbours || d < near[near.length - 1]!.d) {
          let i = near.length;
          while (i > 0 && near[i - 1]!.d > d) i--;
          near.splice(i, 0, { d, o });
          if (near.length > neighbours) near.pop();
        }
      }
      let ax = (gx - b.x) * 0.22;
      let ay = (gy - b.y) * 0.34;
      // Nearer to the edge than this, they turn back harder.
      ax += (Math.max(0, w * 0.14 - b.x) - Math.max(0, b.x - w * 0.86)) * 3;
      ay += (Math.max(0, h * 0.14 - b.y) - Math.max(0, b.y - h * 0.72)) * 3;
      for (const { d, o } of near) {
        ax += (o.vx - b.vx) * 0.32 + (o.x - b.x) * 0.1;
        ay += (o.vy - b.vy) * 0.32 + (o.y - b.y) * 0.1;
        if (d < room * room) {
          const push = (90 * (1 - Math.sqrt(d) / room)) / (Math.sqrt(d) + 1);
          ax -= (o.x - b.x) * push;
          ay -= (o.y - b.y) * push;
        }
      }
      b.vx += ax * dt;
      b.vy += ay * dt;
      const v = Math.hypot(b.vx, b.vy) || 1;
      const to = Math.min(1.5 * speed, Math.max(0.7 * speed, v));
      b.vx *= to / v;
      b.vy *= to / v;
    }
    for (const b of birds) {
      b.x += b.vx * dt;
      b.y += b.vy * dt;
    }
  }

  private draw(): void {
    const c = this.context;
    if (!c) return;
    c.clearRect(0, 0, this.width, this.height);
    const size = Math.max(0.75, Math.min(1.5, this.width / 620));
    for (const b of this.birds) {
      const a = Math.atan2(b.vy, b.vx);
      const s = size * (1.7 + 2.1 * b.depth);
      // Wings beat out of step with one another.
      const wing = s * (0.75 + 0.4 * Math.sin(this.time * 11 + b.depth * 40));
      c.save();
      c.translate(b.x, b.y);
      c.rotate(a);
      c.fillStyle = `hsl(${28 + 14 * b.depth} ${70 + 20 * b.depth}% ${58 + 18 * b.depth}% / ${0.3 + 0.5 * b.depth})`;
      c.beginPath();
      c.moveTo(s * 1.25, 0);
      c.lineTo(-s * 0.6, wing);
      c.lineTo(-s * 0.1, 0);
      c.lineTo(-s * 0.6, -wing);
      c.fill();
      c.restore();
    }
  }
}
