import { expect, test } from "vitest";
import { isPassing, retryAfterMs, verdictOf } from "../../src/policy.js";

test.each([1000, 1001, 1005, 1006, 1009, 1011, 1012, 1013, 4408, 4429, 4500, 4503, 4599, 3000, 429, 502, 503])(
  "%i: retry",
  (code) => {
    expect(verdictOf(code)).toBe("retry");
  },
);
test.each([1002, 1007, 4400, 4403, 4404, 4409, 4410, 4499, 400, 403, 404, 410])("%i: final", (code) => {
  expect(verdictOf(code)).toBe("final");
});
test.each([4401, 401])("%i: final for that ticket", (code) => expect(verdictOf(code)).toBe("ticket"));

test("the time between tries doubles up to 30 s, at random", () => {
  expect([0, 1, 2, 5, 6, 7, 2000].map((n) => retryAfterMs(n, 1))).toEqual([
    500, 1000, 2000, 16_000, 30_000, 30_000, 30_000,
  ]);
  expect(retryAfterMs(3, 0)).toBe(0);
  expect(retryAfterMs(3, 0.5)).toBe(2000);
});

test("where calls wait it is soon", () => {
  expect([0, 2, 3, 2000].map((n) => retryAfterMs(n, 1, true))).toEqual([500, 2000, 3750, 3750]);
});

test("refusals that pass", () =>
  expect([400, 403, 404, 410, 429, 502, 503, 504, undefined].map(isPassing)).toEqual([
    false,
    false,
    false,
    false,
    true,
    true,
    true,
    true,
    false,
  ]));
