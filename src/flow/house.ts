import type { Recognition } from '../access/access.ts'
import type { GatewayConfig } from '../config/gateway-config.ts'
import type { Payment, Receipt } from '../core/payment.ts'
import type { Clock, UnixMs } from '../core/time.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { DeliveryRecord } from './delivery-record.ts'
import type { Delivery, Exchange, Reply } from './exchange.ts'
import type { FreeQuotas } from './free-quotas.ts'
import type { HoldBack } from './hold-back.ts'
import type { HoldRenewal } from './hold-renewal.ts'
import type { Lease, Leases } from './leases.ts'
import type { RateCounters } from './rate-counters.ts'
import type { RateLeft } from './rate-limits.ts'
import type { Room } from './room.ts'
import type { Route, Snapshot } from './route.ts'
import type { SettlementCheck } from './settlement-check.ts'
import type { SettlementWatch } from './settlement-watch.ts'
import type { ShadowCharge } from './shadow.ts'
import type { VerificationGate } from './verification-gate.ts'
import type { Tunnels } from './websocket/tunnels.ts'

/** Everything the corridor may use. `gateway.ts` puts it together. */
export interface House {
  /** Begins a visit with the snapshot in force now. */
  open(exchange: Exchange): Visit
  readonly ledger: Ledger
  readonly leases: Leases
  /** For payments whose responses are on their way. */
  readonly holds: HoldRenewal
  readonly deliveries: DeliveryRecord
  /** For what a facilitator says that it settled. Null: it is believed. */
  readonly settlementCheck: SettlementCheck | null
  /** Where it is missing, no request waits for a settlement to become known. */
  readonly settlements: SettlementWatch | null
  readonly freeQuotas: FreeQuotas
  readonly rates: RateCounters
  readonly gate: VerificationGate
  readonly holdBack: HoldBack
  /** For responses that are being gathered, to be given again. */
  readonly replayRoom: Room
  readonly tunnels: Tunnels
  readonly clock: Clock
  /** Ends a visit and records it, whatever its end was. */
  close(visit: Visit, reply: Reply, delivery: Delivery): Promise<void>
  /** Told when a claim's settlement was left open, for the resolver to finish. */
  claimLeftOpen(): void
  /** Told of anything that broke. */
  reportError(error: unknown, visit: Visit): void
}

/** One request on its way through: what is known of it so far. */
export interface Visit {
  readonly exchange: Exchange
  readonly house: House
  readonly config: GatewayConfig
  readonly snapshot: Snapshot
  /** Lets go of the snapshot. */
  readonly leave: () => void
  readonly startedAt: UnixMs
  route: Route | null
  /** What the upstream is asked for: path and query. Empty until a route has matched. */
  forwardedTarget: string
  /** Who sends it, as far as the route's access rules tell. */
  client: Recognition
  /** Free requests that its client has left; null: this one was not taken from a quota. */
  freeLeft: number | null
  payment: Payment | null
  lease: Lease | null
  receipt: Receipt | null
  /** True once this request's own settle has moved the money. */
  charged: boolean
  /** Null outside of shadow mode. */
  shadow: ShadowCharge | null
  /** Milliseconds until the upstream's head arrived; null when it was not asked. */
  upstreamMs: number | null
  /** Null: no limit counts this request. */
  rateLeft: RateLeft | null
  /** Which limit the request was over; null: none. A code from a fixed set. */
  limitedBy: string | null
}
