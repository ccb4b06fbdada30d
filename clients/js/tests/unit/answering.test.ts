import { describe, expect, test, vi } from "vitest";
import { Answering } from "../../src/answering.js";
import { ITEM_LIMIT_BYTES } from "../../src/messages.js";
import type { CallContext, Handler } from "../../src/methods.js";

const CONTEXT = {} as CallContext;

/** Runs a handler to its end and returns its items and its answer. */
async function answered(handler: Handler, { stream = false, credit = 16, debug = false } = {}) {
  const items: unknown[] = [];
  let member = "";
  const answering = new Answering(
    { item: (text) => items.push(JSON.parse(text)), done: (text) => (member = text) },
    stream,
    credit,
  );
  await answering.run(handler, "body", CONTEXT, debug);
  return {
    items,
    ...(JSON.parse(`{${member}}`) as { result?: unknown; error?: { code: number; message: string; data?: unknown } }),
  };
}

describe("results", () => {
  test.each<[string, Handler, unknown]>([
    ["a value", () => 1, 1],
    ["a promise", () => Promise.resolve([1]), [1]],
    ["undefined", () => undefined, null],
    ["a function", () => () => 1, null],
    ["the body", (body) => body, "body"],
    ["an array, which is no generator", () => [1, 2], [1, 2]],
    ["an object with next, which is no generator", () => ({ next: 1 }), { next: 1 }],
    ["toJSON", () => new Date(0), "1970-01-01T00:00:00.000Z"],
  ])("%s", async (_, handler, result) => {
    expect(await answered(handler)).toEqual({ items: [], result });
  });
});

describe("errors", () => {
  test.each<[string, Handler, object]>([
    [
      "a message",
      () => {
        throw new Error("no");
      },
      { code: -32000, message: "no" },
    ],
    ["a rejection", () => Promise.reject(new TypeError("no")), { code: -32000, message: "no" }],
    ["without a message", () => Promise.reject(new RangeError()), { code: -32000, message: "RangeError" }],
    [
      "own code and data",
      () => {
        throw Object.assign(new Error("no"), { code: -32602, data: { at: "$.a" } });
      },
      { code: -32602, message: "no", data: { at: "$.a" } },
    ],
    [
      "a code that is no integer",
      () => {
        throw Object.assign(new Error("no"), { code: "ENOENT" });
      },
      { code: -32000, message: "no" },
    ],
    [
      "an inherited code",
      () => {
        throw new DOMException("no", "AbortError");
      },
      { code: -32000, message: "no" },
    ],
    [
      "data that is no JSON",
      () => {
        throw Object.assign(new Error("no"), { data: 1n });
      },
      { code: -32000, message: "no" },
    ],
    [
      "no error at all",
      () => {
        throw "no";
      },
      { code: -32000, message: "no" },
    ],
    [
      "nothing a string can be made of",
      () => {
        throw Object.create(null);
      },
      { code: -32000, message: "the handler failed" },
    ],
  ])("%s", async (_, handler, error) => {
    expect(await answered(handler)).toEqual({ items: [], error });
  });

  test("a result that is no JSON", async () => {
    const { error } = await answered(() => 1n);
    expect(error).toMatchObject({ code: -32000, message: expect.stringMatching(/BigInt/) });
  });

  test("a stack only when debugging", async () => {
    const fail = (): never => {
      throw new Error("no");
    };
    expect((await answered(fail)).error!.data).toBeUndefined();
    expect((await answered(fail, { debug: true })).error!.data).toMatchObject({
      stack: expect.stringContaining("answering.test"),
    });
  });
});

describe("generators", () => {
  async function* three() {
    yield 1;
    yield 2;
    yield 3;
    return "end";
  }
  function* promised() {
    yield Promise.resolve(1);
    yield 2;
  }

  test("stream their items, and return the result", async () => {
    expect(await answered(three, { stream: true })).toEqual({ items: [1, 2, 3], result: "end" });
    expect(await answered(promised, { stream: true })).toEqual({ items: [1, 2], result: null });
  });

  test("are answered as an array to a plain caller", async () => {
    expect(await answered(three)).toEqual({ items: [], result: [1, 2, 3] });
    expect(await answered(promised)).toEqual({ items: [], result: [1, 2] });
    expect(await answered(async () => three())).toEqual({ items: [], result: [1, 2, 3] });
  });

  test("go no further than their credit", async () => {
    const items: string[] = [];
    const done = vi.fn();
    const answering = new Answering({ item: (text) => items.push(text), done }, true, 1);
    const run = answering.run(three, null, CONTEXT, false);
    await vi.waitFor(() => expect(items).toEqual(["1"]));
    answering.grant(1);
    await vi.waitFor(() => expect(items).toEqual(["1", "2"]));
    expect(done).not.toHaveBeenCalled();
    answering.grant(8);
    await run;
    expect(items).toEqual(["1", "2", "3"]);
    expect(done).toHaveBeenCalledExactlyOnceWith('"result":"end"');
  });

  test("that end with their credit need no more of it", async () => {
    expect(await answered(three, { stream: true, credit: 3 })).toMatchObject({ items: [1, 2, 3], result: "end" });
  });

  test("are left when the call is cancelled, whether they wait for credit or not", async () => {
    const left = vi.fn();
    const done = vi.fn();
    const item = vi.fn();
    const answering = new Answering({ item, done }, true, 1);
    const endless = async function* () {
      try {
        for (;;) yield 1;
      } finally {
        left();
      }
    };
    const run = answering.run(endless, null, CONTEXT, false);
    await vi.waitFor(() => expect(item).toHaveBeenCalled());
    answering.cancel();
    await run;
    await vi.waitFor(() => expect(left).toHaveBeenCalledOnce());
    expect(done).not.toHaveBeenCalled();
    expect(item).toHaveBeenCalledOnce();
  });

  test("that throw while they are left trouble nobody", async () => {
    const answering = new Answering({ item: vi.fn(), done: vi.fn() }, true, 1);
    const stubborn = function* () {
      try {
        for (;;) yield 1;
      } finally {
        throw new Error("stubborn");
      }
    };
    const run = answering.run(stubborn, null, CONTEXT, false);
    answering.cancel();
    await run;
  });

  test("an item that is too large is the handler's error, and ends it", async () => {
    const left = vi.fn();
    const { items, error } = await answered(
      async function* () {
        try {
          yield "x".repeat(ITEM_LIMIT_BYTES - 2);
          yield "ü".repeat(ITEM_LIMIT_BYTES / 2);
        } finally {
          left();
        }
      },
      { stream: true },
    );
    expect(items).toHaveLength(1);
    expect(error!.message).toMatch(/item is larger than 65536 bytes/);
    expect(left).toHaveBeenCalledOnce();
  });

  test("that never end are cut off when nobody takes their items one by one", async () => {
    const { error } = await answered(function* () {
      for (;;) yield "x".repeat(1_000_000);
    });
    expect(error!.message).toMatch(/items are larger/);
  });
});
