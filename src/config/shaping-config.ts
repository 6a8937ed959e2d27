/** What a route does to requests and answers on their way, checked. */

export type RewriteConfig =
  /** "/v1": the upstream gets what follows. The route's path begins with it. */
  | { readonly kind: 'strip-prefix'; readonly prefix: string }
  /** "/internal/{city}/today", with parameters of the route's path. */
  | { readonly kind: 'template'; readonly template: string }

export interface HeaderRulesConfig {
  /** What the upstream gets. */
  readonly request: HeaderChanges
  /** What the client gets of the upstream's answer; farebox's own answers and headers stay. */
  readonly response: HeaderChanges
}

/** Names are in lower case; none stands in both. */
export interface HeaderChanges {
  readonly set: Readonly<Record<string, string>>
  readonly remove: readonly string[]
}

/** How a route answers without an upstream. */
export type AnswerConfig =
  | {
      readonly kind: 'respond'
      readonly status: number
      /** `content-type` among them. */
      readonly headers: Readonly<Record<string, string>>
      readonly body: Uint8Array
    }
  | {
      readonly kind: 'redirect'
      /** "https://www.example.com"; empty: the host that was asked. */
      readonly origin: string
      /** "/docs/{page}", with parameters of the route's path. */
      readonly template: string
      readonly status: number
    }

export interface CorsConfig {
  /** Or ["*"]. */
  readonly origins: readonly string[]
  /** Whether pages may send cookies; never with ["*"]. */
  readonly credentials: boolean
  /** Beside the headers of payments. */
  readonly exposeHeaders: readonly string[]
  /** How long a browser may remember a preflight. */
  readonly maxAgeMs: number
}

/** The Host that an upstream gets: its own, the one that the client asked for, or a fixed one. */
export type UpstreamHost =
  | { readonly kind: 'upstream' }
  | { readonly kind: 'client' }
  | { readonly kind: 'fixed'; readonly host: string }

/** `shadow`: nothing is charged, and what would have been is counted. */
export type ChargeMode = 'enforce' | 'shadow'
