import type { Access } from '../access/access.ts'
import type { GatewayConfig } from '../config/gateway-config.ts'
import type { Clock } from '../core/time.ts'
import type { UpstreamSet, UpstreamsInUse } from '../upstream/upstream-set.ts'
import type { Payments } from '../x402/payments.ts'
import { type CompiledSnapshot, compileSnapshot } from './compile-snapshot.ts'
import { createGenerations, type Generations } from './generations.ts'

/** A configuration in force, and everything that was made of it. */
export interface InForce {
  readonly config: GatewayConfig
  readonly snapshot: CompiledSnapshot
  readonly payments: Payments
  readonly upstreams: UpstreamsInUse
}

/** Puts configurations into force, one after the other. Running requests keep theirs. */
export interface Force extends Pick<Generations<InForce>, 'enter'> {
  readonly current: InForce
  /** All or nothing: when this rejects, what was in force still is. */
  apply(config: GatewayConfig): Promise<void>
  close(): Promise<void>
}

export interface ForceParts {
  readonly clock: Clock
  readonly upstreams: UpstreamSet
  readonly access: Access
  /** `onChange` is called when a facilitator has said something new about what it can do. */
  openPayments(config: GatewayConfig, onChange: () => void): Payments
}

/** How long a start waits for facilitators that do not answer. Their routes say 503 meanwhile. */
const FIRST_ROUND_MS_MAX = 1_000

export async function openForce(first: GatewayConfig, parts: ForceParts): Promise<Force> {
  let ready = false
  let newsMissed = false
  const paymentsInUse = createPaymentsInUse()

  const build = async (config: GatewayConfig, former: InForce | null): Promise<InForce> => {
    const payments = await paymentsFor(config, former)
    const engine = payments.engine()
    const upstreams = parts.upstreams.use(config.upstreams)
    const snapshot = compileSnapshot(config, {
      engine,
      upstreams: upstreams.byName,
      access: parts.access.compile(config),
      previous: former?.snapshot ?? null,
      now: parts.clock(),
    })
    paymentsInUse.use(payments)
    return { config, snapshot, payments, upstreams }
  }

  const paymentsFor = async (config: GatewayConfig, former: InForce | null): Promise<Payments> => {
    if (former !== null && whoSettles(config) === whoSettles(former.config)) return former.payments
    const payments = parts.openPayments(config, () => {
      newsMissed = !ready
      if (ready) void apply(null)
    })
    await Promise.race([payments.firstRound, afterMs(FIRST_ROUND_MS_MAX)])
    // What has been said by now goes into the engine that is built next.
    newsMissed = false
    return payments
  }

  const retire = async ({ upstreams, payments }: InForce): Promise<void> => {
    await upstreams.release()
    await paymentsInUse.release(payments)
  }

  const generations = createGenerations(await build(first, null))

  // One at a time: a reload and a facilitator's news must not overwrite each other.
  let last: Promise<void> = Promise.resolve()
  const apply = (config: GatewayConfig | null): Promise<void> => {
    const applied = last.then(async () => {
      const former = generations.current
      const next = await build(config ?? former.config, former)
      generations.replace(next, () => void retire(former))
    })
    last = applied.catch(() => {})
    return applied
  }
  ready = true
  if (newsMissed) void apply(null)

  return {
    get current() {
      return generations.current
    },
    enter: generations.enter,
    apply,
    async close() {
      await last
      await generations.current.upstreams.release()
      await generations.current.payments.close()
    },
  }
}

/**
 * Counts the generations that use the same payments. They need not retire in order: a slow request
 * may outlive a later one's, and verify its payment after it.
 */
function createPaymentsInUse() {
  const users = new Map<Payments, number>()
  return {
    use: (payments: Payments) => void users.set(payments, (users.get(payments) ?? 0) + 1),
    /** Closes what nobody else uses. */
    async release(payments: Payments): Promise<void> {
      const others = (users.get(payments) ?? 1) - 1
      users.set(payments, others)
      if (others > 0) return
      users.delete(payments)
      await payments.close()
    },
  }
}

/** All that a connection to facilitators is made from. */
function whoSettles({ facilitators, networks }: GatewayConfig): string {
  const known = networks.map(({ id, v1Name, aliases, rpc, finality }) => {
    return [id, v1Name, aliases, rpc, finality]
  })
  return JSON.stringify([facilitators, known], (_, value) =>
    typeof value === 'bigint' ? String(value) : value,
  )
}

function afterMs(milliseconds: number): Promise<void> {
  return new Promise(resolve => void setTimeout(resolve, milliseconds).unref())
}
