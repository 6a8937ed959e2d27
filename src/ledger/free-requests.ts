import type { UnixMs } from '../core/time.ts'

/** How often free requests were taken. They are no payments, and no report shows them. */
export interface FreeRequests {
  /**
   * Takes one of so many free requests until a time, which is the end of the period that they are
   * for. One atomic step: of any number of concurrent calls with one name and time, at most
   * `requests` get one.
   *
   * @param request.requests At least 1; what it was in an earlier call does not matter.
   * @returns How many are left after this one; null: none was left.
   */
  takeFreeRequest(request: {
    readonly name: string
    readonly until: UnixMs
    readonly requests: number
  }): Promise<number | null>

  /**
   * Forgets periods that ended an hour ago or earlier: the clock of another gateway may be late,
   * and would begin one anew that is forgotten.
   *
   * @param request.limit From 1 to 1000.
   * @returns How many were removed; at most `limit`.
   */
  pruneFreeRequests(request: { readonly limit: number }): Promise<number>
}

/** How late the clock of another gateway on the same store may be. */
export const LATE_CLOCK_MS = 3_600_000
