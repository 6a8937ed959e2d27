import type { NetworkId, Offer } from '../core/payment.ts'
import type { Network } from '../networks/registry.ts'
import type { AccessConfig } from './access-config.ts'
import type { LimitsConfig, RateLimitConfig } from './limits-config.ts'
import type {
  AnswerConfig,
  ChargeMode,
  CorsConfig,
  HeaderRulesConfig,
  RewriteConfig,
  UpstreamHost,
} from './shaping-config.ts'
import type { TlsConfig } from './tls-config.ts'
import type { HealthCheckConfig, UpstreamTarget, UpstreamTlsConfig } from './upstream-config.ts'
import type { WebSocketConfig } from './websocket-config.ts'

/**
 * The configuration as the rest of the house reads it: defaults filled in, secrets resolved, names
 * looked up, prices turned into offers. `check.ts` is the only place that makes one.
 */
export interface GatewayConfig {
  readonly server: ServerConfig
  /** Null where the operator switched the admin listener off. */
  readonly admin: ListenAddress | null
  readonly store: StoreConfig
  /** Every network that may be named, with what the operator says of it. */
  readonly networks: readonly Network[]
  /** In the order in which they are tried. */
  readonly facilitators: readonly (FacilitatorConfig | LocalFacilitatorConfig)[]
  /** Where is kept what facilitators said they support; null: nowhere. */
  readonly supportCacheFile: string | null
  readonly upstreams: readonly UpstreamConfig[]
  readonly routes: readonly RouteConfig[]
  /** For answers to requests that no route matched; null: they are for no web page. */
  readonly cors: CorsConfig | null
  readonly limits: LimitsConfig
}

export interface ListenAddress {
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
}

export interface ServerConfig {
  readonly listen: ListenAddress
  /** Null: callers are served over plain HTTP. */
  readonly tls: TlsConfig | null
  /** Whether callers may choose HTTP/2, which takes TLS. */
  readonly http2: boolean
  /**
   * Origin without a trailing slash, like "https://api.example.com"; null: built from the request.
   */
  readonly publicUrl: string | null
  /** Names that callers may ask for, in lower case and without ports; null: any. */
  readonly hosts: readonly string[] | null
  /** CIDR ranges whose X-Forwarded-* headers are believed. */
  readonly trustedProxies: readonly string[]
  readonly limits: ServerLimits
  /** How long a SIGTERM waits for requests in flight. */
  readonly drainTimeoutMs: number
  /** Processes that share the listener and the store. */
  readonly workers: number
}

export interface ServerLimits {
  readonly headerBytes: number
  readonly bodyBytes: number
  /** From the first byte of a request to its last. */
  readonly requestTimeoutMs: number
  /** What a caller takes of a reply at least, on average, while it is waited for; 0: any pace. */
  readonly replyBytesPerSecondMin?: number
  /** Of callers at once, in each process; left out: as many as the system allows. */
  readonly connections?: number
}

export type StoreConfig = (
  | {
      readonly kind: 'sqlite'
      /** File path, or ":memory:" (which survives nothing, for trying things out). */
      readonly path: string
    }
  | {
      readonly kind: 'postgres'
      /** "postgres://…", password included: never logged. */
      readonly url: string
    }
) &
  StoreTimes

export interface StoreTimes {
  /** How long after its settlement an undelivered payment may be redeemed. */
  readonly redeemableMs: number
  /** How long rows that are final are kept. */
  readonly retentionMs: number
}

/** A service that verifies and settles. */
export interface FacilitatorConfig {
  readonly kind: 'http'
  /** Preset name or the URL's host: safe to log. */
  readonly name: string
  /** The preset that it was named by; null for a URL of the operator's. */
  readonly preset: string | null
  /** Base URL without a trailing slash. May carry a key in its path: never logged. */
  readonly url: string
  readonly auth: FacilitatorAuth
  readonly quirks: FacilitatorQuirks
  readonly headers: Readonly<Record<string, string>>
  /** Per operation: /verify and /supported. A settle gets `settleTimeoutMs`. */
  readonly timeoutMs: number
  readonly settleTimeoutMs: number
  /** Calls at once, at most; more are not made. */
  readonly concurrency: number
}

/** How a facilitator knows who asks, beside plain headers. */
export type FacilitatorAuth =
  | { readonly kind: 'none' }
  /** A token for each call to Coinbase's Developer Platform, signed with an API key. */
  | { readonly kind: 'coinbase'; readonly keyId: string; readonly keySecret: string }
  /** A token for PayAI, signed with an API key. */
  | { readonly kind: 'payai'; readonly keyId: string; readonly keySecret: string }
  /** The key is the last part of the base URL. */
  | { readonly kind: 'path'; readonly key: string }

