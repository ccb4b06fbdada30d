import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Calling, type CallOptions } from "../../src/calling.js";
import { Reader } from "../../src/reader.js";
import { Requests } from "../../src/requests.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

type Sent = { id?: number; method: string; params: { id: number; add: number }; meta?: { timeout_ms: number } };

function setUp(isAttached = true) {
  const requests = new Requests(Date.now);
  const sent: Sent[] = [];
  const attach = (): void => requests.attach((text) => sent.push(JSON.parse(text) as Sent) > 0);
  if (isAttached) attach();
  const call = (options: CallOptions) => {
    const outcome = { result: vi.fn(), fault: vi.fn() };
    const calling = new Calling(requests, { method: "m", params: "[]" }, options, outcome);
    return { ...outcome, calling };
  };
  const stream = (options: CallOptions = {}) =>
    new Reader<number>(
      (outcome) => new Calling(requests, { method: "s", params: "[]", stream: true }, options, outcome),
    );
  return { requests, sent, attach, call, stream };
}

test("a call that waits for a connection ends with its deadline as not delivered, and is never sent", () => {
  const { call, attach, sent } = setUp(false);
  const { fault } = call({ timeout: 1000 });
  vi.advanceTimersByTime(999);
  expect(fault).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(fault.mock.calls[0]![0]).toMatchObject({ code: "timeout", delivered: "no" });
  attach();
  expect(sent).toEqual([]);
});

test("a call that waited is sent with the rest of its time", () => {
  const { call, attach, sent } = setUp(false);
  call({ timeout: 1000 });
  vi.advanceTimersByTime(400);
  attach();
  expect(sent[0]!.meta).toEqual({ timeout_ms: 600 });
});

test("the node says that a deadline has passed, and where it does not, we do", () => {
  const { call, sent } = setUp();
  const { fault } = call({ timeout: 1000 });
  vi.advanceTimersByTime(1100);
  expect(fault).not.toHaveBeenCalled();
  vi.advanceTimersByTime(150);
  expect(fault.mock.calls[0]![0]).toMatchObject({ code: "timeout", delivered: "unknown" });
  expect(sent.at(-1)).toMatchObject({ method: "$/cancelRequest", params: { id: 1 } });
});

test("an answer stops the clock", () => {
  const { call, requests } = setUp();
  const { fault, result } = call({ timeout: 1000 });
  requests.answered({ id: 1, result: "x" });
  expect(vi.getTimerCount()).toBe(0);
  expect(result).toHaveBeenCalledExactlyOnceWith("x");
  expect(fault).not.toHaveBeenCalled();
});

test("no timeout is no timer", () => {
  const { call, sent } = setUp();
  call({ timeout: Infinity });
  expect(vi.getTimerCount()).toBe(0);
  expect(sent[0]!.meta).toBeUndefined();
});

test("a signal rejects with its reason and cancels", () => {
  const { call, sent, requests } = setUp();
  const stop = new AbortController();
  const { fault, result } = call({ timeout: 1000, signal: stop.signal });
  const reason = new Error("changed my mind");
  stop.abort(reason);
  requests.answered({ id: 1, result: 1 });
  expect(fault).toHaveBeenCalledExactlyOnceWith(reason, true);
  expect(result).not.toHaveBeenCalled();
  expect(sent.at(-1)!.method).toBe("$/cancelRequest");
  expect(vi.getTimerCount()).toBe(0);
});

test("a signal that has aborted already sends nothing", () => {
  const { call, sent } = setUp();
  const { fault } = call({ signal: AbortSignal.abort("before") });
  expect(fault).toHaveBeenCalledExactlyOnceWith("before", true);
  expect(sent).toEqual([]);
});

test("a signal that aborts after the answer means nothing", () => {
  const { call, sent, requests } = setUp();
  const stop = new AbortController();
  const { fault } = call({ signal: stop.signal });
  requests.answered({ id: 1, result: 1 });
  stop.abort();
  expect(fault).not.toHaveBeenCalled();
  expect(sent).toHaveLength(1);
});

