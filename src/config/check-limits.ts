import type { CheckContext } from './check-context.ts'
import type { LimitsConfig, RateConfig, RateLimitConfig } from './limits-config.ts'
import type { Path } from './problems.ts'
import type { LimitsSetting, RateLimitSetting } from './schema-limits.ts'

export function checkLimits({ unpaid, verify }: LimitsSetting): LimitsConfig {
  const { strangers, newcomers, smartWallets, refused, perPayer, perAddress } = verify
  return {
    unpaid: unpaid === undefined ? null : toRate(unpaid),
    verify: {
      strangers: toRate(strangers),
      newcomers: toRate(newcomers),
      smartWallets: toRate(smartWallets),
      refused: toRate(refused),
      payerMax: perPayer,
      addressMax: perAddress,
    },
  }
}

function toRate({ requests, per }: { requests: number; per: number }): RateConfig {
  return { requests, perMs: per }
}

/** @param route Key of the route that they are for; null: the default of all routes. */
export function checkRateLimits(
  setting: RateLimitSetting,
  path: Path,
  { route, context }: { readonly route: string | null; readonly context: CheckContext },
): RateLimitConfig[] {
  if (setting === 'off') return []
  const list = Array.isArray(setting) ? setting : [setting]
  const limits = list.map(one => ({ ...toRate(one), by: one.by, route }))
  for (const [index, limit] of limits.entries()) {
    const isFirst = limits.findIndex(other => isSameCount(other, limit)) === index
    if (isFirst) continue
    const message = 'counts the same requests as one before it'
    context.report([...path, index], { message, cure: 'Keep the smaller one of the two.' })
  }
  return limits
}

function isSameCount(one: RateLimitConfig, other: RateLimitConfig): boolean {
  return one.by === other.by && one.perMs === other.perMs
}

/** Where nobody pays there is no payer to count by. */
export function reportPayerOnFree(
  limits: readonly RateLimitConfig[],
  path: Path,
  context: CheckContext,
): void {
  if (!limits.some(({ by }) => by === 'payer')) return
  const message = 'counts by payer on a free route, where nobody pays'
  context.report(path, { message, cure: 'Count by address or route, or set a price.' }, 'key')
}
