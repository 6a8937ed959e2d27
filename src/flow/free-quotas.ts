import type { FreeQuotaConfig, QuotaPeriod } from '../config/access-config.ts'
import { createSeldom } from '../core/seldom.ts'
import { type Clock, type UnixMs, unixMs } from '../core/time.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { AgingMap } from './aging-map.ts'

/** Gives away what is free, and no more of it, whatever other gateways on the store give. */
export interface FreeQuotas {
  /**
   * Takes one free request. Never rejects.
   *
   * @param client What the quota counts by: an address, a network or a payer.
   * @returns How many are left after it; null: none was left, or nobody can write it down.
   */
  take(quota: FreeQuotaConfig, client: string): Promise<number | null>
}

export interface FreeQuotasParts {
  readonly ledger: Pick<Ledger, 'takeFreeRequest'>
  readonly clock: Clock
  reportError(error: unknown): void
}

/** Clients of whom it is remembered that they have none left: they cost the store nothing. */
const USED_UP_MAX = 20_000

/** New clients in a period. Beyond them the store would fill with those who come once. */
const CLIENTS_MAX = 1_000_000

export function createFreeQuotas(
  { ledger, clock, reportError }: FreeQuotasParts,
  { usedUpMax = USED_UP_MAX, clientsMax = CLIENTS_MAX } = {},
): FreeQuotas {
  /** Until when, by what the store calls the quota of a client. */
  const usedUp = new AgingMap<UnixMs>()
  const isNews = createSeldom(clock)
  const newClients = new Map<QuotaPeriod, { readonly until: UnixMs; count: number }>()

  const newClientsOf = (per: QuotaPeriod, until: UnixMs): { count: number } => {
    const known = newClients.get(per)
    const current = known?.until === until ? known : { until, count: 0 }
    newClients.set(per, current)
    return current
  }

  return {
    async take(quota, client) {
      const { requests, per } = quota
      const name = nameOf(quota, client)
      const until = endOf(per, clock())
      if (usedUp.get(name) === until) return null
      const clients = newClientsOf(per, until)
      if (clients.count >= clientsMax) return null
      try {
        const left = await ledger.takeFreeRequest({ name, until, requests })
        if (left === requests - 1) clients.count++
        if (left !== null) return left
      } catch (error) {
        // What cannot be counted is not given away: it has its price.
        if (isNews(String(error))) reportError(error)
        return null
      }
      if (usedUp.youngSize >= usedUpMax / 2) usedUp.age()
      usedUp.set(name, until)
      return null
    },
  }
}

/** Routes without a quota of their own share one, which has no route in its name. */
function nameOf({ per, by, route }: FreeQuotaConfig, client: string): string {
  return JSON.stringify([by, client, per, route])
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** The end of the period that a time is in. Periods begin in UTC. */
export function endOf(per: QuotaPeriod, now: UnixMs): UnixMs {
  switch (per) {
    case 'hour':
      return unixMs((Math.floor(now / HOUR_MS) + 1) * HOUR_MS)
    case 'day':
      return unixMs((Math.floor(now / DAY_MS) + 1) * DAY_MS)
    case 'month': {
      const date = new Date(now)
      return unixMs(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1))
    }
  }
}
