import type { Clock } from '../core/time.ts'
import { FareboxError } from '../errors.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { Payments } from '../x402/payments.ts'
import type { Force } from './force.ts'
import type { SettlementCheck } from './settlement-check.ts'
import type { StoreHealth } from './store-health.ts'

/** Whether a load balancer should send requests here, and what an operator should know. */
export interface ReadinessReport {
  readonly ready: boolean
  /** Why not; or, beside `ready: true`, what is amiss and does not stop us. */
  readonly reasons: readonly string[]
}

export interface Readiness {
  report(): Promise<ReadinessReport>
  startDraining(): void
  /** Problems of the last reload; empty when it went well. */
  noteReload(problems: readonly string[]): void
}

export interface ReadinessParts {
  readonly force: Force
  readonly ledger: Ledger
  readonly storeHealth: StoreHealth
  readonly settlementCheck: Pick<SettlementCheck, 'differences'>
  readonly clock: Clock
}

export function createReadiness(parts: ReadinessParts): Readiness {
  const { force, ledger, storeHealth, settlementCheck, clock } = parts
  let draining = false
  let reloadProblems: readonly string[] = []

  return {
    async report() {
      const blocking = [
        ...(draining ? ['shutting down'] : []),
        ...(await storeReasons(ledger, storeHealth)),
        ...payableReasons(force),
      ]
      const { payments, upstreams } = force.current
      const amiss = [
        ...shadowReasons(force),
        ...facilitatorReasons(payments),
        ...[...upstreams.byName.values()].flatMap(upstreamReasons),
        ...differenceReasons(settlementCheck),
        ...certificateReasons(force, clock),
        ...reloadProblems.map(refusedReload),
      ]
      return { ready: blocking.length === 0, reasons: [...blocking, ...amiss] }
    },
    startDraining() {
      draining = true
    },
    noteReload(problems) {
      reloadProblems = problems
    },
  }
}

export function refusedReload(problem: string): string {
  return `the last reload was refused: ${problem}`
}

async function storeReasons(ledger: Ledger, health: StoreHealth): Promise<string[]> {
  const error: unknown = await ledger.countByState().then(
    () => health.trouble(),
    (refusal: unknown) => refusal,
  )
  if (error === null) return []
  const said = error instanceof FareboxError ? ` ${error.message} ${error.fix}` : ''
  return [`the store does not work: payments are refused.${said}`]
}

function facilitatorReasons({ facilitators, silent }: Payments): string[] {
  const unwell = facilitators.flatMap(({ name, condition }) => {
    const now = condition()
    if (now.kind === 'up') return []
    const seconds = Math.ceil(now.forMs / 1000)
    return now.kind === 'down'
      ? [`facilitator ${name} is down, and is tried again in ${seconds} s`]
      : [`facilitator ${name} asked to be left alone for ${seconds} s more`]
  })
  const unheard = silent().map(name => `facilitator ${name} has not said what it supports`)
  return [...unwell, ...unheard]
}

function upstreamReasons({ name, targets }: Upstream): string[] {
  const down = targets.filter(({ health }) => !health.isUp)
  const reasons = down.map(({ name: target, health: { fault, retryInMs } }) => {
    const seconds = Math.ceil(retryInMs / 1000)
    return `upstream ${name}: ${target} is down (${fault}), and is tried again in ${seconds} s`
  })
  if (down.length < targets.length) return reasons
  return [`upstream ${name} is down: its routes say 503`, ...reasons]
}

function differenceReasons({ differences }: ReadinessParts['settlementCheck']): string[] {
  if (differences === 0) return []
  return [
    `since the start, the chain did not have ${differences} of the settlements that facilitators ` +
      'told of: run "farebox ledger reconcile"',
  ]
}

function shadowReasons({ current }: Force): string[] {
  const routes = current.config.routes.filter(({ mode }) => mode === 'shadow').length
  if (routes === 0) return []
  return [`SHADOW MODE: priced routes that are served to everybody for nothing: ${routes}`]
}

/** Renewed certificates come a month before; a week before, nobody is renewing it. */
const ENDS_SOON_MS = 7 * 86_400_000

function certificateReasons({ current }: Force, clock: Clock): string[] {
  const { tls } = current.config.server
  if (tls === null || tls.notAfter - clock() > ENDS_SOON_MS) return []
  const isOver = tls.notAfter <= clock()
  return [
    `the certificate of server.tls ${isOver ? 'expired' : 'ends'} on ` +
      `${new Date(tls.notAfter).toISOString()}: renew it`,
  ]
}

function payableReasons({ current }: Force): string[] {
  const paid = current.config.routes.filter(
    ({ price, mode }) => price.kind === 'paid' && mode === 'enforce',
  )
  if (paid.length === 0 || current.snapshot.payableRoutes > 0) return []
  return ['no facilitator takes payments for any priced route']
}
