import type { Message } from "../src/messages.js";
import { Served, type Closing, type Kept } from "../src/served.js";
import { Session } from "../src/session.js";
import { methodsOf } from "../src/methods.js";
import type { CallError } from "../src/errors.js";

export const ID = "rhowRuuCUoE5vlcA";
export const NOW = 1_000_000;

/** A message as a test reads it. */
export type Seen = Message & { [name: string]: any };

/** The far end of a session, played by a test: no socket, no timer, a clock that stands still. */
export class Wire {
  readonly putOff: Served[] = [];
  readonly session = new Session(
    { ready: () => this.readies++, putOff: (served) => this.putOff.push(served) },
    () => NOW,
  );
  readies = 0;
  /** Whether the socket takes messages. */
  takes = true;
  readonly #seen: Seen[] = [];
  readonly #waits: ((message: Seen) => void)[] = [];

  /** Connect, and answer the greeting. */
  attach(): void {
    this.session.attach((text) => this.#send(text));
    this.answer(this.take("$/ping").id, []);
  }

  detach(): void {
    this.session.detach();
  }

  say(message: object): void {
    this.session.receive(JSON.stringify({ jsonrpc: "2.0", ...message }));
  }

  answer(id: unknown, result: unknown): void {
    this.say({ id, result });
  }

  refuse(id: unknown, status: number, code: string): void {
    this.say({ id, error: { code: status, message: code, data: { status, code, delivered: "no" } } });
  }

  /** The next message of the session, which is there already. */
  take(method?: string): Seen {
    const message = this.#seen.shift();
    if (!message || (method && message.method !== method))
      throw new Error(`${method ?? "a message"} was not sent, but ${JSON.stringify(message)}`);
    return message;
  }

  /** The next message of the session, when it comes. */
  next(): Promise<Seen> {
    const message = this.#seen.shift();
    return message ? Promise.resolve(message) : new Promise((resolve) => this.#waits.push(resolve));
  }

  get unread(): readonly Seen[] {
    return this.#seen;
  }

  /** Serve `target`, and answer its opening. */
  open(target: object, pending: number[] = []): Shown {
    const shown = new Shown(target);
    this.session.serve(shown.served);
    this.answerOpen(ID, pending);
    return shown;
  }

  answerOpen(id = ID, pending: number[] = []): Seen {
    const asked = this.take("lambda.open");
    this.answer(asked.id, { id, resume_key: `key-${asked.id}`, grace_s: 15, pending });
    return asked;
  }

  call(method: string, body: unknown, n: number | undefined, meta: object = {}): void {
    const id = n === undefined ? {} : { id: `${ID}.${n}` };
    this.say({ ...id, method, params: [body], meta: { lambda: ID, stream: false, deadline_ms: 60_000, ...meta } });
  }

  #send(text: string): boolean {
    if (!this.takes) return false;
    const message = JSON.parse(text) as Seen;
    const wait = this.#waits.shift();
    if (wait) wait(message);
    else this.#seen.push(message);
    return true;
  }
}

/** A served lambda and what its owner was told. */
export class Shown {
  openings = 0;
  closing: Closing | undefined;
  error: CallError | undefined;
  readonly served: Served;

  constructor(target: object, kept?: Kept, settings: { graceS?: number; debug?: boolean } = {}) {
    this.served = new Served(
      methodsOf(target),
      { ...settings, now: () => NOW },
      {
        opened: () => this.openings++,
        ended: (closing, error) => Object.assign(this, { closing, error }),
      },
    );
    if (kept) this.served.borrow(kept);
  }
}
