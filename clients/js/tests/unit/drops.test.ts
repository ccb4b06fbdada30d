import { expect, test } from "vitest";
import type { Message } from "../../src/messages.js";
import { Session } from "../../src/session.js";
import { deferred } from "../deferred.js";
import { ID, Shown } from "../wire.js";

/** The node's side of one lambda, as far as numbers of calls go. */
class Counterpart {
  readonly open = new Set<number>();
  readonly outcomes = new Map<number, string>();
  #waiting: number[] = [];
  #isOpen = false;
  #last = 0;
  say: ((message: object) => void) | undefined;

  call(): number {
    const n = ++this.#last;
    if (this.#isOpen) this.#send(n);
    else this.#waiting.push(n);
    return n;
  }

  hear({ id, method, params, result }: Message): void {
    if (method === "$/ping") this.say!({ id, result: null });
    else if (method === "lambda.open") this.#opened(id, (params as { keep?: number[] }).keep ?? []);
    else if (method === undefined) this.#end(Number(String(id).split(".")[1]), `answered ${String(result)}`);
  }

  lost(): void {
    this.say = undefined;
    this.#isOpen = false;
  }

  cancel(n: number): void {
    if (!this.open.has(n)) return;
    this.#end(n, "cancelled");
    this.say?.({ method: "$/cancelRequest", params: { id: `${ID}.${n}` } });
  }

  #opened(id: Message["id"], keep: number[]): void {
    for (const n of this.open) if (!keep.includes(n)) this.#end(n, "lost");
    this.#isOpen = true;
    this.say!({
      id,
      result: { id: ID, resume_key: "key", grace_s: 15, pending: keep.filter((n) => this.open.has(n)) },
    });
    for (const n of this.#waiting.splice(0)) this.#send(n);
  }

  #send(n: number): void {
    this.open.add(n);
    this.say!({ id: `${ID}.${n}`, method: "test", params: [n], meta: { lambda: ID, stream: false } });
  }

  #end(n: number, outcome: string): void {
    if (!this.open.delete(n)) throw new Error(`${n} is answered twice, or was not asked: ${outcome}`);
    this.outcomes.set(n, outcome);
  }
}

/** A small linear congruential generator, so that a failure can be repeated by its seed. */
const chances =
  (seed: number) =>
  (below: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test.each(Array.from({ length: 60 }, (_, seed) => seed))(
  "whatever connection dies when, each call has one outcome (seed %i)",
  async (seed) => {
    const chance = chances(seed);
    const node = new Counterpart();
    const session = new Session({ ready: () => {}, putOff: () => {} });
    const running = new Map<number, (result: number) => void>();
    const shown = new Shown({
      test: (n: number) => {
        const { promise, resolve } = deferred<number>();
        if (running.has(n)) throw new Error(`${n} is called twice`);
        running.set(n, resolve);
        return promise;
      },
    });
    session.serve(shown.served);
    let isDeaf = false; // The socket takes messages that never arrive.
    const lost = new Set<number>();
    const attach = (): void => {
      isDeaf = false;
      node.say = (message) => void (isDeaf || session.receive(JSON.stringify(message)));
      session.attach((text) => {
        const message = JSON.parse(text) as Message;
        if (!isDeaf) node.hear(message);
        else if (message.method === undefined) lost.add(Number(String(message.id).split(".")[1]));
        return true;
      });
    };
    const detach = (): void => {
      node.lost();
      session.detach();
    };
    const finish = (at: number): void => [...running].slice(at, at + 1).forEach(([n, resolve]) => resolve(n));
    const events = [
      () => node.call(),
      () => node.call(),
      () => finish(chance(running.size + 1)),
      () => node.cancel(1 + chance(50)),
      () => node.say && ((isDeaf = true), finish(chance(running.size + 1))),
      () => (node.say ? detach() : attach()),
    ];
    for (let step = 0; step < 120; step++) {
      events[chance(events.length)]!();
      if (chance(2)) await settled();
    }
    if (node.say) detach();
    attach();
    for (const [n, resolve] of running) resolve(n);
    await settled();
    expect([...node.open]).toEqual([]);
    for (const [n, outcome] of node.outcomes) {
      const isRight =
        outcome === `answered ${n}` ||
        outcome === "cancelled" ||
        (outcome === "lost" && (lost.has(n) || !running.has(n)));
      expect(isRight, `${n}: ${outcome}`).toBe(true);
    }
  },
);
