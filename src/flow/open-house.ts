import type { Clock } from '../core/time.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { GatewayObserver } from '../observe/events.ts'
import type { DeliveryRecord } from './delivery-record.ts'
import type { Force } from './force.ts'
import { createFreeQuotas } from './free-quotas.ts'
import { createHoldBack } from './hold-back.ts'
import type { HoldRenewal } from './hold-renewal.ts'
import type { House } from './house.ts'
import { createLeases } from './leases.ts'
import { createRateCounters, type SharedCounters } from './rate-counters.ts'
import { toRequestFinished } from './record.ts'
import { createRoom } from './room.ts'
import type { SettlementCheck } from './settlement-check.ts'
import type { SettlementWatch } from './settlement-watch.ts'
import { createVerificationGate } from './verification-gate.ts'
import type { Tunnels } from './websocket/tunnels.ts'

export interface HouseParts {
  readonly force: Force
  readonly ledger: Ledger
  readonly observer: GatewayObserver
  readonly clock: Clock
  readonly holds: HoldRenewal
  readonly deliveries: DeliveryRecord
  readonly tunnels: Tunnels
  /** Told when a claim's settlement was left open. */
  readonly claimLeftOpen: () => void
  /** Default: no request waits for a settlement to become known. */
  readonly settlements?: SettlementWatch
  /** Default: what a facilitator says is not looked up. */
  readonly settlementCheck?: SettlementCheck
  /** Default: nobody else counts what callers do. */
  readonly sharedCounters?: SharedCounters | null
}

/** Responses that would take more than this together are not kept. */
const REPLAY_BYTES_MAX = 64 * 1024 ** 2

export function openHouse(parts: HouseParts): House {
  const { force, ledger, observer, clock, claimLeftOpen, holds, deliveries, tunnels } = parts
  const { server } = force.current.config
  const rates = createRateCounters({ clock, shared: parts.sharedCounters ?? null })
  return {
    ledger,
    clock,
    claimLeftOpen,
    settlements: parts.settlements ?? null,
    settlementCheck: parts.settlementCheck ?? null,
    holds,
    deliveries,
    tunnels,
    leases: createLeases(key => deliveries.isBehind(key)),
    freeQuotas: createFreeQuotas({
      ...{ ledger, clock },
      reportError: error => observer.errorReported({ error, requestId: null }),
    }),
    rates,
    holdBack: createHoldBack(),
    gate: createVerificationGate({
      ...{ clock, rates, sharers: server.workers },
      limits: () => force.current.config.limits.verify,
    }),
    replayRoom: createRoom(REPLAY_BYTES_MAX),
    open(exchange) {
      const { value, leave } = force.enter()
      const { config, snapshot } = value
      return {
        exchange,
        house: this,
        config,
        snapshot,
        leave,
        startedAt: clock(),
        route: null,
        forwardedTarget: '',
        client: null,
        freeLeft: null,
        payment: null,
        lease: null,
        receipt: null,
        charged: false,
        shadow: null,
        upstreamMs: null,
        rateLeft: null,
        limitedBy: null,
      }
    },
    async close(visit, reply, delivery) {
      const recorded = reply
        .afterDelivery?.(delivery)
        .catch((error: unknown) => this.reportError(error, visit))
      await (visit.lease?.endAfter(recorded ?? Promise.resolve()) ?? recorded)
      visit.leave()
      observer.requestFinished(toRequestFinished(visit, reply, delivery))
    },
    reportError: (error, visit) =>
      observer.errorReported({ error, requestId: visit.exchange.requestId }),
  }
}