/** Where a facilitator differs from what the specification says, or asks for more. */
export interface FacilitatorQuirks {
  /** Networks on which it settles `exact`, where it has no /supported; null: it is asked. */
  readonly supported: readonly NetworkId[] | null
  /** Base URLs that its /supported may redirect to: the same service under another name. */
  readonly otherUrls: readonly string[]
}

/** No service: farebox verifies and settles on chain itself. */
export interface LocalFacilitatorConfig {
  readonly kind: 'local'
  readonly name: string
  /** Never empty. The nodes of each are those of `GatewayConfig.networks`. */
  readonly networks: readonly LocalNetworkConfig[]
  /** Never empty; transactions go through the one that has least to do. */
  readonly keys: readonly SigningKey[]
  /** Most gas that one transaction may use, in units. */
  readonly gasMax: bigint
  /** Contracts that may be called to deploy a payer's wallet (EIP-6492), in lower case. */
  readonly deployers: readonly string[]
  /** File that remembers what was signed. */
  readonly journal: string
  /** How long a transaction waits before a dearer one replaces it. */
  readonly replaceAfterMs: number
  readonly settleTimeoutMs: number
  /** Calls at once, at most. */
  readonly concurrency: number
}

export interface LocalNetworkConfig {
  readonly id: NetworkId
  /** Most that is offered for gas, in wei per unit. */
  readonly feeCap: bigint
}

export type SigningKey =
  /** Never logged. */
  | { readonly kind: 'private-key'; readonly privateKey: `0x${string}` }
  /** A service that signs. The URL may carry a key: never logged. */
  | { readonly kind: 'remote'; readonly url: string; readonly address: `0x${string}` }

export interface UpstreamConfig {
  readonly name: string
  /** Never empty: the servers that requests are shared out among. */
  readonly targets: readonly UpstreamTarget[]
  /** Added to every request, over whatever the client sent. */
  readonly headers: Readonly<Record<string, string>>
  readonly host: UpstreamHost
  /** Null: public authorities are trusted, and no certificate is shown. */
  readonly tls: UpstreamTlsConfig | null
  /** Whether its servers are spoken to in HTTP/2 alone. */
  readonly http2: boolean
  readonly connectTimeoutMs: number
  /** How long a body may be silent before it counts as broken. */
  readonly bodyTimeoutMs: number
  /** Connections to each target at most; more requests wait. */
  readonly maxConnections: number
  /** Requests at most that wait for a connection to each target; more are refused. */
  readonly maxQueue: number
  /** Null: a target is looked at only while it is down. */
  readonly health: HealthCheckConfig | null
}

export type SettleMode = 'on-response' | 'before-upstream'

export type PriceConfig =
  | { readonly kind: 'free' }
  /** Never empty; best first. */
  | { readonly kind: 'paid'; readonly offers: readonly Offer[] }

export interface RouteConfig {
  /** As the YAML writes it: "GET /v1/weather/{city}" or "/health". */
  readonly key: string
  /** Null: every method. */
  readonly method: string | null
  /** "/v1/weather/{city}", "/files/*". */
  readonly path: string
  /** Name of an entry of `upstreams`; null where `answer` stands in for it. */
  readonly upstream: string | null
  /** Null: the upstream answers. */
  readonly answer: AnswerConfig | null
  /** Null: the upstream gets the target that was matched. */
  readonly rewrite: RewriteConfig | null
  /** With the defaults of the file. */
  readonly headers: HeaderRulesConfig
  /** Always `enforce` on a free route. */
  readonly mode: ChargeMode
  readonly price: PriceConfig
  readonly description: string | null
  readonly mimeType: string | null
  readonly settle: SettleMode
  /** Inclusive status ranges that are charged for. */
  readonly billable: readonly { readonly from: number; readonly to: number }[]
  /** Until the upstream's head must have arrived. */
  readonly timeoutMs: number
  /** Null: no CORS headers are added. */
  readonly cors: CorsConfig | null
  readonly access: AccessConfig
  /** Null: responses are not kept. */
  readonly replay: ReplayConfig | null
  /** Null: WebSocket handshakes are forwarded as plain requests. */
  readonly websocket: WebSocketConfig | null
  /** Whether a payment must carry an identifier of its client (x402 v2 only). */
  readonly identifierRequired: boolean
  /** All of them hold. */
  readonly rateLimits: readonly RateLimitConfig[]
}

export interface ReplayConfig {
  /** How long a response is kept. */
  readonly forMs: number
  /** A body that is longer is not kept. */
  readonly bytesMax: number
}
