import { describe, expect, test } from "vitest";
import { deferred } from "../deferred.js";
import { join, node, refusal, useNode } from "./meshes.js";

useNode();

describe("streams", () => {
  const target = {
    async *count(to: number) {
      for (let n = 0; n < to; n++) yield n;
      return "end";
    },
    *large() {
      yield "x".repeat(70_000);
    },
  };

  test("of more items than there is credit", async () => {
    const mesh = await join();
    const fn = await mesh.expose(target);
    const items: number[] = [];
    for await (const item of mesh.stream<number>(fn.id, "count", 500)) items.push(item);
    expect(items).toEqual(Array.from({ length: 500 }, (_, n) => n));
  });

  test("as an array, as events, as lines", async () => {
    const mesh = await join();
    const fn = await mesh.expose(target);
    expect(await mesh.call(fn.id, "count", 3)).toEqual([0, 1, 2]);
    expect(await node.post(fn.id, "count", 3)).toEqual({ status: 200, answer: [0, 1, 2] });
    const lines = await node.post(fn.id, "count", 2, { Accept: "application/x-ndjson" });
    expect(
      String(lines.answer)
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([{ item: 0 }, { item: 1 }, { result: "end" }]);
    const events = await node.post(fn.id, "count", 2, { Accept: "text/event-stream" });
    expect(events.answer).toMatch(/data: ?0\s+data: ?1\s+event: ?result\s+data: ?"end"/);
  });

  test("a slow reader slows the generator, and leaving the loop ends it", async () => {
    const mesh = await join();
    const left = deferred<void>();
    let made = 0;
    const fn = await mesh.expose({
      async *endless() {
        try {
          for (;;) yield made++;
        } finally {
          left.resolve();
        }
      },
    });
    for await (const item of mesh.stream<number>(fn.id, "endless")) if (item === 20) break;
    await left.promise;
    expect(made).toBeLessThan(120);
  });

  test("an item that is too large", async () => {
    const mesh = await join();
    const fn = await mesh.expose(target);
    expect(await refusal(mesh.stream(fn.id, "large").next())).toMatchObject({
      code: "lambda_error",
      message: expect.stringMatching(/65536/),
    });
  });

  test("a signal", async () => {
    const mesh = await join();
    const fn = await mesh.expose({
      async *wait() {
        yield 1;
        await new Promise(() => {});
      },
    });
    const stop = new AbortController();
    const reader = mesh.stream(fn.id, "wait", null, { signal: stop.signal });
    await reader.next();
    stop.abort("enough");
    await expect(reader.next()).rejects.toBe("enough");
  });

  test("the longest silence", async () => {
    const mesh = await join();
    const fn = await mesh.expose({
      async *wait() {
        yield 1;
        await new Promise(() => {});
      },
    });
    const reader = mesh.stream(fn.id, "wait", null, { timeout: 200 });
    await reader.next();
    expect(await refusal(reader.next())).toMatchObject({ code: "timeout" });
  });
});
