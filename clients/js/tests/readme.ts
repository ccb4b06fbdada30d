import { readFileSync } from "node:fs";

/** The examples of a language in the README, as they stand there. */
export function examples(language: string): string[] {
  const text = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map(([, code]) => code!);
}
