/** Something fetched again and again: at its pace, sooner on request, never twice at once, and only while wanted. */

export class Poller {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isRunning = false;
  private isFetching = false;
  private isWantedAgain = false;

  constructor(
    private readonly fetchOnce: () => Promise<void>,
    private readonly everyMs: number,
    private readonly soonMs = 400,
  ) {}

  start(): void {
    if (this.isRunning) return;
    this.isRunning = true;
    void this.run();
  }

  stop(): void {
    this.isRunning = false;
    clearTimeout(this.timer);
  }

  /** Something changed: fetch shortly, many calls as one. */
  soon(): void {
    if (!this.isRunning) return;
    if (this.isFetching) this.isWantedAgain = true;
    else this.plan(this.soonMs);
  }

  private async run(): Promise<void> {
    if (this.isFetching) return;
    this.isFetching = true;
    this.isWantedAgain = false;
    try {
      if (typeof document === "undefined" || !document.hidden) await this.fetchOnce();
    } finally {
      this.isFetching = false;
      if (this.isRunning) this.plan(this.isWantedAgain ? this.soonMs : this.everyMs);
    }
  }

  private plan(inMs: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.run(), inMs);
  }
}