test("a stream starts with its first reading, gives items in order and ends with its result", async () => {
  const { stream, requests, sent } = setUp();
  const reader = stream();
  expect(sent).toEqual([]);
  const first = reader.next();
  for (const value of [1, 2]) requests.progressed(1, value);
  requests.answered({ id: 1, result: "end" });
  expect(await first).toEqual({ done: false, value: 1 });
  expect(await reader.next()).toEqual({ done: false, value: 2 });
  expect(await reader.next()).toEqual({ done: true, value: "end" });
  expect(await reader.next()).toEqual({ done: true, value: undefined });
});

test("credit is given back as items are taken, not as they come", async () => {
  const { stream, requests, sent } = setUp();
  const reader = stream();
  const first = reader.next();
  for (let n = 0; n < 16; n++) requests.progressed(1, n);
  await first;
  for (let n = 0; n < 6; n++) await reader.next();
  expect(sent).toHaveLength(1);
  await reader.next();
  expect(sent[1]).toMatchObject({ method: "$/credit", params: { id: 1, add: 8 } });
});

test("readings that are ahead of the items get them in order", async () => {
  const { stream, requests } = setUp();
  const reader = stream();
  const readings = [reader.next(), reader.next(), reader.next(), reader.next()];
  requests.progressed(1, "a");
  requests.progressed(1, "b");
  requests.answered({ id: 1, result: null });
  expect((await Promise.all(readings)).map(({ value, done }) => [value, done])).toEqual([
    ["a", false],
    ["b", false],
    [null, true],
    [undefined, true],
  ]);
});

test("an error comes behind the items before it, once", async () => {
  const { stream, requests } = setUp();
  const reader = stream();
  const first = reader.next();
  requests.progressed(1, 1);
  requests.progressed(1, 2);
  requests.detach();
  await first;
  expect(await reader.next()).toEqual({ done: false, value: 2 });
  await expect(reader.next()).rejects.toMatchObject({ code: "lambda_lost" });
  expect(await reader.next()).toEqual({ done: true, value: undefined });
});

test("leaving the loop cancels", async () => {
  const { stream, requests, sent } = setUp();
  const reader = stream();
  const loop = (async () => {
    for await (const item of reader) return item;
    return undefined;
  })();
  requests.progressed(1, "a");
  requests.progressed(1, "b");
  expect(await loop).toBe("a");
  expect(sent.at(-1)).toMatchObject({ method: "$/cancelRequest", params: { id: 1 } });
  expect(await reader.next()).toEqual({ done: true, value: undefined });
});

test("a reading that waits ends when the stream is left", async () => {
  const { stream } = setUp();
  const reader = stream();
  const reading = reader.next();
  await reader.return!("x");
  expect(await reading).toEqual({ done: true, value: undefined });
});

test("a stream that is left before it began sends nothing", async () => {
  const { stream, sent } = setUp();
  const reader = stream();
  await reader.return!();
  expect(await reader.next()).toMatchObject({ done: true });
  expect(sent).toEqual([]);
});

test("a signal ends a stream at once, items that wait or not", async () => {
  const { stream, requests } = setUp();
  const stop = new AbortController();
  const reader = stream({ signal: stop.signal });
  const first = reader.next();
  requests.progressed(1, 1);
  requests.progressed(1, 2);
  await first;
  stop.abort("enough");
  await expect(reader.next()).rejects.toBe("enough");
});

test("the deadline of a stream is the longest silence of the node, not of the reader", async () => {
  const { stream, requests } = setUp();
  const reader = stream({ timeout: 1000 });
  const first = reader.next();
  vi.advanceTimersByTime(900);
  requests.progressed(1, 1);
  requests.progressed(1, 2);
  await first;
  vi.advanceTimersByTime(60_000);
  expect(await reader.next()).toEqual({ done: false, value: 2 });
  const last = reader.next();
  const refused = expect(last).rejects.toMatchObject({ code: "timeout", delivered: "unknown" });
  vi.advanceTimersByTime(1250);
  await refused;
});
