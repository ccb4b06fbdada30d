import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PYTHON, ROOT } from "../node.js";
import { hasChromium, launch } from "./chromium.js";

/** A directory for pictures of the page, for people. */
const { SCREENSHOTS } = process.env;

interface Example {
  url: string;
  /** The process ids of its nodes, by name. */
  pids: Map<string, number>;
  stop(): Promise<void>;
}

/** The example as a reader starts it, on free ports. */
async function start(): Promise<Example> {
  const env = { ...process.env, PORT: "0", LOCAL_PORT: "0", MESH_PORT: "0" };
  const child: ChildProcess = spawn(PYTHON, [join(ROOT, "examples/mesh/mesh.py")], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const stop = async (): Promise<void> => {
    const ended = once(child, "exit");
    child.kill("SIGINT");
    await ended;
  };
  const pids = new Map<string, number>();
  for await (const line of createInterface(child.stdout!)) {
    const node = /^(\w+) +http.* pid (\d+)$/.exec(line);
    if (node) pids.set(node[1]!, Number(node[2]));
    const open = /^open (\S+);/.exec(line);
    if (!open) continue;
    child.stdout!.resume();
    return { url: open[1]!, pids, stop };
  }
  throw new Error("examples/mesh/mesh.py did not start");
}

describe.skipIf(!hasChromium)("examples/mesh", () => {
  let browser: Browser, example: Example;

  beforeAll(async () => {
    [example, browser] = await Promise.all([start(), launch()]);
  }, 30_000);
  afterAll(async () => {
    await browser?.close();
    await example?.stop();
  });

  test("a window at one node is called through each, and through those that are left", async () => {
    const page = await browser.newPage({ viewport: { width: 900, height: 720 } });
    page.on("pageerror", (error) => expect.fail(String(error)));
    await page.goto(example.url);
    const line = (text: string | RegExp) => page.locator("#log li", { hasText: text }).first().waitFor();
    await line("called through three: welcome");
    for (const node of ["one", "two", "three"]) {
      await page.getByRole("button", { name: `Call through ${node}` }).click();
      await line(`called through ${node}: hello`);
      await line(new RegExp(`through ${node} and back: .* ms`));
    }

    process.kill(example.pids.get("two")!, "SIGKILL");
    await page.locator("#node-two", { hasText: "is not there" }).waitFor();
    await page.getByRole("button", { name: "Call through two" }).click();
    await line(/through two: nobody is there/);
    await page.getByRole("button", { name: "Call through three" }).click();
    await page.locator("#log li", { hasText: "called through three: hello" }).nth(1).waitFor();
    for (const colorScheme of SCREENSHOTS ? (["light", "dark"] as const) : []) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(SCREENSHOTS!, `mesh-${colorScheme}.png`) });
    }
  });
});
