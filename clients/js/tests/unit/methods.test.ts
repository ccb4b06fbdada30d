import { expect, test } from "vitest";
import { methodsOf } from "../../src/methods.js";

test("only an object's own functions", () => {
  class Base {
    inherited() {}
  }
  class Own extends Base {
    method() {}
    own = () => 1;
    value = 5;
  }
  const target = Object.defineProperty(new Own(), "hidden", { value: () => 1, enumerable: false });
  expect([...methodsOf(target).keys()]).toEqual(["own"]);
  for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty"])
    expect(methodsOf({}).has(name)).toBe(false);
});

test("this is the object", () => {
  const target = {
    n: 5,
    get_n() {
      return this.n;
    },
  };
  expect(methodsOf(target).get("get_n")!(null, {} as never)).toBe(5);
});

test.each(["open", "rpc.discover", "rpc.x", "$/ping", "$/", "", "a\nb", "a\u0085b", "ü".repeat(129)])(
  "%j is refused",
  (name) => {
    expect(() => methodsOf({ [name]: () => 1 })).toThrow(TypeError);
  },
);

test.each(["opened", "rpc", "$", "a/b", "ü".repeat(128), "lambda.open"])("%j is not", (name) => {
  expect(methodsOf({ [name]: () => 1 }).has(name)).toBe(true);
});
