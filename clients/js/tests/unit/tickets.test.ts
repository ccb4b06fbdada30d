import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { fetchTicket, renewAfterMs } from "../../src/tickets.js";
import { dialling, joined } from "../dialling.js";
import { ID } from "../wire.js";

beforeEach(() => void vi.spyOn(Math, "random").mockReturnValue(0.5));
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

test("a ticket is a string or is fetched", async () => {
  expect(await fetchTicket(undefined)).toBeUndefined();
  expect(await fetchTicket("a")).toBe("a");
  expect(await fetchTicket(() => "b")).toBe("b");
  expect(await fetchTicket(async () => "c")).toBe("c");
});

const ticket = (payload: object): string => `e30.${Buffer.from(JSON.stringify(payload)).toString("base64url")}.sig`;
test("a ticket is replaced before it ends", () => {
  expect(renewAfterMs(ticket({ exp: 1100, sub: "ÿ?>~" }), 1_000_000)).toBe(80_000);
  expect(renewAfterMs(ticket({ exp: 900 }), 1_000_000)).toBe(1000);
  expect(renewAfterMs(ticket({ exp: 1e12 }), 0)).toBe(2 ** 31 - 1);
  expect(renewAfterMs(ticket({}), 0)).toBeUndefined();
  expect(renewAfterMs("opaque", 0)).toBeUndefined();
});

describe("tickets of a connection", () => {
  test("are fetched before each connection", async () => {
    let n = 0;
    const { dialled, socket } = await joined({ ticket: async () => `t${++n}` });
    expect(socket.protocols).toContain("ticket.t1");
    socket.end(1006);
    expect((await dialled.next()).protocols).toContain("ticket.t2");
  });

  test("that are refused are fetched once more", async () => {
    let n = 0;
    const { dialled, socket, states } = await joined({ ticket: () => `t${++n}` });
    socket.end(4401);
    const second = await dialled.next();
    second.open();
    second.end(4401);
    expect(dialled.made).toHaveLength(2);
    expect(states.at(-1)).toEqual(["closed", 4401]);
  });

  test("are fetched again after each time that one was taken", async () => {
    const { dialled, socket } = await joined({ ticket: () => "t" });
    socket.end(4401);
    const second = await dialled.next();
    second.accept();
    second.end(4401);
    await dialled.next();
  });

  test("that are strings are final", async () => {
    const { socket, states, mesh } = await joined({ ticket: "t" });
    socket.end(4401, "expired");
    expect(states.at(-1)).toEqual(["closed", 4401]);
    await expect(mesh.call(ID, "m")).rejects.toMatchObject({
      code: "closed",
      delivered: "no",
      message: "the mesh is closed: expired",
    });
  });

  test("that cannot be fetched are tried again, and in the end the cause", async () => {
    vi.useFakeTimers();
    const cause = new Error("the back end is down");
    const { connected, dialled } = dialling({ ticket: () => Promise.reject(cause) });
    await vi.advanceTimersByTimeAsync(2000);
    await expect(connected).rejects.toMatchObject({ name: "ConnectError", cause });
    expect(dialled.made).toEqual([]);
  });

  test("are renewed before they end", async () => {
    vi.useFakeTimers({ now: 1_000_000 });
    const ticket = (exp: number): string => `e30.${btoa(JSON.stringify({ exp }))}.sig`.replaceAll("=", "");
    const { socket } = await joined({ ticket: () => ticket(Date.now() / 1000 + 10) });
    await vi.advanceTimersByTimeAsync(8000);
    expect(socket.answer("ticket.renew", {}).params).toEqual({ ticket: ticket(1018) });
    await vi.advanceTimersByTimeAsync(8000);
    socket.answer("ticket.renew", {});
  });
});
