import { expect, test } from "vitest";
import { isOver, json, parse } from "../../src/messages.js";

test("JSON", () => {
  expect([undefined, () => 1, Symbol("x"), NaN, [undefined]].map(json)).toEqual([
    "null",
    "null",
    "null",
    "null",
    "[null]",
  ]);
  expect(["[]", "1", "null", '"x"', "", "{"].map(parse)).toEqual(Array(6).fill(undefined));
  expect(parse('{"id":1}')).toEqual({ id: 1 });
  expect([isOver("üü", 4), isOver("üüa", 4), isOver("aaaaa", 4), isOver("", 0)]).toEqual([false, true, true, false]);
});
