import type { Kept } from "./served.js";

/** How long the page before a reload has to let go of its lock. */
const LETTING_GO_MS = 1_000;

/** How many lambdas this page has named by their order, by node: connections of one page do not share names. */
const counts = new Map<string, number>();

/**
 * Ids and keys in sessionStorage, each under a Web Lock named for its id. A reload finds the lock free, or waits a
 * moment for it. A duplicated tab has a copy of the storage but not the lock, and opens lambdas of its own.
 */
export class Keeper {
  readonly #storage: Storage;
  readonly #locks: LockManager;
  readonly #prefix: string;
  readonly #releases = new Map<string, () => void>();

  private constructor(storage: Storage, locks: LockManager, prefix: string) {
    this.#storage = storage;
    this.#locks = locks;
    this.#prefix = prefix;
  }

  /** A keeper for `address`; undefined where this is no window with Web Locks (a worker, plain HTTP, Node). */
  static of(address: string): Keeper | undefined {
    try {
      const { sessionStorage, navigator } = globalThis;
      if (sessionStorage && navigator.locks)
        return new Keeper(sessionStorage, navigator.locks, `lambdamesh ${address} `);
    } catch {
      // A page without storage may not even look at it.
    }
    return undefined;
  }

  /** A name for the next lambda of this page: after a reload the same order gives the same names. */
  nextName(): string {
    const count = counts.get(this.#prefix) ?? 0;
    counts.set(this.#prefix, count + 1);
    return String(count);
  }

  /** The id and key kept under `name`, if they are not another tab's. */
  async claim(name: string): Promise<Kept | undefined> {
    const kept = parse(this.#storage.getItem(this.#prefix + name));
    return kept && (await this.#lock(kept.id)) ? kept : undefined;
  }

  /** Keep an id and its newest key. */
  async keep(name: string, kept: Kept): Promise<void> {
    if (!this.#releases.has(kept.id) && !(await this.#lock(kept.id))) return;
    try {
      this.#storage.setItem(this.#prefix + name, JSON.stringify(kept));
    } catch {
      // The storage is full: the lambda lives as long as the page.
    }
  }

  /** Forget an id that has ended. */
  forget(name: string, id: string): void {
    if (parse(this.#storage.getItem(this.#prefix + name))?.id === id) this.#storage.removeItem(this.#prefix + name);
    this.#releases.get(id)?.();
    this.#releases.delete(id);
  }

  /** Hold the lock of `id` until it is released. False: somebody else holds it. */
  #lock(id: string): Promise<boolean> {
    return new Promise((resolve) => {
      const held = (): Promise<void> =>
        new Promise((release) => {
          this.#releases.set(id, release);
          resolve(true);
        });
      const signal = AbortSignal.timeout(LETTING_GO_MS);
      this.#locks.request(`lambdamesh ${id}`, { signal }, held).catch(() => resolve(false));
    });
  }
}

function parse(text: string | null): Kept | undefined {
  try {
    const { id, key } = JSON.parse(text ?? "") as Kept;
    return typeof id === "string" && typeof key === "string" ? { id, key } : undefined;
  } catch {
    return undefined;
  }
}
