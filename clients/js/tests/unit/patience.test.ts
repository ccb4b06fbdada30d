import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Calling, type CallOptions } from "../../src/calling.js";
import { CallError, type Delivered } from "../../src/errors.js";
import { Patience, RESTING_LIMIT, isRefusalThatPasses } from "../../src/patience.js";
import { Reader } from "../../src/reader.js";
import { Requests } from "../../src/requests.js";
import { Wire } from "../wire.js";

const refusal = (code: string, delivered: Delivered = "no") => new CallError(code, { code, delivered });

describe("patience", () => {
  test("pauses grow, on top of what the node asks for", () => {
    const patience = new Patience(60_000);
    const pauses = [1, 2, 3, 4, 5, 6].map(() => patience.pauseMs(refusal("peer_unreachable"), 1, Infinity, 1));
    expect(pauses).toEqual([100, 200, 400, 800, 1000, 1000]);
    expect(new Patience(60_000).pauseMs(refusal("draining"), 1, Infinity, 0)).toBe(1000);
  });

  test("counts from the first refusal, tries at its end, and leaves time before the deadline", () => {
    const patience = new Patience(500);
    expect(patience.pauseMs(refusal("peer_unreachable"), 1, Infinity, 0)).toBe(0);
    expect(patience.pauseMs(refusal("peer_unreachable"), 491, Infinity, 1)).toBe(10);
    expect(patience.pauseMs(refusal("peer_unreachable"), 501, Infinity, 0)).toBeUndefined();
    expect(new Patience(15_000).pauseMs(refusal("recovering"), 1, 900, 0)).toBeUndefined();
  });

  test.each([
    ["overloaded", "no"],
    ["lambda_not_found", "no"],
    ["lambda_gone", "no"],
    ["forbidden", "no"],
    ["lambda_lost", "unknown"],
    ["timeout", "no"],
    ["peer_unreachable", "unknown"],
    ["draining", "yes"],
  ] as const)("%s, delivered %s, does not pass", (code, delivered) => {
    expect(isRefusalThatPasses(refusal(code, delivered))).toBe(false);
  });
});

type Sent = { id: number; method: string; meta?: { timeout_ms: number } };

