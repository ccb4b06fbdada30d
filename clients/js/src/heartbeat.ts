const SILENCE_MS = 15_000;
const PATIENCE_MS = 8_000;

/** Notices a connection that has died without a word. */
export class Heartbeat {
  readonly #ask: () => void;
  readonly #dead: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isAsking = false;

  /** `ask` after 15 s without a frame; `dead` when 8 s more bring none. */
  constructor(ask: () => void, dead: () => void) {
    this.#ask = ask;
    this.#dead = dead;
  }

  /** A frame came. */
  heard(): void {
    this.stop();
    this.#timer = setTimeout(() => this.ask(), SILENCE_MS);
  }

  /** Ask now. */
  ask(): void {
    if (this.#isAsking) return;
    this.expect();
    this.#ask();
  }

  /** A frame is due. */
  expect(): void {
    this.stop();
    this.#isAsking = true;
    this.#timer = setTimeout(this.#dead, PATIENCE_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#isAsking = false;
  }
}
