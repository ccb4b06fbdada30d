import { describe, expect, test } from "vitest";
import { CallError, type CallContext } from "../../src/index.js";
import { deferred } from "../deferred.js";
import { pythonPeer } from "../python.js";
import { join, node, refusal, useNode } from "./meshes.js";

useNode();

describe("calls", () => {
  test("by HTTP and by this client reach the handler, and come back", async () => {
    const mesh = await join();
    const fn = await mesh.expose({ test: (body) => ({ echo: body }) });
    expect(fn.id).toMatch(/^[\w-]{16}$/);
    expect(await node.post(fn.id, "test", { hello: "world" })).toEqual({
      status: 200,
      answer: { echo: { hello: "world" } },
    });
    const caller = await join();
    expect(await caller.call(fn.id, "test", { hello: "world" }, { timeout: 5000 })).toEqual({
      echo: { hello: "world" },
    });
    expect(await caller.call(fn.id, "test")).toEqual({ echo: null });
    expect(await caller.call(fn.id, "test", "grüße \u2028 \ud83d\ude00")).toEqual({
      echo: "grüße \u2028 \ud83d\ude00",
    });
  });

  test("a name of any characters is a method", async () => {
    const mesh = await join();
    const fn = await mesh.expose({ "a/b?c#ü %": (body: unknown) => body });
    expect(await mesh.call(fn.id, "a/b?c#ü %", 1)).toBe(1);
  });

  test("many at once", async () => {
    const mesh = await join();
    const fn = await mesh.expose({ add: ([a, b]: [number, number]) => a + b });
    const sums = await Promise.all(Array.from({ length: 200 }, (_, n) => mesh.call(fn.id, "add", [n, 1])));
    expect(sums).toEqual(Array.from({ length: 200 }, (_, n) => n + 1));
  });

  test("the context says what the node knows", async () => {
    const mesh = await join();
    let context: CallContext | undefined;
    const fn = await mesh.expose({ test: (_: unknown, given: CallContext) => void (context = given) });
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await mesh.call(fn.id, "test", null, { timeout: 5000, traceparent });
    expect(context).toMatchObject({ lambda: fn.id, stream: false });
    expect(context!.ray).toMatch(/^[0-9a-f]{16}-[A-Z]{3}$/);
    expect(context!.traceparent).toContain("0af7651916cd43dd8448eb211c80319c");
    expect(context!.deadline!.getTime() - Date.now()).toBeLessThanOrEqual(5000);
  });

  test("notifications arrive and are not answered", async () => {
    const mesh = await join();
    const seen = deferred<unknown>();
    const fn = await mesh.expose({ seen: (body: unknown) => seen.resolve(body) });
    await mesh.notify(fn.id, "seen", 42);
    expect(await seen.promise).toBe(42);
  });

  test("several lambdas share one socket", async () => {
    const mesh = await join();
    const fns = await Promise.all([1, 2, 3].map((n) => mesh.expose({ who: () => n })));
    expect(await Promise.all(fns.map((fn) => mesh.call(fn.id, "who")))).toEqual([1, 2, 3]);
    await fns[1]!.close();
    expect(await refusal(mesh.call(fns[1]!.id, "who"))).toMatchObject({
      code: "lambda_gone",
      status: 410,
      delivered: "no",
    });
    expect(await mesh.call(fns[2]!.id, "who")).toBe(3);
  });
});

describe("errors", () => {
  test.each<[string, unknown, object]>([
    [
      "fail",
      null,
      { code: "lambda_error", status: 400, delivered: "yes", message: "no", rpcCode: -32000, data: undefined },
    ],
    ["picky", null, { code: "invalid_params", delivered: "yes", rpcCode: -32602, data: { at: "$.a" } }],
    ["nothing", null, { code: "method_not_found", delivered: "yes", rpcCode: -32601 }],
    ["constructor", null, { code: "method_not_found" }],
    ["__proto__", null, { code: "method_not_found" }],
    ["toString", null, { code: "method_not_found" }],
    ["open", null, { code: "bad_request", status: 400, delivered: "no" }],
  ])("%s", async (method, body, error) => {
    const mesh = await join();
    const fn = await mesh.expose({
      fail: () => {
        throw new Error("no");
      },
      picky: () => {
        throw Object.assign(new Error("no"), { code: -32602, data: { at: "$.a" } });
      },
    });
    const refused = await refusal(mesh.call(fn.id, method, body));
    expect(refused).toBeInstanceOf(CallError);
    expect(refused).toMatchObject(error);
    expect(refused.ray).toMatch(/-[A-Z]{3}$/);
  });

  test("no such lambda", async () => {
    const mesh = await join();
    expect(await refusal(mesh.call("AAAAAAAAAAAAAAAA", "test"))).toMatchObject({ delivered: "no" });
    const fn = await mesh.expose({});
    await fn.close();
    expect(await refusal(mesh.call(fn.id, "test"))).toMatchObject({
      code: "lambda_gone",
      delivered: "no",
      retryable: false,
    });
  });

  test("a deadline, told by the node, aborts the handler", async () => {
    const mesh = await join();
    const aborted = deferred<void>();
    const fn = await mesh.expose({
      wait: (_: unknown, { signal }: CallContext) =>
        new Promise(() => signal.addEventListener("abort", () => aborted.resolve())),
    });
    const refused = await refusal(mesh.call(fn.id, "wait", null, { timeout: 100 }));
    expect(refused).toMatchObject({ code: "timeout", status: 504, delivered: "unknown" });
    await aborted.promise;
  });

  test("a signal rejects with its reason and aborts the handler", async () => {
    const mesh = await join();
    const [began, aborted] = [deferred<void>(), deferred<void>()];
    const fn = await mesh.expose({
      wait: (_: unknown, { signal }: CallContext) => {
        began.resolve();
        return new Promise(() => signal.addEventListener("abort", () => aborted.resolve()));
      },
    });
    const stop = new AbortController();
    const call = refusal(mesh.call(fn.id, "wait", null, { signal: stop.signal }));
    await began.promise;
    stop.abort(new Error("changed my mind"));
    expect((await call).message).toBe("changed my mind");
    await aborted.promise;
  });

  test("a caller by HTTP that goes away aborts the handler", async () => {
    const mesh = await join();
    const [began, aborted] = [deferred<void>(), deferred<void>()];
    const fn = await mesh.expose({
      wait: (_: unknown, { signal }: CallContext) => {
        signal.addEventListener("abort", () => aborted.resolve());
        began.resolve();
        return new Promise(() => {});
      },
    });
    const stop = new AbortController();
    const gone = fetch(`${node.url}/lambda/${fn.id}/wait`, { method: "POST", signal: stop.signal }).catch(() => {});
    await began.promise;
    stop.abort();
    await gone;
    await aborted.promise;
  });
});

test("this client and the Python client call each other", async () => {
  const mesh = await join();
  const fn = await mesh.expose({
    test: (body) => ({ echo: body }),
    *count(to: number) {
      for (let n = 0; n < to; n++) yield n;
    },
  });
  const python = await pythonPeer(node, fn.id);
  expect(python).toMatchObject({
    echo: { echo: { from: "Python \u2192" } },
    items: Array.from({ length: 40 }, (_, n) => n),
  });
  expect(await mesh.call(python.id, "add", [2, 3])).toBe(5);
  const items: unknown[] = [];
  for await (const item of mesh.stream(python.id, "count", 100)) items.push(item);
  expect(items).toHaveLength(100);
  await python.stop();
});
