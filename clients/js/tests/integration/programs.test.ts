import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Node } from "../node.js";
import { examples } from "../readme.js";

const HERE = fileURLToPath(new URL("../../", import.meta.url));

let node: Node;
beforeAll(async () => void (node = await Node.start()));
afterAll(() => node?.stop());

/** Run a program on the built package until it ends by itself, and return what it prints. */
async function printed(program: string): Promise<string> {
  const env = { ...process.env, LAMBDAMESH_URL: node.url, NO_COLOR: "1" };
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: HERE,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [out, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
  expect(code).toBe(0);
  return out;
}

const flat = (text: string): string => text.trim().replaceAll(/\s+/g, " ");

test.each(examples("js").map((code, at) => [at + 1, code] as const))(
  "example %i of the README prints what it says",
  async (_, code) => {
    const promised = [...code.matchAll(/\/\/ prints: (.*)$/gm)].map(([, line]) => line).join(" ");
    expect(promised).not.toBe("");
    expect(flat(await printed(code))).toBe(flat(promised));
  },
);

test("without a node a program is told what to look at", async () => {
  const program = `
    import { connect } from "lambdamesh";
    await connect("ws://127.0.0.1:1").catch((error) => console.log(error.name, error.code));`;
  expect(await printed(program)).toBe("ConnectError 1006\n");
});
