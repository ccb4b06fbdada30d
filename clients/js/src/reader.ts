import type { Calling, Outcome } from "./calling.js";
import { CREDIT_PORTION } from "./messages.js";

interface Reading<T> {
  resolve(result: IteratorResult<T, unknown>): void;
  reject(error: unknown): void;
}

/**
 * The items of one streaming call. It starts with the first `next()`; what is buffered is bounded by the credit, which
 * is given back as items are taken. Leaving the loop, `return()`, cancels the call. The last value is its result.
 */
export class Reader<T> implements AsyncIterableIterator<T> {
  readonly #begin: (outcome: Outcome) => Calling;
  readonly #items: T[] = [];
  readonly #readings: Reading<T>[] = [];
  #calling: Calling | undefined;
  #end: ((reading: Reading<T>) => void) | undefined;
  #taken = 0;

  constructor(begin: (outcome: Outcome) => Calling) {
    this.#begin = begin;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T, unknown>> {
    return new Promise((resolve, reject) => {
      this.#readings.push({ resolve, reject });
      if (!this.#calling && !this.#end) this.#start();
      this.#pump();
    });
  }

  return(value?: unknown): Promise<IteratorResult<T, unknown>> {
    this.#calling?.cancel();
    this.#items.length = 0;
    this.#ended((reading) => reading.resolve({ done: true, value: undefined }));
    return Promise.resolve({ done: true, value });
  }

  #start(): void {
    this.#calling = this.#begin({
      item: (value) => {
        this.#items.push(value as T);
        this.#pump();
      },
      result: (value) => this.#ended((reading) => reading.resolve({ done: true, value })),
      fault: (error, isAbort) => {
        if (isAbort) this.#items.length = 0;
        this.#ended((reading) => reading.reject(error));
      },
    });
  }

  /** The first reading behind the items is told the end, later ones that there is nothing more. */
  #ended(tell: (reading: Reading<T>) => void): void {
    this.#end ??= tell;
    this.#pump();
  }

  #pump(): void {
    while (this.#readings.length > 0 && this.#items.length > 0) {
      this.#readings.shift()!.resolve({ done: false, value: this.#items.shift()! });
      if (++this.#taken % CREDIT_PORTION === 0) this.#calling?.grant(CREDIT_PORTION);
    }
    if (this.#items.length > 0) this.#calling?.pause();
    else if (!this.#end) this.#calling?.expect();
    while (this.#end && this.#readings.length > 0) {
      this.#end(this.#readings.shift()!);
      this.#end = (reading) => reading.resolve({ done: true, value: undefined });
    }
  }
}
