import type { RouteAccess } from '../access/access.ts'
import type { FreeQuotaConfig } from '../config/access-config.ts'
import type { ReplayConfig, SettleMode } from '../config/gateway-config.ts'
import type { WebSocketConfig } from '../config/websocket-config.ts'
import type { Offer } from '../core/payment.ts'
import type { UnixMs } from '../core/time.ts'
import type { PathTemplate } from '../routing/target-template.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { Challenge } from '../x402/challenge.ts'
import type { PaymentEngine } from '../x402/payment-engine.ts'
import type { RateLimits } from './rate-limits.ts'
import type { HeaderShaping } from './shape-headers.ts'

/** One route of a snapshot, with everything looked up beforehand. */
export interface Route {
  /** As the YAML writes it. */
  readonly key: string
  /** Or what answers in its place. */
  readonly upstream: Upstream
  /** Null: the upstream gets the target that was matched. */
  readonly rewrite: PathTemplate | null
  /** Null: headers pass as they are. */
  readonly headers: HeaderShaping | null
  /** What the upstream is told that it was asked for; null: its own host. */
  readonly hostFor: ((clientHost: string) => string) | null
  readonly price: RoutePrice
  /** What is counted instead of charged, in shadow mode; null: it is charged. */
  readonly shadow: readonly Offer[] | null
  readonly settle: SettleMode
  /** Whether a response with this status and these headers is charged for. */
  isBillable(status: number, headers: readonly string[]): boolean
  /** Until the upstream's head must have arrived. */
  readonly timeoutMs: number
  readonly cors: RouteCors | null
  /** Null: nobody is turned away, and everybody pays. */
  readonly access: RouteAccess | null
  readonly freeQuota: FreeQuotaConfig | null
  readonly replay: ReplayConfig | null
  /** Null: WebSocket handshakes are forwarded as plain requests. */
  readonly websocket: WebSocketConfig | null
  /** Whether a v2 payment must carry an identifier of its client. */
  readonly identifierRequired: boolean
  readonly rateLimits: RateLimits | null
}

export type RoutePrice =
  | { readonly kind: 'free' }
  | {
      readonly kind: 'paid'
      /**
       * What a payment may be for now: today's offers, and those quoted shortly before a reload.
       */
      offersAt(now: UnixMs): readonly Offer[]
      /** Null: no facilitator is known that could take the money. */
      readonly challenge: Challenge | null
    }

export interface RouteCors {
  allows(origin: string): boolean
  /** True where every origin is allowed, so that answers do not vary by it. */
  readonly anyOrigin: boolean
  /** Whether pages may send cookies. */
  readonly credentials: boolean
  /** Beside the headers of payments. */
  readonly exposeHeaders: readonly string[]
  readonly maxAgeSeconds: number
}

export type RouteMatch =
  | { readonly kind: 'route'; readonly value: Route }
  | { readonly kind: 'method-not-allowed'; readonly allow: readonly string[] }
  | { readonly kind: 'no-such-route' }

/** One immutable compiled configuration. A request keeps the one it began with. */
export interface Snapshot {
  match(method: string, path: string): RouteMatch
  /** For answers to requests that no route matched. */
  readonly cors: RouteCors | null
  readonly engine: PaymentEngine
  /** The longest that a facilitator may take to settle. */
  readonly settleMsMax: number
}
