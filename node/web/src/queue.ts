// Does a few things at a time. A browser has six connections to a server over HTTP/1.1, and a poster that comes from
// far away may hold one for long: the player must not wait for it.

export class Queue {
  private readonly waiting: (() => Promise<void>)[] = [];
  private running = 0;

  constructor(private readonly width = 2) {}

  add(job: () => Promise<void>): void {
    this.waiting.push(job);
    this.next();
  }

  private next(): void {
    if (this.running >= this.width) return;
    const job = this.waiting.shift();
    if (!job) return;
    this.running++;
    const done = () => {
      this.running--;
      this.next();
    };
    job().then(done, done);
  }
}
