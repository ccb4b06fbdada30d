/** A signed ticket, or a function that fetches one. */
export type TicketSource = string | (() => string | Promise<string>);

export const fetchTicket = async (source: TicketSource | undefined): Promise<string | undefined> =>
  typeof source === "function" ? await source() : source;

const LONGEST_TIMER_MS = 2 ** 31 - 1;
const SHORTEST_MS = 1_000;

/** How long until a ticket should be replaced: four fifths of the rest of its life. Undefined: it does not say. */
export function renewAfterMs(ticket: string, now: number): number | undefined {
  try {
    const payload = ticket.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/");
    const { exp } = JSON.parse(atob(payload)) as { exp?: unknown };
    if (typeof exp !== "number") return undefined;
    return Math.min(LONGEST_TIMER_MS, Math.max(SHORTEST_MS, (exp * 1000 - now) * 0.8));
  } catch {
    return undefined;
  }
}
