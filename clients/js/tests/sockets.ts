import type { Seen } from "./wire.js";

/** A WebSocket without a network: the test plays the node. */
export class FakeSocket {
  readyState = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: ((event: { message?: string }) => void) | null = null;
  readonly sent: Seen[] = [];
  closedWith: (number | undefined)[] | undefined;

  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {}

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Seen);
  }

  close(code?: number): void {
    this.readyState = 2;
    this.closedWith = [code];
  }

  /** The handshake succeeds, and the node answers the greeting. */
  accept(): void {
    this.open();
    this.answer("$/ping", null);
  }

  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify({ jsonrpc: "2.0", ...message }) });
  }

  /** Answer the oldest unanswered message of `method`. */
  answer(method: string, result: unknown): Seen {
    const at = this.sent.findIndex((message) => message.method === method);
    const [asked] = this.sent.splice(at, 1);
    if (at < 0 || !asked) throw new Error(`${method} is not among ${JSON.stringify(this.sent)}`);
    this.say({ id: asked.id, result });
    return asked;
  }

  /** The socket ends. */
  end(code: number, reason = ""): void {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }
}

/** Makes sockets, and hands each to the test. */
export class Dialled {
  readonly made: FakeSocket[] = [];
  readonly #waits: ((socket: FakeSocket) => void)[] = [];
  #given = 0;
  readonly WebSocket: new (url: string, protocols: string[]) => FakeSocket;

  constructor() {
    const dialled = this;
    this.WebSocket = class extends FakeSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        dialled.made.push(this);
        const wait = dialled.#waits.shift();
        if (wait) (dialled.#given++, wait(this));
      }
    };
  }

  /** The next socket, when it is made. */
  next(): Promise<FakeSocket> {
    const socket = this.made[this.#given];
    if (socket) return (this.#given++, Promise.resolve(socket));
    return new Promise((resolve) => this.#waits.push(resolve));
  }
}
