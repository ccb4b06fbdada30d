import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Heartbeat } from "../../src/heartbeat.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function beating() {
  const [ask, dead] = [vi.fn(), vi.fn()];
  return { ask, dead, heartbeat: new Heartbeat(ask, dead) };
}

test("asks after 15 s of silence, and 8 s later it is dead", () => {
  const { ask, dead, heartbeat } = beating();
  heartbeat.heard();
  vi.advanceTimersByTime(14_999);
  expect(ask).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(ask).toHaveBeenCalledOnce();
  vi.advanceTimersByTime(7_999);
  expect(dead).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(dead).toHaveBeenCalledOnce();
});

test("any frame is a sign of life", () => {
  const { ask, dead, heartbeat } = beating();
  heartbeat.ask();
  heartbeat.ask();
  expect(ask).toHaveBeenCalledOnce();
  vi.advanceTimersByTime(7_000);
  heartbeat.heard();
  vi.advanceTimersByTime(8_000);
  expect(dead).not.toHaveBeenCalled();
});

test("a socket that never opens is dead too", () => {
  const { dead, heartbeat } = beating();
  heartbeat.expect();
  vi.advanceTimersByTime(8_000);
  expect(dead).toHaveBeenCalledOnce();
  heartbeat.stop();
  expect(vi.getTimerCount()).toBe(0);
});