describe("a call", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function setUp(patienceMs = 15_000) {
    const requests = new Requests(Date.now);
    const sent: Sent[] = [];
    const attach = (): void => requests.attach((text) => sent.push(JSON.parse(text) as Sent) > 0);
    attach();
    const call = (options: CallOptions = {}) => {
      const outcome = { result: vi.fn(), fault: vi.fn() };
      const calling = new Calling(requests, { method: "m", params: "[]" }, options, outcome, patienceMs);
      return { ...outcome, calling };
    };
    const refuse = (id: number, code: string, delivered = "no"): void =>
      requests.answered({ id, error: { code: 503, message: code, data: { status: 503, code, delivered } } });
    return { requests, sent, attach, call, refuse };
  }

  test.each(["draining", "recovering", "peer_unreachable"])("refused as %s is asked again", (code) => {
    const { call, refuse, sent, requests } = setUp();
    const { result, fault } = call({ timeout: 10_000 });
    refuse(1, code);
    vi.advanceTimersByTime(2_000);
    const again = sent.filter(({ method }) => method === "m");
    expect(again).toHaveLength(2);
    expect(again[1]!.meta!.timeout_ms).toBeLessThanOrEqual(10_000);
    expect(again[1]!.meta!.timeout_ms).toBeGreaterThanOrEqual(7_900);
    requests.answered({ id: again[1]!.id, result: 7 });
    expect(result).toHaveBeenCalledExactlyOnceWith(7);
    expect(fault).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });

  test.each([
    ["draining", "unknown"],
    ["peer_unreachable", "yes"],
    ["overloaded", "no"],
    ["lambda_gone", "no"],
  ])("refused as %s, delivered %s, ends at once", (code, delivered) => {
    const { call, refuse, sent } = setUp();
    const { fault } = call();
    refuse(1, code, delivered);
    expect(fault).toHaveBeenCalledOnce();
    expect(sent).toHaveLength(1);
  });

  test("without patience ends at once, and asks nothing", () => {
    const { call, refuse, sent } = setUp(0);
    const { fault } = call();
    refuse(1, "draining");
    expect(fault.mock.calls[0]![0]).toMatchObject({ code: "draining", delivered: "no" });
    expect(sent).toHaveLength(1);
  });

  test("ends with its last refusal when its patience does", () => {
    const { call, refuse, sent } = setUp(3_000);
    const { fault } = call();
    let tries = 0;
    while (fault.mock.calls.length === 0 && tries < 100) {
      refuse(sent.at(-1)!.id, "peer_unreachable");
      vi.advanceTimersToNextTimer();
      tries++;
    }
    expect(fault.mock.calls[0]![0]).toMatchObject({ code: "peer_unreachable" });
    expect(tries).toBeGreaterThan(4);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("that is aborted or cancelled stops trying", () => {
    const { call, refuse, sent, requests } = setUp();
    const stop = new AbortController();
    const aborted = call({ signal: stop.signal });
    const cancelled = call();
    refuse(1, "peer_unreachable");
    refuse(2, "peer_unreachable");
    stop.abort("enough");
    cancelled.calling.cancel();
    vi.advanceTimersByTime(5_000);
    expect(aborted.fault).toHaveBeenCalledExactlyOnceWith("enough", true);
    expect([sent.length, requests.resting.size]).toEqual([2, 0]);
  });

  test("that rests when its deadline comes was not delivered", () => {
    const { call, refuse, sent } = setUp();
    const { fault } = call({ timeout: 3_000 });
    refuse(1, "recovering");
    vi.advanceTimersByTime(2_100);
    refuse(sent.at(-1)!.id, "recovering");
    vi.advanceTimersByTime(5_000);
    expect(fault).toHaveBeenCalledOnce();
    expect(fault.mock.calls[0]![0]).toMatchObject({ delivered: "no" });
  });

  test("that rests is told when the connection has ended for good", () => {
    const { call, refuse, requests } = setUp();
    const { fault } = call();
    refuse(1, "recovering");
    requests.end("left");
    expect(fault.mock.calls[0]![0]).toMatchObject({ code: "closed", delivered: "no" });
    expect(vi.getTimerCount()).toBe(0);
  });

  test("was refused, sent again and lost with its connection: it may have run", () => {
    const { call, refuse, requests } = setUp();
    const { fault } = call();
    refuse(1, "peer_unreachable");
    vi.advanceTimersByTime(200);
    requests.detach();
    expect(fault.mock.calls[0]![0]).toMatchObject({ code: "lambda_lost", delivered: "unknown" });
  });

  test("is one of so many that rest", () => {
    const { call, refuse } = setUp();
    const calls = Array.from({ length: RESTING_LIMIT + 1 }, () => call());
    calls.forEach((_, index) => refuse(index + 1, "recovering"));
    expect(calls.map(({ fault }) => fault.mock.calls.length).lastIndexOf(0)).toBe(RESTING_LIMIT - 1);
    expect(calls[RESTING_LIMIT]!.fault).toHaveBeenCalledOnce();
  });

  test("that streams is asked again before its first item only", async () => {
    const { requests, refuse, sent } = setUp();
    const begin = () =>
      new Reader<number>(
        (outcome) => new Calling(requests, { method: "s", params: "[]", stream: true }, {}, outcome, 15_000),
      );
    const [early, late] = [begin(), begin()];
    const first = early.next();
    const begun = late.next();
    requests.progressed(2, "item");
    refuse(1, "recovering");
    refuse(2, "recovering");
    expect(await begun).toMatchObject({ value: "item" });
    await expect(late.next()).rejects.toMatchObject({ code: "recovering" });
    vi.advanceTimersByTime(2_000);
    const again = sent.filter(({ method }) => method === "s");
    expect(again).toHaveLength(3);
    requests.progressed(again[2]!.id, "came");
    expect(await first).toMatchObject({ value: "came" });
  });

  test("waits for the next connection where its own node goes down", () => {
    const { call, refuse, sent, requests, attach } = setUp();
    call();
    call();
    refuse(1, "draining");
    refuse(2, "draining");
    const looks = sent.filter(({ method }) => method === "GET /readyz");
    expect(looks).toHaveLength(1);
    refuse(looks[0]!.id, "draining");
    call();
    vi.advanceTimersByTime(5_000);
    expect(sent).toHaveLength(3);
    requests.detach();
    attach();
    expect(sent.slice(3).map(({ method }) => method)).toEqual(["m", "m", "m"]);
  });

  test("goes on where another node goes down", () => {
    const { call, refuse, sent, requests } = setUp();
    call();
    refuse(1, "draining");
    requests.answered({ id: sent.at(-1)!.id, result: { status: "ready" } });
    call();
    expect(sent.at(-1)!.method).toBe("m");
  });

  test("is not sent after all by a late answer that the node stays", () => {
    const { call, refuse, sent, requests } = setUp();
    call();
    refuse(1, "draining");
    const question = sent.at(-1)!.id;
    requests.isLeft = true;
    requests.answered({ id: question, result: { status: "ready" } });
    call();
    expect(sent.filter(({ method }) => method === "m")).toHaveLength(1);
  });

  test("that waited for a connection is not sent to a node that goes down at once", () => {
    const { call, requests, sent, attach } = setUp();
    requests.detach();
    const { fault } = call();
    requests.isLeft = true;
    attach();
    expect(sent).toEqual([]);
    requests.detach();
    attach();
    expect(sent.map(({ method }) => method)).toEqual(["m"]);
    expect(fault).not.toHaveBeenCalled();
  });

  test.each([Infinity, 2 ** 40])("of a patience of %d ms waits too", (patience) => {
    const { call, requests, sent, attach } = setUp(patience);
    requests.isLeft = true;
    const { fault } = call({ timeout: 3_600_000 });
    vi.advanceTimersByTime(60_000);
    expect(fault).not.toHaveBeenCalled();
    requests.detach();
    attach();
    expect(sent.map(({ method }) => method)).toEqual(["m"]);
  });

  test("waits no longer than its patience for a node that goes down and stays", () => {
    const { call, requests, sent } = setUp(3_000);
    requests.isLeft = true;
    const { fault } = call();
    vi.advanceTimersByTime(2_999);
    expect(fault).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(fault.mock.calls[0]![0]).toMatchObject({ code: "draining", delivered: "no" });
    expect(sent).toEqual([]);
  });
});

test("a node that says that it goes down is answered, and asked nothing more", () => {
  const wire = new Wire();
  wire.attach();
  wire.say({ id: "$/end", method: "node.draining" });
  expect(wire.take()).toEqual({ jsonrpc: "2.0", id: "$/end", result: null });
  const asked = { method: "POST /lambda/x/y", params: "[]", result: vi.fn(), fault: vi.fn() };
  wire.session.requests.start({ ...asked, isPatient: true });
  expect(wire.unread).toEqual([]);
  wire.session.requests.start(asked);
  expect(wire.take().method).toBe(asked.method);
  wire.detach();
  wire.attach();
  expect(wire.take().method).toBe(asked.method);
});
